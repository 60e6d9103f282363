#include <config.h>

#include "echoprobe/messages.h"

#include <stdlib.h>

int messages_init(struct messages *messages, uint64_t window, struct tally *tally)
{
    *messages =
        (struct messages){.tally = tally, .window = window, .places = window + MESSAGES_KEPT};
    messages->ring = calloc((size_t)messages->places, sizeof *messages->ring);
    return messages->ring == NULL ? -1 : 0;
}

void messages_fini(struct messages *messages)
{
    free(messages->ring);
    messages->ring = NULL;
}

bool messages_have_room(const struct messages *messages)
{
    return messages->next - messages->first < messages->window;
}

uint64_t messages_add(struct messages *messages, uint64_t due_ns)
{
    *messages_at(messages, messages->next) =
        (struct message){.due_ns = due_ns, .number = messages->next_number++};
    messages->tally->sent++;
    return messages->next++;
}

uint64_t messages_skip(struct messages *messages, uint64_t due_ns)
{
    messages->tally->sent++;
    messages->tally->lost++;
    messages->tally->unsent++;
    outage_note_lost(&messages->outage, due_ns, messages->tally);
    return messages->next_number++;
}

/* --- Look-up --------------------------------------------------------------------------------- */

struct message *messages_at(const struct messages *messages, uint64_t sequence)
{
    return &messages->ring[sequence % messages->places];
}

/* Tell whether the place of one is still its own. */
static bool has_place(const struct messages *messages, uint64_t sequence)
{
    return sequence < messages->next && sequence + messages->places >= messages->next;
}

bool messages_is_waiting(const struct messages *messages, uint64_t sequence)
{
    return sequence >= messages->first && sequence < messages->next &&
           messages_at(messages, sequence)->state == MESSAGE_WAITING;
}

bool messages_may_return(const struct messages *messages, uint64_t sequence)
{
    const enum message_state state = messages_at(messages, sequence)->state;

    return state == MESSAGE_WAITING || state == MESSAGE_LOST;
}

bool messages_was_answered(const struct messages *messages, uint64_t sequence)
{
    enum message_state state;

    if (!has_place(messages, sequence))
        return true;
    state = messages_at(messages, sequence)->state;
    return state == MESSAGE_ANSWERED || state == MESSAGE_LATE;
}

uint64_t messages_number(const struct messages *messages, uint64_t sequence)
{
    if (has_place(messages, sequence))
        return messages_at(messages, sequence)->number;
    return messages->next_number - (messages->next - sequence);
}

/* --- Settlement ------------------------------------------------------------------------------ */

static void count_round_trip(struct messages *messages, uint64_t rtt_ns)
{
    struct tally *tally = messages->tally;
    const uint64_t last_ns = messages->last_rtt_ns;

    tally->received++;
    histogram_add(&tally->rtt_ns, rtt_ns);
    tally->rtt_squares += (double)rtt_ns * (double)rtt_ns;
    if (last_ns != 0) {
        tally->jitter_total_ns += rtt_ns > last_ns ? rtt_ns - last_ns : last_ns - rtt_ns;
        tally->jitter_count++;
    }
    messages->last_rtt_ns = rtt_ns;
}

bool messages_settle_echo(struct messages *messages, uint64_t sequence, uint64_t now_ns,
                          uint64_t *rtt_ns)
{
    struct message *message = messages_at(messages, sequence);

    if (message->state == MESSAGE_LOST) {
        message->state = MESSAGE_LATE;
        messages->tally->late++;
        return false;
    }
    message->state = MESSAGE_ANSWERED;
    *rtt_ns = now_ns > message->due_ns ? now_ns - message->due_ns : 0;
    count_round_trip(messages, *rtt_ns);
    return true;
}

void messages_settle_corrupted(struct messages *messages, uint64_t sequence)
{
    struct message *message = messages_at(messages, sequence);

    if (message->state == MESSAGE_LOST)
        message->state = MESSAGE_SPOILED;
    if (message->state != MESSAGE_WAITING)
        return;
    message->state = MESSAGE_ANSWERED;
    messages->tally->corrupted++;
}

void messages_settle_lost(struct messages *messages, uint64_t sequence)
{
    messages_at(messages, sequence)->state = MESSAGE_LOST;
    messages->tally->lost++;
}

void messages_settle_unsent(struct messages *messages, uint64_t sequence)
{
    messages_settle_lost(messages, sequence);
    messages->tally->unsent++;
}

/* --- Release --------------------------------------------------------------------------------- */

void messages_release_first(struct messages *messages)
{
    const struct message *message = messages_at(messages, messages->first++);

    if (message->state == MESSAGE_ANSWERED)
        outage_end(&messages->outage, message->due_ns, messages->tally);
    else
        outage_note_lost(&messages->outage, message->due_ns, messages->tally);
}

void messages_release_settled(struct messages *messages)
{
    while (messages->first < messages->next && !messages_is_waiting(messages, messages->first))
        messages_release_first(messages);
}

void messages_abandon(struct messages *messages)
{
    while (messages->first < messages->next) {
        if (messages_is_waiting(messages, messages->first))
            messages_settle_lost(messages, messages->first);
        messages_release_first(messages);
    }
}

void messages_end(struct messages *messages, uint64_t now_ns)
{
    messages_abandon(messages);
    outage_end(&messages->outage, now_ns, messages->tally);
}
