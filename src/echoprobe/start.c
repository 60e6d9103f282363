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
#include "echoprobe/targets.h"
#include "echoprobe/tls_setup.h"

#include <errno.h>
#include <stdlib.h>

/* Return the exit status of what has failed with errno: for lack of memory the system's. */
static int status_of_failure(int other)
{
    return errno == ENOMEM ? EXIT_STATUS_SYSTEM : other;
}

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

static void describe_target(const struct options *options, struct tls_setup *tls,
                            struct target *target)
{
    target_init(target, &options->target);
    target->sockets = options->sockets;
    target->preface = options->proxy;
    target->tls = tls;
    target->is_identified = options->identify;
}

/*
 * Resolve a target, unless its name may be looked up while it is probed. Return 0; or an exit
 * status, and a sentence in `error`.
 */
static int resolve(const struct options *options, struct target *target, struct error *error)
{
    if (options->is_lasting && target_needs_lookup(&options->target))
        return 0;
    if (target_look_up(target, &options->target, options_family(options), error) < 0)
        return status_of_failure(EXIT_STATUS_CONNECT);
    return target_try_socket(target, error) < 0 ? EXIT_STATUS_SYSTEM : 0;
}

static int start_one(const struct options *options, struct tls_setup *tls)
{
    static struct target target;
    const struct check_kind *check = check_of(options);
    const struct account_target one = {.options = options, .target = &target};
    struct error error = {""};
    int status;

    describe_target(options, tls, &target);
    status = resolve(options, &target, &error);
    if (status != 0)
        return report_failure(options, status, error.text);
    return check != NULL ? check_run(check, options, &target) : probe_run(options, &one, 1);
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
        return report_failure(options, status_of_failure(EXIT_STATUS_USAGE), error.text);
    status = start_one(options, tls);
    tls_setup_free(tls);
    return status;
}

/* --- Several targets ------------------------------------------------------------------------- */

struct several {
    struct targets list;
    struct account_target *targets; /* what follows has an element for each of the list */
    struct target *places;
    struct tls_setup **tls;
};

static int make_room(struct several *several)
{
    const size_t count = several->list.count;

    several->targets = calloc(count, sizeof *several->targets);
    several->places = calloc(count, sizeof *several->places);
    several->tls = calloc(count, sizeof(struct tls_setup *));
    return several->targets == NULL || several->places == NULL || several->tls == NULL ? -1 : 0;
}

static void free_several(struct several *several)
{
    for (size_t i = 0; several->tls != NULL && i < several->list.count; i++)
        tls_setup_free(several->tls[i]);
    free(several->tls);
    free(several->places);
    free(several->targets);
    targets_free(&several->list);
}

/* Return 0; or an exit status, and a sentence in `error`. */
static int prepare_one(struct several *several, size_t index, struct error *error)
{
    const struct named_target *named = &several->list.items[index];
    const struct options *options = &named->options;
    struct target *target = &several->places[index];

    several->targets[index] =
        (struct account_target){.name = named->name, .options = options, .target = target};
    if (options->target.is_tls) {
        several->tls[index] = tls_setup_new(&options->tls, &options->target, error);
        if (several->tls[index] == NULL)
            return status_of_failure(EXIT_STATUS_USAGE);
    }
    describe_target(options, several->tls[index], target);
    return resolve(options, target, error);
}

/* Read all of them. Return 0; or an exit status, and a sentence in `error`. */
static int prepare_several(struct several *several, const struct options *options,
                           int argument_count, char *arguments[], struct error *error)
{
    struct error reason = {""};

    if (targets_read(&several->list, options->targets, argument_count, arguments, error) < 0)
        return status_of_failure(EXIT_STATUS_USAGE);
    if (make_room(several) < 0) {
        error_set(error, "there is not enough memory");
        return EXIT_STATUS_SYSTEM;
    }
    for (size_t i = 0; i < several->list.count; i++) {
        const int status = prepare_one(several, i, &reason);

        if (status == 0)
            continue;
        error_set(error, "%s: %s", several->list.items[i].name, reason.text);
        return status;
    }
    return 0;
}

static int start_several(const struct options *options, int argument_count, char *arguments[])
{
    struct several several = {0};
    struct error error = {""};
    int status = prepare_several(&several, options, argument_count, arguments, &error);

    if (status != 0)
        status = report_failure(options, status, error.text);
    else
        status = probe_run(options, several.targets, several.list.count);
    free_several(&several);
    return status;
}

int start_run(const struct options *options, int argument_count, char *arguments[])
{
    if (options->targets != NULL)
        return start_several(options, argument_count, arguments);
    return start_with_tls(options);
}
