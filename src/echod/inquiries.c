#include <config.h>

#include "echod/inquiries.h"

#include "base/clock.h"
#include "echod/connection.h"
#include "echod/timers.h"

#include <errno.h>

/* --- Find ------------------------------------------------------------------------------------ */

static bool passes(const struct inquiry *inquiry, const struct connection *connection)
{
    struct snapshot snapshot;

    connection_look(connection, &snapshot);
    return snapshot_filter_passes(inquiry->filter, &snapshot);
}

/* Take a step. Return whether it was the last. */
static bool find(const struct inquiries *inquiries, struct inquiry *inquiry)
{
    struct table_entry entry;

    for (int i = 0; i < INQUIRY_STEP; i++) {
        if (!table_step(inquiries->table, &inquiry->cursor, &entry))
            return true;
        if (entry.value != NULL && entry.id > inquiry->after &&
            lowest_would_keep(&inquiry->found, entry.id) && passes(inquiry, entry.value))
            lowest_keep(&inquiry->found, entry.id);
    }
    return false;
}

/* --- Describe -------------------------------------------------------------------------------- */

/* Return the connection that has an id, or NULL. */
static struct connection *find_one(const struct inquiries *inquiries, uint64_t id)
{
    return table_find(inquiries->table, id);
}

static void describe(const struct connection *connection, struct inquiry_result *result)
{
    connection_look(connection, &result->snapshot);
    result->has_tls = connection_describe_tls(connection, &result->tls);
}

static void describe_all(const struct inquiries *inquiries, const struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct connection *connection = find_one(inquiries, inquiry->ids[i]);

        if (connection != NULL)
            describe(connection, &inquiry->results[i]);
    }
}

/* Let one end, and tell what it is like then. One that has ended is as it was, but for that. */
static void end_one(const struct inquiries *inquiries, const struct inquiry *inquiry, size_t place)
{
    const uint64_t id = inquiry->ids[place];
    struct inquiry_result *result = &inquiry->results[place];
    struct connection *connection = find_one(inquiries, id);

    if (connection == NULL)
        return;
    describe(connection, result);
    if (inquiry->kind == INQUIRY_RESET)
        connection_reset(connection, CLOSE_OPERATOR);
    else
        connection_close(connection, CLOSE_OPERATOR);
    connection = find_one(inquiries, id);
    if (connection == NULL)
        result->snapshot.state = CONNECTION_ENDED;
    else
        connection_look(connection, &result->snapshot);
}

static void end_all(const struct inquiries *inquiries, const struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++)
        end_one(inquiries, inquiry, i);
}

/* --- Turns ----------------------------------------------------------------------------------- */

/* Take a step. Return whether it was the last. Nobody is ended for who does not wait any more. */
static bool answer(const struct inquiries *inquiries, struct inquiry *inquiry)
{
    if (atomic_load_explicit(inquiry->is_pointless, memory_order_relaxed))
        return true;
    switch (inquiry->kind) {
    case INQUIRY_FIND:
        return find(inquiries, inquiry);
    case INQUIRY_DESCRIBE:
        describe_all(inquiries, inquiry);
        return true;
    case INQUIRY_CLOSE:
    case INQUIRY_RESET:
        end_all(inquiries, inquiry);
        return true;
    case INQUIRY_LISTENERS:
        return true; /* the worker has done it */
    }
    return true;
}

/* Answer the first, which is its asker's from then on. */
static void report_first(struct inquiries *inquiries)
{
    struct inquiry *inquiry = inquiries->first;

    inquiries->first = inquiry->next;
    if (inquiries->first == NULL)
        inquiries->end = &inquiries->first;
    inquiry_report(inquiry);
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
    struct inquiries *inquiries = argument;
    const uint64_t end_ns = clock_now_ns() + INQUIRIES_TURN_NS;

    (void)fd;
    (void)what;
    while (inquiries->first != NULL && clock_now_ns() < end_ns) {
        if (answer(inquiries, inquiries->first))
            report_first(inquiries);
    }
    if (inquiries->first != NULL)
        timers_set_or_run(inquiries->turn, 0);
}

void inquiries_add(struct inquiries *inquiries, struct inquiry *inquiry)
{
    if (inquiries->first == NULL)
        event_active(inquiries->turn, EV_TIMEOUT, 1);
    inquiry->next = NULL;
    *inquiries->end = inquiry;
    inquiries->end = &inquiry->next;
}

void inquiries_end(struct inquiries *inquiries)
{
    while (inquiries->first != NULL)
        report_first(inquiries);
}

int inquiries_init(struct inquiries *inquiries)
{
    inquiries->end = &inquiries->first;
    inquiries->turn = evtimer_new(inquiries->base, on_turn, inquiries);
    if (inquiries->turn != NULL)
        return 0;
    errno = ENOMEM;
    return -1;
}

void inquiries_fini(struct inquiries *inquiries)
{
    timers_free(inquiries->turn);
}
