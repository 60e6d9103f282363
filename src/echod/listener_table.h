/*
 * listener_table: the table of what a listener may be told beside its address: one row adds an
 * option. Reads nothing.
 * Called by listener_options.
 */
#ifndef ECHOD_LISTENER_TABLE_H
#define ECHOD_LISTENER_TABLE_H

#include "base/address.h"
#include "base/setting.h"

#include <stdbool.h>
#include <stddef.h>

#define LISTENER_TLS_ONLY (1U << 31) /* among schemes: and only where they speak TLS */

/* An option; its member is one of struct listener_options. */
struct listener_row {
    struct setting setting;
    unsigned schemes; /* of addresses that it goes with, as bits of enum address_scheme */
};

const struct listener_row *listener_table(void);

/* Return how many rows there are. */
size_t listener_table_length(void);

/* Tell whether the option goes with an address. */
bool listener_row_applies(const struct listener_row *row, const struct address *address);

#endif
