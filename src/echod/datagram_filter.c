#include <config.h>

#include "echod/datagram_filter.h"

#include "base/clock.h"
#include "echod/source_rate.h"

#include <stdint.h>
#include <unistd.h>
#ifdef HAVE_SYS_RANDOM_H
#include <sys/random.h>
#endif

/* --- Judgement ------------------------------------------------------------------------------- */

static enum counter counter_of(enum datagram_verdict verdict)
{
    switch (verdict) {
    case DATAGRAM_IS_FINE:
        break;
    case DATAGRAM_FROM_LOW_PORT:
        return COUNTER_DATAGRAMS_FROM_LOW_PORT;
    case DATAGRAM_FROM_OWN_PORT:
        return COUNTER_DATAGRAMS_FROM_OWN_PORT;
    case DATAGRAM_FROM_NO_HOST:
        return COUNTER_DATAGRAMS_FROM_NO_HOST;
    case DATAGRAM_TO_MANY:
        return COUNTER_DATAGRAMS_TO_MANY;
    case DATAGRAM_WITHOUT_HOPS:
        return COUNTER_DATAGRAMS_WITHOUT_HOPS;
    }
    return COUNTER_DATAGRAMS_IN;
}

/* Return how many datagrams of a train the rate lets pass. */
static uint64_t apply_rate(struct datagram_filter *filter, const struct datagram *datagram,
                           uint64_t wanted, struct counters *counters)
{
    uint64_t passed;

    if (filter->rate == NULL)
        return wanted;
    passed = source_rate_take(filter->rate, &datagram->source.any, wanted, clock_now_ms());
    if (passed < wanted)
        counters_add(counters, COUNTER_DATAGRAMS_ABOVE_RATE, wanted - passed);
    return passed;
}

bool datagram_filter_passes(struct datagram_filter *filter, const struct datagram *datagram,
                            struct counters *counters, size_t *length)
{
    const struct datagram_arrival *arrival = &datagram->arrival;
    const uint64_t datagrams = datagram_count(datagram);
    const enum datagram_verdict verdict =
        datagram_guard_judge(&datagram->source.any, arrival->is_to_many, arrival->hops,
                             filter->own_ports, filter->are_low_ports_allowed);
    uint64_t passed;

    counters_add(counters, COUNTER_DATAGRAMS_IN, datagrams);
    counters_add(counters, COUNTER_DATAGRAM_BYTES_IN, datagram->length);
    if (verdict != DATAGRAM_IS_FINE) {
        counters_add(counters, counter_of(verdict), datagrams);
        return false;
    }
    passed = apply_rate(filter, datagram, datagrams, counters);
    *length = passed == datagrams ? datagram->length : (size_t)passed * arrival->segment_bytes;
    return passed > 0;
}

/* --- Limits ---------------------------------------------------------------------------------- */

/* Make the table of a rate. Return 0, or -1 with errno. */
static int make_rate(double per_second, struct source_rate **rate)
{
    unsigned char seed[SOURCE_KEY_SEED_SIZE];

    *rate = NULL;
    if (per_second == 0)
        return 0;
    if (getentropy(seed, sizeof seed) < 0)
        return -1;
    *rate = source_rate_new(per_second, seed);
    return *rate != NULL ? 0 : -1;
}

int datagram_filter_change(struct datagram_filter *filter, bool are_low_ports_allowed,
                           double rate_per_second)
{
    struct source_rate *rate;

    if (rate_per_second != filter->rate_per_second) {
        if (make_rate(rate_per_second, &rate) < 0)
            return -1;
        source_rate_free(filter->rate);
        filter->rate = rate;
        filter->rate_per_second = rate_per_second;
    }
    filter->are_low_ports_allowed = are_low_ports_allowed;
    return 0;
}

void datagram_filter_fini(struct datagram_filter *filter)
{
    source_rate_free(filter->rate);
}
