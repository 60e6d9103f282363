/*
 * target_set: targets that begin together, ready to be probed: files of targets and of TLS are
 * read, addresses resolved.
 * Probes none.
 * Called by start for the first ones, by roster for those that come later.
 */
#ifndef ECHOPROBE_TARGET_SET_H
#define ECHOPROBE_TARGET_SET_H

#include "base/error.h"
#include "echoprobe/account.h"
#include "echoprobe/options.h"
#include "echoprobe/target.h"
#include "echoprobe/targets.h"

#include <stddef.h>

struct tls_setup;

/* All zeros: none. What follows the list has an element for each of it. */
struct target_set {
    struct targets list;
    struct account_target *targets;
    struct target *places;
    struct tls_setup **tls;
};

/*
 * Make targets of the list, which the caller has read into it. The caller frees the set, also when
 * it fails. Return 0; or an exit status, and a sentence in `error`.
 */
int target_set_prepare(struct target_set *set, struct error *error);

void target_set_free(struct target_set *set);

/* Describe one target; `tls` is what TLS needs, or NULL. It is not resolved. */
void target_set_describe(const struct options *options, struct tls_setup *tls,
                         struct target *target);

/*
 * Resolve a target, unless its name may be looked up while it is probed. Return 0; or an exit
 * status, and a sentence in `error`.
 */
int target_set_resolve(const struct options *options, struct target *target, struct error *error);

/* Return the exit status of what has failed with errno: for lack of memory the system's. */
int target_set_status(int other);

#endif
