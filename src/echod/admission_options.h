/*
 * admission_options: who may come in at a listener, as it is told, as plain data; and how such
 * values are written. Decides nothing; admission does.
 * Called by listener_table and options_table, whose rows have these members, and by listeners,
 * listener_stats and gate, which hand on what they say.
 */
#ifndef ECHOD_ADMISSION_OPTIONS_H
#define ECHOD_ADMISSION_OPTIONS_H

#include "base/network.h"
#include "base/setting.h"
#include "echod/admission.h"

#include <stdbool.h>
#include <stdint.h>

/* How a client learns that it is refused: by RST, or by FIN. */
enum admission_refusal { ADMISSION_REFUSAL_RESET, ADMISSION_REFUSAL_CLOSE };

/* Plain data, and no pointer in it. */
struct admission_options {
    struct network_list allow; /* empty: everybody */
    struct network_list deny;
    uint64_t max_connections_per_source; /* 0: no limit, as with the rates */
    double accept_rate, accept_rate_per_source;
    uint64_t source_prefix_v4, source_prefix_v6;
    unsigned refuse_with; /* enum admission_refusal */
};

/* Return the limits among them. */
struct admission_limits admission_options_limits(const struct admission_options *options);

/* Write a list of networks, and a rate; each is a setting_format. */
bool admission_format_networks(const void *member, char text[SETTING_VALUE_SIZE]);
bool admission_format_rate(const void *member, char text[SETTING_VALUE_SIZE]);

#endif
