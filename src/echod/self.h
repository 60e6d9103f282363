/*
 * self: who this process is: its host, what runs it, and where it was put, as the environment says.
 * Knows no listener. Reads nothing of the environment but what the table in self.c names.
 * Called by server, once at the start; identify shows it.
 */
#ifndef ECHOD_SELF_H
#define ECHOD_SELF_H

#include "base/identity.h"

#include <stdint.h>

enum { SELF_TEXT_SIZE = IDENTITY_VALUE_SIZE + 2 }; /* what is too long still is when it was kept */

/* Plain data. What is not known is empty. */
struct self {
    char host[SELF_TEXT_SIZE];
    char pod[SELF_TEXT_SIZE], pod_namespace[SELF_TEXT_SIZE], pod_ip[SELF_TEXT_SIZE];
    char node[SELF_TEXT_SIZE], container[SELF_TEXT_SIZE];
    char supervisor_process[SELF_TEXT_SIZE], supervisor_group[SELF_TEXT_SIZE];
    uint64_t pid;
};

void self_read(struct self *self);

#endif
