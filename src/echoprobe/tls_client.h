/*
 * tls_client: TLS on one connected socket: the handshake, records, close_notify, and what was
 * agreed on.
 * Owns no socket, and knows no events; connector and stream wait. What all connections share is
 * tls_setup's.
 * Called by transport, which says what its functions promise, and by stream for the facts.
 */
#ifndef ECHOPROBE_TLS_CLIENT_H
#define ECHOPROBE_TLS_CLIENT_H

#include "echoprobe/fault.h"
#include "echoprobe/tls_facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_client;
struct tls_setup;

/* Begin on a connected socket. The setup must outlive it. Return NULL with errno ENOMEM. */
struct tls_client *tls_client_new(struct tls_setup *setup, int fd);

/* Say close_notify, if that is owed and there is room, and free it. */
void tls_client_free(struct tls_client *client);

int tls_client_shake_hands(struct tls_client *client) __attribute__((warn_unused_result));
ssize_t tls_client_send(struct tls_client *client, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
ssize_t tls_client_receive(struct tls_client *client, void *bytes, size_t size)
    __attribute__((warn_unused_result));
bool tls_client_has_more(const struct tls_client *client);
bool tls_client_is_crossed(const struct tls_client *client);
int tls_client_finish(struct tls_client *client) __attribute__((warn_unused_result));

/*
 * The kinds are FAULT_UNVERIFIED, FAULT_HANDSHAKE (also later, if the other end refuses what came
 * with our end of the handshake), FAULT_TRUNCATED without close_notify, and FAULT_RESET.
 */
void tls_client_explain(const struct tls_client *client, int failure, struct fault *fault);

/* Write what was agreed on, once the handshake is done. */
void tls_client_tell(const struct tls_client *client, struct tls_facts *facts);

#endif
