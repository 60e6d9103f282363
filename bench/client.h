/*
 * client: one connection to the server under test, and words about what goes wrong with it.
 * Knows nothing of what is sent.
 * Called by the generator's works.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "works.h"

#include <stdint.h>

/*
 * Connect to 127.0.0.1, from an address of 127.0.1.0/24 that `key` chooses: one address has too few
 * ports for what waits in TIME_WAIT. The socket has TCP_NODELAY and is blocking. The caller closes
 * it. Return -1 with errno.
 */
int client_connect(uint16_t port, uint64_t key) __attribute__((warn_unused_result));

/*
 * The same for datagrams: the socket sends to 127.0.0.1, and takes datagrams from there only. It
 * holds what a burst brings as far as the system allows.
 */
int client_connect_datagrams(uint16_t port, uint64_t key) __attribute__((warn_unused_result));

/* Report what `key`'s connection suffered; with errno if `outcome` is SYSTEM or LOST. */
enum outcome client_report(uint64_t key, enum outcome outcome);

#endif
