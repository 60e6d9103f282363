#include <config.h>

#include "echod/counters.h"

#include <stddef.h>

/* --- Metrics --------------------------------------------------------------------------------- */

static const struct counter_metric accepted = {"echod_connections_accepted", NULL, NULL, false,
                                               "Connections that were accepted and served."};
static const struct counter_metric refused = {"echod_connections_refused", NULL, "reason", false,
                                              "Clients that were refused, by why."};
static const struct counter_metric ended = {"echod_connections_ended", NULL, "reason", false,
                                            "Connections that ended, by why; each has one reason."};
static const struct counter_metric bytes = {
    "echod_connection_bytes", "bytes", "direction", false,
    "Bytes that were received to be echoed, and those of the echo that the system has taken."};
static const struct counter_metric accept_pauses = {
    "echod_accept_pauses", NULL, "reason", false,
    "Times that accepting paused, by what had run out."};
static const struct counter_metric proxy_rejected = {
    "echod_proxy_headers_rejected", NULL, "reason", false,
    "Clients that were closed for their PROXY header, by why."};
static const struct counter_metric handshakes_overdue = {
    "echod_handshakes_overdue", NULL, NULL, false,
    "Clients that were closed because their header or handshake took too long."};
static const struct counter_metric sources_unknown = {
    "echod_sources_unknown", NULL, NULL, false,
    "Clients that were let in without being counted for their source."};
static const struct counter_metric held_back = {
    "echod_connections_held_back", NULL, NULL, false,
    "Connections that a limit of bytes a second has held back."};
static const struct counter_metric held_back_seconds = {
    "echod_held_back_seconds", "seconds", NULL, false,
    "Seconds for which connections were held back, of all added up."};
static const struct counter_metric identity_bytes = {
    "echod_identity_bytes", "bytes", NULL, false, "Bytes of identities that the system has taken."};
static const struct counter_metric tls_handshakes = {"echod_tls_handshakes", NULL, "result", false,
                                                     "Handshakes of TLS, by how they ended."};
static const struct counter_metric tls_resumptions = {
    "echod_tls_resumptions", NULL, NULL, false,
    "Handshakes of TLS that resumed a session, among those that completed."};
static const struct counter_metric tls_truncations = {
    "echod_tls_truncations", NULL, NULL, false, "Clients whose end came without close_notify."};
static const struct counter_metric impairments = {
    "echod_connection_impairments", NULL, "kind", false,
    "Connections that were treated badly on purpose, by how."};
static const struct counter_metric impaired_bytes = {
    "echod_connection_impaired_bytes", "bytes", NULL, false,
    "Bytes of connections that were changed on purpose."};
static const struct counter_metric datagrams = {
    "echod_datagrams", NULL, "direction", true,
    "Datagrams that were received, and that were sent."};
static const struct counter_metric datagram_bytes = {
    "echod_datagram_bytes", "bytes", "direction", true,
    "Bytes that were received in datagrams, and that were sent in them."};
static const struct counter_metric dropped = {"echod_datagrams_dropped", NULL, "reason", true,
                                              "Datagrams that got no answer, by why."};
static const struct counter_metric answers_failed = {
    "echod_datagram_answers_failed", NULL, NULL, true,
    "Answers that the system refused to send, or told of an error."};
static const struct counter_metric datagram_impairments = {
    "echod_datagram_impairments", NULL, "kind", true,
    "Datagrams that were treated badly on purpose, by how."};
static const struct counter_metric datagram_impaired_bytes = {
    "echod_datagram_impaired_bytes", "bytes", NULL, true,
    "Bytes of datagrams that were changed on purpose."};

/* --- Counters -------------------------------------------------------------------------------- */

static const struct counter_name names[COUNTER_COUNT] = {
    [COUNTER_CONNECTIONS_ACCEPTED] = {COUNTER_OF_CONNECTIONS, "accepted", "accepted",
                                      "Connections that were accepted and served.", &accepted,
                                      NULL},
    [COUNTER_CONNECTIONS_REFUSED] =
        {COUNTER_OF_CONNECTIONS, "refused", "refused",
         "Clients that were accepted and closed at once, for lack of memory.", &refused,
         "no_memory"},
    [COUNTER_BYTES_IN] = {COUNTER_OF_CONNECTIONS, "in", "in_bytes",
                          "Bytes that were received to be echoed.", &bytes, "in"},
    [COUNTER_BYTES_OUT] = {COUNTER_OF_CONNECTIONS, "out", "out_bytes",
                           "Bytes of the echo that the system has taken.", &bytes, "out"},
    [COUNTER_ACCEPT_SHORTAGES] =
        {COUNTER_OF_CONNECTIONS, "accept_shortages", "accept_shortages",
         "Times that accepting paused because descriptors or memory had run out.", &accept_pauses,
         "shortage"},
    [COUNTER_ACCEPT_LIMITS] = {COUNTER_OF_CONNECTIONS, "accept_limits", "accept_limits",
                               "Times that accepting paused at a limit of connections.",
                               &accept_pauses, "limit"},
    [COUNTER_PROXY_UNTRUSTED] =
        {COUNTER_OF_CONNECTIONS, "proxy_untrusted", "proxy_untrusted",
         "Clients that were closed because no PROXY header is taken from their address.",
         &proxy_rejected, "untrusted"},
    [COUNTER_PROXY_INVALID] =
        {COUNTER_OF_CONNECTIONS, "proxy_invalid", "proxy_invalid",
         "Clients that were closed because their PROXY header was wrong, or missing.",
         &proxy_rejected, "invalid"},
    [COUNTER_HANDSHAKES_OVERDUE] =
        {COUNTER_OF_CONNECTIONS, "handshakes_overdue", "handshakes_overdue",
         "Clients that were closed because their header or handshake took too long.",
         &handshakes_overdue, NULL},
    [COUNTER_REFUSED_NETWORK] =
        {COUNTER_OF_CONNECTIONS, "refused_network", "refused_network",
         "Clients that were refused because their address is not allowed, or is denied.", &refused,
         "network"},
    [COUNTER_REFUSED_SOURCE_FULL] =
        {COUNTER_OF_CONNECTIONS, "refused_source_full", "refused_source_full",
         "Clients that were refused because their source had as many connections as it may.",
         &refused, "source_full"},
    [COUNTER_REFUSED_SOURCE_RATE] =
        {COUNTER_OF_CONNECTIONS, "refused_source_rate", "refused_source_rate",
         "Clients that were refused because their source comes too often.", &refused,
         "source_rate"},
    [COUNTER_REFUSED_RATE] = {COUNTER_OF_CONNECTIONS, "refused_rate", "refused_rate",
                              "Clients that were refused because too many come in all.", &refused,
                              "rate"},
    [COUNTER_SOURCES_UNKNOWN] = {COUNTER_OF_CONNECTIONS, "sources_unknown", "sources_unknown",
                                 "Clients that were let in without being counted for their source.",
                                 &sources_unknown, NULL},
    [COUNTER_HELD_BACK] = {COUNTER_OF_CONNECTIONS, "held_back", "held_back",
                           "Connections that a limit of bytes a second has held back.", &held_back,
                           NULL},
    [COUNTER_HELD_BACK_SECONDS] = {COUNTER_OF_CONNECTIONS, "held_back_s", "held_back_seconds",
                                   "Seconds for which they were, of all added up.",
                                   &held_back_seconds, NULL},
    [COUNTER_IDENTITY_BYTES] = {COUNTER_OF_CONNECTIONS, "identity_out", "identity_out_bytes",
                                "Bytes of identities that the system has taken.", &identity_bytes,
                                NULL},
    [COUNTER_TLS_HANDSHAKES] = {COUNTER_OF_CONNECTIONS, "tls_handshakes", "tls_handshakes",
                                "Handshakes of TLS that were completed.", &tls_handshakes,
                                "completed"},
    [COUNTER_TLS_RESUMED] = {COUNTER_OF_CONNECTIONS, "tls_resumed", "tls_resumed",
                             "Handshakes of TLS that resumed a session.", &tls_resumptions, NULL},
    [COUNTER_TLS_FAILED] = {COUNTER_OF_CONNECTIONS, "tls_failed", "tls_failed",
                            "Clients that were closed because their handshake of TLS failed.",
                            &tls_handshakes, "failed"},
    [COUNTER_TLS_TRUNCATED] = {COUNTER_OF_CONNECTIONS, "tls_truncated", "tls_truncated",
                               "Clients whose end came without close_notify.", &tls_truncations,
                               NULL},
    [COUNTER_DATAGRAMS_IN] = {COUNTER_OF_DATAGRAMS, "datagrams_in", "datagrams_in",
                              "Datagrams that were received, each of a train counted.", &datagrams,
                              "in"},
    [COUNTER_DATAGRAMS_OUT] = {COUNTER_OF_DATAGRAMS, "datagrams_out", "datagrams_out",
                               "Datagrams that were sent.", &datagrams, "out"},
    [COUNTER_DATAGRAM_BYTES_IN] = {COUNTER_OF_DATAGRAMS, "datagram_in", "datagram_in_bytes",
                                   "Bytes that were received in datagrams.", &datagram_bytes, "in"},
    [COUNTER_DATAGRAM_BYTES_OUT] = {COUNTER_OF_DATAGRAMS, "datagram_out", "datagram_out_bytes",
                                    "Bytes that were sent in datagrams.", &datagram_bytes, "out"},
    [COUNTER_DATAGRAMS_FROM_LOW_PORT] =
        {COUNTER_OF_DATAGRAMS, "from_low_port", "from_low_port",
         "Datagrams that were dropped because they came from a port below 1024.", &dropped,
         "low_port"},
    [COUNTER_DATAGRAMS_FROM_OWN_PORT] =
        {COUNTER_OF_DATAGRAMS, "from_own_port", "from_own_port",
         "Datagrams that were dropped because they came from a port that is answered on.", &dropped,
         "own_port"},
    [COUNTER_DATAGRAMS_FROM_NO_HOST] =
        {COUNTER_OF_DATAGRAMS, "from_no_host", "from_no_host",
         "Datagrams that were dropped because their source is no host.", &dropped, "no_host"},
    [COUNTER_DATAGRAMS_TO_MANY] = {COUNTER_OF_DATAGRAMS, "to_many", "to_many",
                                   "Datagrams that were dropped because they were sent to many.",
                                   &dropped, "to_many"},
    [COUNTER_DATAGRAMS_WITHOUT_HOPS] =
        {COUNTER_OF_DATAGRAMS, "without_hops", "without_hops",
         "Datagrams that were dropped because no hop was left for their answer.", &dropped,
         "without_hops"},
    [COUNTER_DATAGRAMS_ABOVE_RATE] =
        {COUNTER_OF_DATAGRAMS, "above_rate", "above_rate",
         "Datagrams that were dropped because their source comes too often.", &dropped, "rate"},
    [COUNTER_DATAGRAMS_PAUSED] =
        {COUNTER_OF_DATAGRAMS, "while_paused", "while_paused",
         "Datagrams that were dropped because an operator had paused their listener.", &dropped,
         "paused"},
    [COUNTER_DATAGRAMS_FAILED] = {COUNTER_OF_DATAGRAMS, "failed", "failed",
                                  "Answers that the system refused to send, or told of an error.",
                                  &answers_failed, NULL},
    [COUNTER_DATAGRAMS_OVERFLOWED] =
        {COUNTER_OF_DATAGRAMS, "overflowed", "overflowed",
         "Datagrams that were never received because the receive buffer was full.", &dropped,
         "overflow"},
    [COUNTER_IMPAIR_CORRUPTED] = {COUNTER_OF_MISBEHAVIOUR, "corrupted", "impair_corrupted_bytes",
                                  "Bytes of connections that were changed on purpose.",
                                  &impaired_bytes, NULL},
    [COUNTER_IMPAIR_CLOSED] = {COUNTER_OF_MISBEHAVIOUR, "closed", "impair_closed",
                               "Connections that were closed on purpose.", &impairments, "closed"},
    [COUNTER_IMPAIR_RESET] = {COUNTER_OF_MISBEHAVIOUR, "reset", "impair_reset",
                              "Connections that were reset on purpose.", &impairments, "reset"},
    [COUNTER_IMPAIR_REFUSED] = {COUNTER_OF_MISBEHAVIOUR, "refused", "impair_refused",
                                "Connections that were refused on purpose.", &impairments,
                                "refused"},
    [COUNTER_IMPAIR_DROPPED] = {COUNTER_OF_MISBEHAVIOUR, "dropped", "impair_dropped",
                                "Datagrams that got no answer on purpose.", &datagram_impairments,
                                "dropped"},
    [COUNTER_IMPAIR_DUPLICATED] = {COUNTER_OF_MISBEHAVIOUR, "duplicated", "impair_duplicated",
                                   "Datagrams that got two answers on purpose.",
                                   &datagram_impairments, "duplicated"},
    [COUNTER_IMPAIR_REORDERED] = {COUNTER_OF_MISBEHAVIOUR, "reordered", "impair_reordered",
                                  "Datagrams whose answer was overtaken on purpose.",
                                  &datagram_impairments, "reordered"},
    [COUNTER_IMPAIR_TRUNCATED] = {COUNTER_OF_MISBEHAVIOUR, "truncated", "impair_truncated",
                                  "Datagrams whose answer was cut on purpose.",
                                  &datagram_impairments, "truncated"},
    [COUNTER_IMPAIR_OVERFLOWED] =
        {COUNTER_OF_MISBEHAVIOUR, "overflowed", "impair_overflowed",
         "Answers that were lost because too many are held back on purpose.", &datagram_impairments,
         "overflowed"},
    [COUNTER_IMPAIR_UNSENT] =
        {COUNTER_OF_MISBEHAVIOUR, "unsent", "impair_unsent",
         "Answers that were held back on purpose when their socket was closed.",
         &datagram_impairments, "unsent"},
    [COUNTER_IMPAIR_DATAGRAM_CORRUPTED] = {COUNTER_OF_MISBEHAVIOUR, "datagram_corrupted",
                                           "impair_datagram_corrupted_bytes",
                                           "Bytes of datagrams that were changed on purpose.",
                                           &datagram_impaired_bytes, NULL},
    [COUNTER_ENDED +
        CLOSE_CLIENT] = {COUNTER_OF_ENDS, "client_closed", "ended_client_closed",
                         "Connections that the client closed after it was sent everything.", &ended,
                         "client_closed"},
    [COUNTER_ENDED + CLOSE_RESET] = {COUNTER_OF_ENDS, "reset_by_client", "ended_reset_by_client",
                                     "Connections that the client reset, or left.", &ended,
                                     "reset_by_client"},
    [COUNTER_ENDED +
        CLOSE_NETWORK_ERROR] = {COUNTER_OF_ENDS, "network_error", "ended_network_error",
                                "Connections that ended with another error of the system.", &ended,
                                "network_error"},
    [COUNTER_ENDED + CLOSE_IDLE] = {COUNTER_OF_ENDS, "idle_timeout", "ended_idle_timeout",
                                    "Connections that were idle for too long.", &ended,
                                    "idle_timeout"},
    [COUNTER_ENDED + CLOSE_WRITE_STALL] = {COUNTER_OF_ENDS, "write_timeout", "ended_write_timeout",
                                           "Connections whose client took nothing for too long.",
                                           &ended, "write_timeout"},
    [COUNTER_ENDED + CLOSE_LIFETIME] = {COUNTER_OF_ENDS, "lifetime_over", "ended_lifetime_over",
                                        "Connections whose lifetime was over.", &ended,
                                        "lifetime_over"},
    [COUNTER_ENDED +
        CLOSE_UNTRUSTED] = {COUNTER_OF_ENDS, "untrusted_proxy", "ended_untrusted_proxy",
                            "Connections from an address that no PROXY header is taken from.",
                            &ended, "untrusted_proxy"},
    [COUNTER_ENDED + CLOSE_INVALID] = {COUNTER_OF_ENDS, "bad_proxy_header",
                                       "ended_bad_proxy_header",
                                       "Connections whose PROXY header was wrong, or missing.",
                                       &ended, "bad_proxy_header"},
    [COUNTER_ENDED + CLOSE_REFUSED] = {COUNTER_OF_ENDS, "refused", "ended_refused",
                                       "Connections whose header names a client that was refused.",
                                       &ended, "refused"},
    [COUNTER_ENDED + CLOSE_HANDSHAKE] = {COUNTER_OF_ENDS, "handshake_timeout",
                                         "ended_handshake_timeout",
                                         "Connections whose header or handshake took too long.",
                                         &ended, "handshake_timeout"},
    [COUNTER_ENDED +
        CLOSE_IDENTIFIED] = {COUNTER_OF_ENDS, "identity_sent", "ended_identity_sent",
                             "Connections that were told an identity, and nothing else.", &ended,
                             "identity_sent"},
    [COUNTER_ENDED + CLOSE_TLS] =
        {COUNTER_OF_ENDS, "tls_error", "ended_tls_error",
         "Connections whose handshake of TLS failed, or whose client broke the protocol.", &ended,
         "tls_error"},
    [COUNTER_ENDED +
        CLOSE_TRUNCATED] = {COUNTER_OF_ENDS, "no_close_notify", "ended_no_close_notify",
                            "Connections of TLS that the client closed without close_notify.",
                            &ended, "no_close_notify"},
    [COUNTER_ENDED + CLOSE_ON_PURPOSE] = {COUNTER_OF_ENDS, "closed_on_purpose",
                                          "ended_closed_on_purpose",
                                          "Connections that a listener closed on purpose.", &ended,
                                          "closed_on_purpose"},
    [COUNTER_ENDED + CLOSE_RESET_ON_PURPOSE] = {COUNTER_OF_ENDS, "reset_on_purpose",
                                                "ended_reset_on_purpose",
                                                "Connections that a listener reset on purpose.",
                                                &ended, "reset_on_purpose"},
    [COUNTER_ENDED + CLOSE_REFUSED_ON_PURPOSE] = {COUNTER_OF_ENDS, "refused_on_purpose",
                                                  "ended_refused_on_purpose",
                                                  "Connections that a listener refused on purpose.",
                                                  &ended, "refused_on_purpose"},
    [COUNTER_ENDED +
        CLOSE_OPERATOR] = {COUNTER_OF_ENDS, "closed_by_operator", "ended_closed_by_operator",
                           "Connections that an operator ended.", &ended, "closed_by_operator"},
    [COUNTER_ENDED + CLOSE_DRAIN] = {COUNTER_OF_ENDS, "drained", "ended_drained",
                                     "Connections that were left when a drain was over.", &ended,
                                     "drained"},
    [COUNTER_ENDED + CLOSE_STOP] = {COUNTER_OF_ENDS, "stopped", "ended_stopped",
                                    "Connections that were left when echod stopped at once.",
                                    &ended, "stopped"},
    [COUNTER_ENDED + CLOSE_NO_MEMORY] = {COUNTER_OF_ENDS, "out_of_memory", "ended_out_of_memory",
                                         "Connections that there was no memory for.", &ended,
                                         "out_of_memory"},
};

const struct counter_name *counters_name(enum counter which)
{
    return &names[which];
}

/* From a probe of a balancer to a connection that somebody forgot. */
const struct buckets_bounds *counters_age_bounds(void)
{
    enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
    static const uint64_t ages_ms[] = {10,      100,        1 * SECOND,  10 * SECOND,
                                       MINUTE,  5 * MINUTE, 15 * MINUTE, HOUR,
                                       DAY / 4, DAY,        7 * DAY};
    static const struct buckets_bounds bounds = {ages_ms, sizeof ages_ms / sizeof *ages_ms};

    _Static_assert(sizeof ages_ms / sizeof *ages_ms < BUCKETS_MAX, "one bucket has the rest");
    return &bounds;
}
