#include <config.h>

#include "echoctl/busiest.h"

#include "echoctl/json.h"

#include <stdlib.h>
#include <string.h>

static int compare_ids(const void *left, const void *right)
{
    const struct busiest_count *a = left, *b = right;

    return (a->id > b->id) - (a->id < b->id);
}

/* Find what a connection had carried before: nothing, if it was not there, or is another one. */
static struct busiest_count count_before(const struct busiest *busiest,
                                         const struct busiest_count *count)
{
    const int before = 1 - busiest->now;
    const struct busiest_count *found = bsearch(
        count, busiest->counts[before], busiest->totals[before], sizeof *count, compare_ids);

    return found != NULL && found->age_ms <= count->age_ms ? *found : (struct busiest_count){0};
}

static double carried(const struct busiest_row *row)
{
    return row->rates.in_bytes + row->rates.out_bytes;
}

/* Put a row where it belongs, if it is among the busiest; of equal ones the first stays first. */
static void insert(struct busiest *busiest, const struct busiest_row *row)
{
    size_t place = busiest->row_count;

    while (place > 0 && carried(&busiest->rows[place - 1]) < carried(row))
        place--;
    if (place == BUSIEST_SHOWN)
        return;
    if (busiest->row_count < BUSIEST_SHOWN)
        busiest->row_count++;
    memmove(&busiest->rows[place + 1], &busiest->rows[place],
            (busiest->row_count - 1 - place) * sizeof *row);
    busiest->rows[place] = *row;
}

static void take_one(struct busiest *busiest, const struct connection_facts *facts)
{
    struct busiest_count *count = &busiest->counts[busiest->now][busiest->totals[busiest->now]++];
    struct busiest_row row = {.facts = *facts};
    struct busiest_count before;

    *count = (struct busiest_count){
        .id = facts->id,
        .age_ms = facts->age_ms,
        .traffic = {.in_bytes = facts->in_bytes, .out_bytes = facts->out_bytes}};
    before = count_before(busiest, count);
    row.rates = rates_between(&before.traffic, &count->traffic, count->age_ms - before.age_ms);
    if (carried(&row) > 0)
        insert(busiest, &row);
}

void busiest_take(struct busiest *busiest, const char *first)
{
    struct connection_facts facts;

    busiest->now = 1 - busiest->now;
    busiest->totals[busiest->now] = busiest->row_count = 0;
    for (const char *each = first; each != NULL; each = json_next(each)) {
        if (busiest->totals[busiest->now] < BUSIEST_LOOKED_AT &&
            answers_read_connection(each, &facts))
            take_one(busiest, &facts);
    }
}

void busiest_forget(struct busiest *busiest)
{
    busiest->totals[0] = busiest->totals[1] = busiest->row_count = 0;
}

size_t busiest_looked_at(const struct busiest *busiest)
{
    return busiest->totals[busiest->now];
}
