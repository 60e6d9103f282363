#include <config.h>

#include "echod/counters.h"

static const struct counter_name names[COUNTER_COUNT] = {
    [COUNTER_CONNECTIONS_ACCEPTED] = {"accepted", "accepted", false},
    [COUNTER_CONNECTIONS_ENDED] = {"ended", "ended", false},
    [COUNTER_CONNECTIONS_REFUSED] = {"refused", "refused", false},
    [COUNTER_BYTES_IN] = {"in", "in_bytes", false},
    [COUNTER_BYTES_OUT] = {"out", "out_bytes", false},
    [COUNTER_ACCEPT_SHORTAGES] = {"accept_shortages", "accept_shortages", false},
    [COUNTER_ACCEPT_LIMITS] = {"accept_limits", "accept_limits", false},
    [COUNTER_PROXY_UNTRUSTED] = {"proxy_untrusted", "proxy_untrusted", false},
    [COUNTER_PROXY_INVALID] = {"proxy_invalid", "proxy_invalid", false},
    [COUNTER_HANDSHAKES_OVERDUE] = {"handshakes_overdue", "handshakes_overdue", false},
    [COUNTER_IDENTITY_BYTES] = {"identity_out", "identity_out_bytes", false},
    [COUNTER_TLS_HANDSHAKES] = {"tls_handshakes", "tls_handshakes", false},
    [COUNTER_TLS_RESUMED] = {"tls_resumed", "tls_resumed", false},
    [COUNTER_TLS_FAILED] = {"tls_failed", "tls_failed", false},
    [COUNTER_TLS_TRUNCATED] = {"tls_truncated", "tls_truncated", false},
    [COUNTER_DATAGRAMS_IN] = {"datagrams_in", "datagrams_in", true},
    [COUNTER_DATAGRAMS_OUT] = {"datagrams_out", "datagrams_out", true},
    [COUNTER_DATAGRAM_BYTES_IN] = {"datagram_in", "datagram_in_bytes", true},
    [COUNTER_DATAGRAM_BYTES_OUT] = {"datagram_out", "datagram_out_bytes", true},
    [COUNTER_DATAGRAMS_FROM_LOW_PORT] = {"from_low_port", "from_low_port", true},
    [COUNTER_DATAGRAMS_FROM_OWN_PORT] = {"from_own_port", "from_own_port", true},
    [COUNTER_DATAGRAMS_FROM_NO_HOST] = {"from_no_host", "from_no_host", true},
    [COUNTER_DATAGRAMS_TO_MANY] = {"to_many", "to_many", true},
    [COUNTER_DATAGRAMS_WITHOUT_HOPS] = {"without_hops", "without_hops", true},
    [COUNTER_DATAGRAMS_ABOVE_RATE] = {"above_rate", "above_rate", true},
    [COUNTER_DATAGRAMS_FAILED] = {"failed", "failed", true},
    [COUNTER_DATAGRAMS_OVERFLOWED] = {"overflowed", "overflowed", true},
    [COUNTER_IMPAIR_CORRUPTED] = {"corrupted", "impair_corrupted_bytes", false},
    [COUNTER_IMPAIR_CLOSED] = {"closed", "impair_closed", false},
    [COUNTER_IMPAIR_RESET] = {"reset", "impair_reset", false},
    [COUNTER_IMPAIR_REFUSED] = {"refused", "impair_refused", false},
    [COUNTER_IMPAIR_DROPPED] = {"dropped", "impair_dropped", true},
    [COUNTER_IMPAIR_DUPLICATED] = {"duplicated", "impair_duplicated", true},
    [COUNTER_IMPAIR_REORDERED] = {"reordered", "impair_reordered", true},
    [COUNTER_IMPAIR_TRUNCATED] = {"truncated", "impair_truncated", true},
    [COUNTER_IMPAIR_OVERFLOWED] = {"overflowed", "impair_overflowed", true},
    [COUNTER_IMPAIR_UNSENT] = {"unsent", "impair_unsent", true},
    [COUNTER_IMPAIR_DATAGRAM_CORRUPTED] = {"datagram_corrupted", "impair_datagram_corrupted_bytes",
                                           true},
};

const struct counter_name *counters_name(enum counter which)
{
    return &names[which];
}
