/*
 * admin_address: the addresses where operators are answered: a list as of listeners, whose items
 * may be told less and have other defaults. Opens nothing; sockets does. Called by options_table.
 */
#ifndef ECHOD_ADMIN_ADDRESS_H
#define ECHOD_ADMIN_ADDRESS_H

#include "base/error.h"
#include "base/origin.h"

enum {
    ADMIN_ADDRESS_MODE = 0600, /* of a Unix socket: who may write to it may act */
    ADMIN_ADDRESS_BACKLOG = 128,
};

/* As listen_list_init and listen_list_add; the options of each item are complete. */
void admin_address_init(void *list);
int admin_address_add(const char *text, const struct origin *origin, void *list,
                      struct error *error) __attribute__((warn_unused_result));

#endif
