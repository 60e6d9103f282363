/*
 * socket_options: what a listener is told, as options of its sockets.
 * Opens and binds nothing.
 * Called by inet before and after it binds, by kept, and by listeners, datagrams and reload when
 * options change.
 */
#ifndef ECHOD_SOCKET_OPTIONS_H
#define ECHOD_SOCKET_OPTIONS_H

#include "echod/listener_options.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Set what counts when a socket of this address family is bound: v6only, device, mark, freebind.
 * Return 0, or -1 with errno and in `failed` the name of the option.
 */
int socket_options_set_before_bind(int fd, int family, const struct listener_options *options,
                                   const char **failed) __attribute__((warn_unused_result));

/*
 * Set what a TCP listener hands on to the sockets that it accepts (tcp(7)), also while it listens:
 * nodelay, keepalive, user-timeout, fastopen. Return as above.
 */
int socket_options_set_for_clients(int fd, const struct listener_options *options,
                                   const char **failed) __attribute__((warn_unused_result));

/*
 * Let so many bytes of datagrams wait at a socket, of which SETTING_AUTO is 4 MiB, as far as the
 * system allows: root exceeds its limit (net.core.rmem_max), others do not.
 */
void socket_options_set_receive_buffer(int fd, uint64_t bytes);

/*
 * Tell whether two listeners differ in what counts when a socket is bound, of a Unix socket its
 * permissions and owner too: a reload cannot change these.
 */
bool socket_options_need_bind(const struct listener_options *options,
                              const struct listener_options *other);

/* Return a number that two listeners share which do not differ in that. */
uint32_t socket_options_bound_checksum(const struct listener_options *options)
    __attribute__((warn_unused_result));

/* Let these stay as they are in `bound`. */
void socket_options_keep_bound(struct listener_options *options,
                               const struct listener_options *bound);

#endif
