#include <config.h>

#include "echod/transfer.h"

#include "base/clock.h"
#include "echod/counters.h"
#include "echod/echo.h"
#include "echod/echo_tls.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>

/* --- What waits ------------------------------------------------------------------------------ */

void transfer_expect_progress(struct transfer *transfer)
{
    struct timeout_queue *queue = &transfer->group->write_stall;

    if (queue->duration_ms == 0)
        return;
    transfer->unacknowledged_bytes = channel_unacknowledged_bytes(&transfer->channel);
    timeout_touch(queue, &transfer->write_stall);
}

void transfer_expect_nothing(struct transfer *transfer)
{
    timeout_cancel(&transfer->group->write_stall, &transfer->write_stall);
}

/* That alone is no stall: the kernel asks for more only when a third of its buffer is free. */
bool transfer_has_stalled(struct transfer *transfer)
{
    if (channel_unacknowledged_bytes(&transfer->channel) >= transfer->unacknowledged_bytes)
        return true;
    transfer_expect_progress(transfer);
    return false;
}

static void note_moved(struct transfer *transfer)
{
    transfer->moved_ms = clock_now_ms();
    timeout_postpone(&transfer->group->idle, &transfer->idle);
}

void transfer_count_received(struct transfer *transfer, size_t count)
{
    if (count == 0)
        return;
    transfer->bytes_in += count;
    counters_add(transfer->group->counters, COUNTER_BYTES_IN, count);
    note_moved(transfer);
}

static void count_sent(struct transfer *transfer, size_t count)
{
    transfer->bytes_out += count;
    counters_add(transfer->group->counters, COUNTER_BYTES_OUT, count);
}

/*
 * Keep account of what waits: `added_bytes` came since the last time, `held_bytes` of all are not
 * in output yet, and what is missing besides was sent. Return how much that is.
 */
static inline size_t settle(struct transfer *transfer, size_t added_bytes, size_t held_bytes)
{
    struct connection_group *group = transfer->group;
    const size_t expected = transfer->queued_bytes + added_bytes;
    const size_t output = evbuffer_get_length(channel_output(&transfer->channel));
    const size_t queued = output + held_bytes;
    const size_t sent = expected - queued;

    transfer->queued_bytes = queued;
    gauge_change(&group->pool->queued_bytes, added_bytes, sent);
    if (output == 0)
        timeout_cancel(&group->write_stall, &transfer->write_stall);
    else if (sent > 0 || !timeout_is_armed(&transfer->write_stall))
        transfer_expect_progress(transfer);
    return sent;
}

/* The same, of the echo. */
static inline void account(struct transfer *transfer, size_t added_bytes, size_t held_bytes)
{
    const size_t sent = settle(transfer, added_bytes, held_bytes);

    if (sent == 0)
        return;
    count_sent(transfer, sent);
    note_moved(transfer);
}

static void account_output(struct transfer *transfer, size_t added_bytes)
{
    account(transfer, added_bytes, 0);
}

void transfer_account(struct transfer *transfer, size_t added_bytes, size_t held_bytes)
{
    account(transfer, added_bytes, held_bytes);
}

void transfer_note_sent(struct transfer *transfer)
{
    account_output(transfer, 0);
}

void transfer_forget(struct transfer *transfer, size_t count)
{
    transfer->queued_bytes -= count;
    gauge_change(&transfer->group->pool->queued_bytes, 0, count);
}

/* Tell whether output that waits must not grow: on this connection, or on all of them together. */
static bool is_output_high(const struct transfer *transfer, uint64_t mark_bytes)
{
    const struct connection_group *group = transfer->group;
    const size_t queued = transfer->queued_bytes;

    return queued > 0 && (queued >= mark_bytes ||
                          gauge_get(&group->pool->queued_bytes) >= group->limits.max_queued_bytes);
}

/* The shortcut needs an empty output: it pauses at the first byte that waits. */
int transfer_update_reading(struct transfer *transfer)
{
    struct channel *channel = &transfer->channel;
    const struct connection_limits *limits = &transfer->group->limits;
    const bool is_shortcut = channel->socket_readable != NULL && !channel->is_fed;
    const uint64_t high_bytes = is_shortcut ? 1 : limits->high_water_bytes;
    const uint64_t low_bytes = is_shortcut ? 0 : limits->low_water_bytes;

    if (channel_is_reading(channel) && is_output_high(transfer, high_bytes))
        channel_stop_reading(channel);
    else if (!channel_is_reading(channel) && !is_output_high(transfer, low_bytes + 1))
        return channel_start_reading(channel);
    assert(channel_is_reading(channel) || transfer->queued_bytes > 0); /* or nothing were armed */
    return 0;
}

/* --- By the bufferevent ---------------------------------------------------------------------- */

int transfer_echo_input(struct transfer *transfer)
{
    struct evbuffer *input = channel_input(&transfer->channel);
    const size_t length = evbuffer_get_length(input);

    if (length == 0)
        return 0;
    transfer_count_received(transfer, length);
    if (echo_input(input, channel_output(&transfer->channel)) < 0)
        return -1;
    account_output(transfer, length);
    return channel_send_output(&transfer->channel);
}

void transfer_discard_input(struct transfer *transfer)
{
    struct evbuffer *input = channel_input(&transfer->channel);

    (void)evbuffer_drain(input, evbuffer_get_length(input));
}

/* --- By the shortcut ------------------------------------------------------------------------- */

/* Return how much output this connection may have, by itself and as one of all. */
static uint64_t output_room(const struct transfer *transfer)
{
    const struct connection_group *group = transfer->group;
    const struct connection_limits *limits = &group->limits;
    uint64_t room_bytes = 0;

    if (gauge_get(&group->pool->queued_bytes) < limits->max_queued_bytes)
        room_bytes = limits->max_queued_bytes - gauge_get(&group->pool->queued_bytes);
    return room_bytes < limits->high_water_bytes ? room_bytes : limits->high_water_bytes;
}

/* Let the bufferevent send what the socket did not take. */
static enum transfer_outcome wait_for_output(struct transfer *transfer, size_t added_bytes)
{
    account_output(transfer, added_bytes);
    if (channel_send_output(&transfer->channel) == 0 && transfer_update_reading(transfer) == 0)
        return TRANSFER_GOES_ON;
    errno = ENOMEM;
    return TRANSFER_FAILED;
}

/* Account what an echo did. `error` is its errno. */
static enum transfer_outcome settle_echo(struct transfer *transfer, enum echo_outcome outcome,
                                         const struct echo_progress *progress, int error)
{
    const size_t queued = progress->received - progress->sent;

    transfer_count_received(transfer, progress->received);
    count_sent(transfer, progress->sent);
    switch (outcome) {
    case ECHO_SENT:
        return TRANSFER_GOES_ON;
    case ECHO_QUEUED:
        return wait_for_output(transfer, queued);
    case ECHO_ENDED:
        if (queued > 0 && wait_for_output(transfer, queued) == TRANSFER_FAILED)
            return TRANSFER_FAILED;
        return TRANSFER_ENDED;
    case ECHO_FAILED:
        errno = error;
        return TRANSFER_FAILED;
    }
    abort(); /* no such outcome */
}

enum transfer_outcome transfer_echo_socket(struct transfer *transfer, int fd)
{
    struct echo_progress progress;
    const enum echo_outcome outcome =
        echo_socket(&transfer->group->pool->scratch, fd, channel_output(&transfer->channel),
                    output_room(transfer), &transfer->is_streaming, &progress);

    return settle_echo(transfer, outcome, &progress, errno);
}

enum transfer_outcome transfer_echo_tls(struct transfer *transfer)
{
    struct channel *channel = &transfer->channel;
    struct echo_progress progress;
    const enum echo_outcome outcome =
        echo_tls(&transfer->group->pool->scratch, channel->tls, channel_output(channel),
                 output_room(transfer), &progress);

    return settle_echo(transfer, outcome, &progress, errno);
}

/* --- Some at a time -------------------------------------------------------------------------- */

enum transfer_outcome transfer_echo_some(struct transfer *transfer, size_t size)
{
    struct channel *channel = &transfer->channel;
    struct echo_scratch *scratch = &transfer->group->pool->scratch;
    const size_t room = echo_size(output_room(transfer));
    struct echo_progress progress;
    enum echo_outcome outcome;

    if (size > room)
        size = room;
    outcome = channel->tls == NULL
                  ? echo_socket_once(scratch, channel_socket(channel), channel_output(channel),
                                     size, &progress)
                  : echo_tls_once(scratch, channel->tls, channel_output(channel), size, &progress);
    return settle_echo(transfer, outcome, &progress, errno);
}

enum transfer_outcome transfer_feed(struct transfer *transfer, size_t size)
{
    const struct channel *channel = &transfer->channel;
    struct evbuffer *input = channel_input(channel);
    unsigned char *bytes = transfer->group->pool->scratch.bytes;
    const ssize_t received = channel_receive(channel, bytes, size);

    if (received < 0)
        return errno == EAGAIN || errno == EINTR ? TRANSFER_GOES_ON : TRANSFER_FAILED;
    (void)evbuffer_unfreeze(input, 0); /* a bufferevent lets nobody else add to its input */
    if (evbuffer_add(input, bytes, (size_t)received) < 0) {
        errno = ENOMEM;
        return TRANSFER_FAILED;
    }
    return received == 0 ? TRANSFER_ENDED : TRANSFER_GOES_ON;
}

/* --- Before the echo ------------------------------------------------------------------------- */

static void account_greeting(struct transfer *transfer, size_t added_bytes)
{
    const size_t sent = settle(transfer, added_bytes, 0);

    counters_add(transfer->group->counters, COUNTER_IDENTITY_BYTES, sent);
}

int transfer_greet(struct transfer *transfer, const void *bytes, size_t length)
{
    if (evbuffer_add(channel_output(&transfer->channel), bytes, length) < 0)
        return -1;
    account_greeting(transfer, length);
    return channel_send_output(&transfer->channel);
}

bool transfer_note_greeted(struct transfer *transfer)
{
    account_greeting(transfer, 0);
    return transfer->queued_bytes == 0;
}

/* --- Begin and end --------------------------------------------------------------------------- */

int transfer_start(struct transfer *transfer)
{
    if (channel_start_reading(&transfer->channel) < 0)
        return -1;
    timeout_touch(&transfer->group->idle, &transfer->idle);
    return 0;
}

void transfer_fini(struct transfer *transfer)
{
    struct connection_group *group = transfer->group;

    timeout_cancel(&group->idle, &transfer->idle);
    timeout_cancel(&group->write_stall, &transfer->write_stall);
    gauge_change(&group->pool->queued_bytes, 0, transfer->queued_bytes);
}
