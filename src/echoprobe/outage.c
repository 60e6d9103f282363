#include <config.h>

#include "echoprobe/outage.h"

static void count_until(struct outage *outage, uint64_t until_ns, struct tally *tally)
{
    if (until_ns <= outage->counted_ns)
        return;
    tally->downtime_ns += until_ns - outage->counted_ns;
    outage->counted_ns = until_ns;
    if (until_ns - outage->begin_ns > tally->longest_outage_ns)
        tally->longest_outage_ns = until_ns - outage->begin_ns;
}

void outage_note_lost(struct outage *outage, uint64_t due_ns, struct tally *tally)
{
    if (!outage->is_on) {
        *outage = (struct outage){.is_on = true, .begin_ns = due_ns, .counted_ns = due_ns};
        tally->outages++;
    }
    count_until(outage, due_ns, tally);
}

void outage_end(struct outage *outage, uint64_t due_ns, struct tally *tally)
{
    if (!outage->is_on)
        return;
    count_until(outage, due_ns, tally);
    outage->is_on = false;
}
