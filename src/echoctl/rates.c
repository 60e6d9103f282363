#include <config.h>

#include "echoctl/rates.h"

#include <string.h>

static double rate(uint64_t before, uint64_t now, uint64_t duration_ms)
{
    return now < before || duration_ms == 0 ? 0
                                            : (double)(now - before) * 1000 / (double)duration_ms;
}

struct rates rates_between(const struct traffic *before, const struct traffic *now,
                           uint64_t duration_ms)
{
    return (struct rates){
        .accepted = rate(before->accepted, now->accepted, duration_ms),
        .refused = rate(before->refused, now->refused, duration_ms),
        .in_bytes = rate(before->in_bytes, now->in_bytes, duration_ms),
        .out_bytes = rate(before->out_bytes, now->out_bytes, duration_ms),
        .datagrams_in = rate(before->datagrams_in, now->datagrams_in, duration_ms),
        .datagrams_out = rate(before->datagrams_out, now->datagrams_out, duration_ms),
    };
}

bool rates_is_same_run(const struct service_facts *before, const struct service_facts *now)
{
    return before->pid == now->pid && strcmp(before->started, now->started) == 0 &&
           before->uptime_ms <= now->uptime_ms;
}
