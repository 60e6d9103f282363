#include <config.h>

#include "echod/gate.h"

#include "base/clock.h"
#include "base/descriptor.h"

#include <stdlib.h>
#include <sys/socket.h>

void gate_set_options(struct gate *gate, const struct admission_options *options)
{
    const struct admission_limits limits = admission_options_limits(options);

    gate->allow = options->allow;
    gate->deny = options->deny;
    gate->has_networks = options->allow.count > 0 || options->deny.count > 0;
    gate->counts_sources = admission_limits_sources(&limits);
    gate->resets = options->refuse_with == ADMISSION_REFUSAL_RESET;
}

static enum counter counter_of(enum admission_verdict verdict)
{
    switch (verdict) {
    case ADMISSION_DENIED:
        return COUNTER_REFUSED_NETWORK;
    case ADMISSION_SOURCE_FULL:
        return COUNTER_REFUSED_SOURCE_FULL;
    case ADMISSION_SOURCE_RATE:
        return COUNTER_REFUSED_SOURCE_RATE;
    case ADMISSION_RATE:
        return COUNTER_REFUSED_RATE;
    case ADMISSION_UNKNOWN:
        return COUNTER_SOURCES_UNKNOWN;
    case ADMISSION_GRANTED:
        break;
    }
    abort(); /* nothing to count */
}

/* Write who it is about: "10.0.0.1:5000 at public", and why. */
static void tell(struct gate *gate, const union peer *source, enum admission_verdict verdict)
{
    const bool is_granted = admission_is_granted(verdict);
    char text[ADDRESS_TEXT_SIZE] = "a proxy";
    struct log_field facts[] = {
        {.name = "listener", .text = gate->label},
        {.name = "peer", .text = text},
    };

    if (source != NULL)
        peer_format(source, text);
    log_write_limited(gate->log, is_granted ? &gate->unknown : &gate->refusals, LOG_LEVEL_WARNING,
                      facts, source == NULL ? 1 : 2, "%s is %s at %s: %s", text,
                      is_granted ? "not counted by source" : "refused", gate->label,
                      admission_verdict_text(verdict));
}

static enum admission_verdict judge(struct gate *gate, const union peer *source,
                                    struct admission_source **known)
{
    const struct sockaddr *address = source == NULL ? NULL : &source->any;

    if (gate->has_networks && !admission_allows(&gate->allow, &gate->deny, address))
        return ADMISSION_DENIED;
    if (gate->admission == NULL || !admission_is_limiting(gate->admission))
        return ADMISSION_GRANTED;
    return admission_enter(gate->admission, address, clock_now_ms(), known);
}

bool gate_lets_in(struct gate *gate, const union peer *source, struct admission_source **known)
{
    enum admission_verdict verdict;

    *known = NULL;
    verdict = judge(gate, source, known);
    if (verdict == ADMISSION_GRANTED)
        return true;
    counters_add(gate->counters, counter_of(verdict), 1);
    tell(gate, source, verdict);
    return admission_is_granted(verdict);
}

void gate_refuse(const struct gate *gate, int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (gate->resets) /* socket(7) */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    descriptor_close(fd);
}

void gate_let_out(struct gate *gate, struct admission_source *known)
{
    if (known != NULL)
        admission_leave(gate->admission, known);
}

void gate_recount(struct gate *gate, const union peer *source, struct admission_source **known)
{
    if (gate->admission != NULL)
        admission_recount(gate->admission, &source->any, known);
}
