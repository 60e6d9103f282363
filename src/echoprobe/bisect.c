#include <config.h>

#include "echoprobe/bisect.h"

static uint64_t tolerance(const struct bisect *bisect)
{
    const uint64_t part = bisect->parts == 0 ? 0 : bisect->failed / bisect->parts;

    return part > bisect->tolerance ? part : bisect->tolerance;
}

static bool is_closed(const struct bisect *bisect)
{
    return bisect->failed != BISECT_NONE && bisect->failed - bisect->passed <= tolerance(bisect);
}

static uint64_t next_larger(const struct bisect *bisect)
{
    uint64_t value = bisect->passed + bisect->passed / 4;

    if (value == bisect->passed)
        value++;
    if (value < bisect->first)
        value = bisect->first;
    return value < bisect->maximum ? value : bisect->maximum;
}

uint64_t bisect_next(const struct bisect *bisect)
{
    if (bisect->failed == BISECT_NONE)
        return bisect->passed >= bisect->maximum ? BISECT_NONE : next_larger(bisect);
    if (!is_closed(bisect))
        return bisect->passed + (bisect->failed - bisect->passed) / 2;
    return bisect->is_confirmed ? BISECT_NONE : bisect->failed;
}

void bisect_note_passed(struct bisect *bisect, uint64_t value)
{
    if (value >= bisect->passed) {
        bisect->passed = value;
        bisect->is_doubted = false;
    }
    if (value < bisect->failed)
        return;
    bisect->failed = BISECT_NONE;
    bisect->is_confirmed = false;
}

/* Less than what passed has failed: once tells nothing, twice that passing was a coincidence. */
static void doubt(struct bisect *bisect, uint64_t value, bool may_confirm)
{
    if (!bisect->is_doubted || !may_confirm) {
        bisect->is_doubted = true;
        return;
    }
    bisect->passed = 0;
    bisect->failed = value;
    bisect->is_doubted = bisect->is_confirmed = false;
}

void bisect_note_failed(struct bisect *bisect, uint64_t value, bool may_confirm)
{
    if (value <= bisect->passed) {
        doubt(bisect, value, may_confirm);
        return;
    }
    if (may_confirm && is_closed(bisect) && value <= bisect->failed + tolerance(bisect))
        bisect->is_confirmed = true;
    if (value < bisect->failed)
        bisect->failed = value;
}
