#include <config.h>

#include "echoprobe/target_set.h"

#include "echoprobe/tls_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int target_set_status(int other)
{
    return errno == ENOMEM ? EXIT_STATUS_SYSTEM : other;
}

/* --- One target ------------------------------------------------------------------------------ */

void target_set_describe(const struct options *options, struct tls_setup *tls,
                         struct target *target)
{
    target_init(target, &options->target);
    target->sockets = options->sockets;
    target->preface = options->proxy;
    target->tls = tls;
    target->is_identified = options->identify;
}

int target_set_resolve(const struct options *options, struct target *target, struct error *error)
{
    if (options->is_lasting && target_needs_lookup(&options->target)) {
        (void)snprintf(target->problem, sizeof target->problem, "%s: not looked up yet",
                       options->target.host);
        return 0;
    }
    if (target_look_up(target, &options->target, options_family(options), error) < 0)
        return target_set_status(EXIT_STATUS_CONNECT);
    return target_try_socket(target, error) < 0 ? EXIT_STATUS_SYSTEM : 0;
}

/* --- Several targets ------------------------------------------------------------------------- */

static int make_room(struct target_set *set)
{
    const size_t count = set->list.count;

    set->targets = calloc(count, sizeof *set->targets);
    set->places = calloc(count, sizeof *set->places);
    set->tls = calloc(count, sizeof(struct tls_setup *));
    return set->targets == NULL || set->places == NULL || set->tls == NULL ? -1 : 0;
}

void target_set_free(struct target_set *set)
{
    for (size_t i = 0; set->tls != NULL && i < set->list.count; i++)
        tls_setup_free(set->tls[i]);
    free(set->tls);
    free(set->places);
    free(set->targets);
    targets_free(&set->list);
}

/* Return 0; or an exit status, and a sentence in `error`. */
static int prepare_one(struct target_set *set, size_t index, struct error *error)
{
    const struct named_target *named = &set->list.items[index];
    const struct options *options = &named->options;
    struct target *target = &set->places[index];

    set->targets[index] = (struct account_target){
        .name = named->name, .text = named->text, .options = options, .target = target};
    if (options->target.is_tls) {
        set->tls[index] = tls_setup_new(&options->tls, &options->target, error);
        if (set->tls[index] == NULL)
            return target_set_status(EXIT_STATUS_USAGE);
    }
    target_set_describe(options, set->tls[index], target);
    return target_set_resolve(options, target, error);
}

int target_set_prepare(struct target_set *set, struct error *error)
{
    struct error reason = {""};

    if (make_room(set) < 0) {
        error_set(error, "there is not enough memory");
        return EXIT_STATUS_SYSTEM;
    }
    for (size_t i = 0; i < set->list.count; i++) {
        const int status = prepare_one(set, i, &reason);

        if (status == 0)
            continue;
        error_set(error, "%s: %s", set->list.items[i].name, reason.text);
        return status;
    }
    return 0;
}
