#include <config.h>

#include "echoprobe/start.h"

#include "base/error.h"
#include "echoprobe/check.h"
#include "echoprobe/half_close.h"
#include "echoprobe/hold.h"
#include "echoprobe/idle_timeout.h"
#include "echoprobe/mtu.h"
#include "echoprobe/probe.h"
#include "echoprobe/report.h"
#include "echoprobe/target.h"
#include "echoprobe/target_set.h"
#include "echoprobe/targets.h"
#include "echoprobe/tls_setup.h"

#include <stddef.h>

/* Return the check that is asked for, or NULL. */
static const struct check_kind *check_of(const struct options *options)
{
    if (options->half_close)
        return half_close_check();
    if (options->hold_ms > 0)
        return hold_check();
    if (options->find_idle_timeout_ms > 0)
        return idle_timeout_check();
    return options->mtu ? mtu_check() : NULL;
}

/* --- One target ------------------------------------------------------------------------------ */

static int start_one(const struct options *options, struct tls_setup *tls)
{
    static struct target target;
    const struct check_kind *check = check_of(options);
    const struct account_target one = {.options = options, .target = &target};
    struct error error = {""};
    int status;

    target_set_describe(options, tls, &target);
    status = target_set_resolve(options, &target, &error);
    if (status != 0)
        return report_failure(options, status, error.text);
    return check != NULL ? check_run(check, options, &target) : probe_run(options, &one, 1, NULL);
}

/* Do it with what TLS needs, where the address asks for that. */
static int start_with_tls(const struct options *options)
{
    struct tls_setup *tls;
    struct error error = {""};
    int status;

    if (!options->target.is_tls)
        return start_one(options, NULL);
    tls = tls_setup_new(&options->tls, &options->target, &error);
    if (tls == NULL)
        return report_failure(options, target_set_status(EXIT_STATUS_USAGE), error.text);
    status = start_one(options, tls);
    tls_setup_free(tls);
    return status;
}

/* --- Several targets ------------------------------------------------------------------------- */

/* Return 0; or an exit status, and a sentence in `error`. */
static int read_several(struct target_set *set, const struct options *options,
                        const struct command_words *words, struct error *error)
{
    if (targets_read(&set->list, options->targets, words->count, words->words, error) < 0)
        return target_set_status(EXIT_STATUS_USAGE);
    return target_set_prepare(set, error);
}

static int start_several(const struct options *options, const struct command_words *words)
{
    struct target_set set = {0};
    struct error error = {""};
    int status = read_several(&set, options, words, &error);

    if (status != 0)
        status = report_failure(options, status, error.text);
    else
        status = probe_run(options, set.targets, set.list.count, words);
    target_set_free(&set);
    return status;
}

int start_run(const struct options *options, int argument_count, char *arguments[])
{
    const struct command_words words = {.count = argument_count, .words = arguments};

    if (options->targets != NULL)
        return start_several(options, &words);
    return start_with_tls(options);
}
