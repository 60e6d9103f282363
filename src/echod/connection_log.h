/*
 * connection_log: the lines of the log about one connection.
 * Decides nothing about it.
 * Called by connection_state.
 */
#ifndef ECHOD_CONNECTION_LOG_H
#define ECHOD_CONNECTION_LOG_H

#include "base/log.h"
#include "echod/close_reason.h"
#include "echod/peer.h"
#include "echod/tls_session.h"

#include <stdint.h>

/* What each line tells. */
struct connection_facts {
    uint64_t id;
    union peer peer;
    uint64_t bytes_in, bytes_out;
    uint64_t started_ms; /* clock_now_ms */
};

/* By which way it came. */
struct connection_way {
    const char *listener;        /* its name, or empty */
    const union peer *via;       /* the proxy, if the peer is whom it speaks for; or NULL */
    const struct tls_facts *tls; /* what was agreed, or NULL */
};

/* All save and restore errno. The first costs the same whether its level is enabled: ask before. */
void connection_log_opened(const struct connection_facts *facts, struct connection_way way,
                           struct log *log);

/* `detail` says more than the reason, or is NULL. */
void connection_log_closed(const struct connection_facts *facts, struct connection_way way,
                           enum close_reason reason, const char *detail, struct log *log);

/* Write where a connection stands that has not ended. */
void connection_log_state(const struct connection_facts *facts, struct connection_way way,
                          const char *state, enum log_level level, struct log *log);

#endif
