/*
 * options_fit: whether the values of echoprobe's options fit together.
 * Reads none and changes none; options does.
 * Called by options.
 */
#ifndef ECHOPROBE_OPTIONS_FIT_H
#define ECHOPROBE_OPTIONS_FIT_H

#include "base/error.h"
#include "echoprobe/options.h"

/*
 * Check values of which some may still be SETTING_AUTO.
 * Return 0, or -1 with errno EINVAL and in `error` a sentence that names the option and what would
 * be right.
 */
int options_fit(const struct options *options, struct error *error)
    __attribute__((warn_unused_result));

#endif
