/*
 * connection: one client's life, from the descriptor to the line in the log that says why it ended.
 * Knows neither the table nor the worker: its end is reported through a callback.
 * Called by clients, and by client_group, which makes the groups.
 *
 *     [handshake --> greeting -->] open ----> draining ----> lingering ----> ended
 *
 * handshake  reads the header of the PROXY protocol, on listeners that ask for one
 * greeting   the identity leaves, on listeners that tell one; nothing is read until then
 * open       echoes; reading pauses while much output waits
 * draining   reads no more (the client sent FIN, or we end it); what is queued still leaves
 * lingering  our FIN is out, the client's is not in: reads and discards, so that no RST destroys
 *            what is under way
 * ended      logged and counted; the owner has been told
 */
#ifndef ECHOD_CONNECTION_H
#define ECHOD_CONNECTION_H

#include "base/log.h"
#include "echod/close_reason.h"
#include "echod/connection_group.h"
#include "echod/peer.h"
#include "echod/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;

/*
 * Make the queues of a group whose other members are set.
 * Return 0, or -1 with errno ENOMEM and nothing left to undo.
 */
int connection_init_group(struct connection_group *group) __attribute__((warn_unused_result));

/*
 * Make a connection that reads from one descriptor and writes to another, or to the same one. Both
 * must be non-blocking. They belong to the connection from here on; on failure they are still the
 * caller's. Nothing is read before connection_start.
 * Return NULL with errno ENOMEM.
 */
struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer);

/* Let it count for a source, which gate_lets_in has given, until it is freed. NULL is fine. */
void connection_count_for(struct connection *connection, struct admission_source *known);

/* Count it for its source under the limits of now, if it is known where it comes from. */
void connection_recount(struct connection *connection);

/*
 * Begin to echo under this id.
 * Return 0, or -1 with errno if the loop has no memory for it; free the connection then.
 */
int connection_start(struct connection *connection, uint64_t id)
    __attribute__((warn_unused_result));

/*
 * Free a connection, which closes its descriptors when the loop turns next. Calls no callback.
 * NULL is fine.
 */
void connection_free(struct connection *connection);

/*
 * Stop reading, let what is queued leave, say FIN and wait for the client's, all of it within the
 * linger time-out. The connection may have ended when this returns. Once is enough: a connection
 * that is on its way out already only gets the deadline.
 */
void connection_close(struct connection *connection, enum close_reason reason);

/* End at once. What is queued is lost. */
void connection_abort(struct connection *connection, enum close_reason reason);

/* The same, and let the client see a reset, where there is such a thing. */
void connection_reset(struct connection *connection, enum close_reason reason);

uint64_t connection_id(const struct connection *connection);

/* Return why the connection ended, once it has. */
enum close_reason connection_reason(const struct connection *connection);

/*
 * Tell whether everything that the client sent was echoed, and it ended the connection, or its
 * listener does no more than to tell its identity.
 */
bool connection_is_complete(const struct connection *connection);

/* Tell what it is like now. */
void connection_look(const struct connection *connection, struct snapshot *snapshot);

/* Tell what was agreed with TLS. Return false if nothing was, or not yet. */
bool connection_describe_tls(const struct connection *connection, struct tls_facts *facts);

/* Write one line about the connection as it is now: state, bytes, age. */
void connection_report(const struct connection *connection, enum log_level level);

#endif
