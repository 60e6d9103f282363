#include <config.h>

#include "echoprobe/mtu.h"

#include "base/units.h"
#include "echoprobe/bisect.h"
#include "echoprobe/datagram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRIES = 3,       /* datagrams of one size, since any may be lost */
    FIRST_SIZE = 64, /* shows whether anybody answers */
};

/* What is asked of the path, one after the other. */
enum search { SEARCH_ANY, SEARCH_WHOLE, SEARCH_OVER };

struct mtu {
    struct check *check;
    enum search search;
    struct bisect bisect;
    uint64_t largest[SEARCH_OVER]; /* what the searches that are over found */
    uint64_t size;                 /* that is tried */
    uint64_t tries;                /* datagrams of this size that were sent */
    struct datagram *datagram;     /* a socket for each size, so that late answers meet nobody */
    struct event *next;            /* the next try, or the next size */
    bool has_settled;              /* the answer to this size is known */
    bool is_cut;                   /* answers to larger ones are shorter than they */
    struct batch batch;
};

/* --- The end. -------------------------------------------------------------------------------- */

static void note_sizes(const struct mtu *state)
{
    struct verdict *const verdict = &state->check->verdict;

    if (state->search > SEARCH_ANY)
        verdict_add(verdict, "largest", FIGURE_BYTES, (double)state->largest[SEARCH_ANY]);
    if (state->search > SEARCH_WHOLE)
        verdict_add(verdict, "largest_whole", FIGURE_BYTES, (double)state->largest[SEARCH_WHOLE]);
}

/* Tell whether larger ones may go there in one piece, which no whole answer can tell. */
static bool is_limited_by_cuts(const struct mtu *state)
{
    return state->is_cut && state->largest[SEARCH_WHOLE] == state->largest[SEARCH_ANY];
}

static void conclude(struct mtu *state)
{
    const char *const cut = state->is_cut ? " whole; the answers to larger ones are cut" : "";

    note_sizes(state);
    if (state->search == SEARCH_OVER)
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "datagrams of up to %" PRIu64 " bytes return%s; %s %" PRIu64
                  " bytes go there in one piece",
                  state->largest[SEARCH_ANY], cut, is_limited_by_cuts(state) ? "at least" : "up to",
                  state->largest[SEARCH_WHOLE]);
    else
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "datagrams of up to %" PRIu64 " bytes return%s", state->largest[SEARCH_ANY], cut);
}

static void on_interrupt(void *context, const char *reason)
{
    struct mtu *const state = context;

    note_sizes(state);
    check_end(state->check, EXIT_STATUS_FAULT, "%s when %" PRIu64 " bytes were tried", reason,
              state->size);
}

/* --- One size. ------------------------------------------------------------------------------- */

/* Note whether the size passes, for which reason not, and go on from the loop. */
static void settle(struct mtu *state, const char *reason)
{
    if (state->has_settled)
        return;
    state->has_settled = true;
    if (reason == NULL)
        bisect_note_passed(&state->bisect, state->size);
    else
        bisect_note_failed(&state->bisect, state->size, true);
    check_say(state->check, "%" PRIu64 " bytes%s: %s%s", state->size,
              state->search == SEARCH_WHOLE ? " in one piece" : "",
              reason == NULL ? "return" : "lost, ", reason == NULL ? "" : reason);
    check_set_timer(state->check, state->next, 0);
}

static void on_returned(void *context, uint64_t sequence, const struct fault *fault)
{
    struct mtu *const state = context;

    (void)sequence;
    if (fault->kind == FAULT_NONE) {
        settle(state, NULL);
    } else if (fault->kind == FAULT_TRUNCATED) {
        state->is_cut = true;
        settle(state, fault->text);
    } else {
        note_sizes(state);
        check_end(state->check, EXIT_STATUS_FAULT, "%" PRIu64 " bytes: %s: %s", state->size,
                  fault_name(fault->kind), fault->text);
    }
}

static void on_refused(struct mtu *state, int failure)
{
    if (failure == EMSGSIZE || failure == ENOBUFS)
        settle(state, strerror(failure));
    else
        check_end(state->check, EXIT_STATUS_CONNECT, "%s: %s", state->check->target->places[0].text,
                  strerror(failure));
}

static void on_unsent(void *context, uint64_t sequence, int failure)
{
    (void)sequence;
    on_refused(context, failure);
}

/* That a datagram was too large for a part of the path makes the system cut the next of its size.
 */
static void on_error(void *context, uint64_t sequence, int failure)
{
    struct mtu *const state = context;

    (void)sequence;
    if (failure != EMSGSIZE || state->search == SEARCH_WHOLE)
        on_refused(state, failure);
}

static const struct datagram_events datagram_events = {
    .on_returned = on_returned,
    .on_error = on_error,
    .on_unsent = on_unsent,
};

static void try_size(struct mtu *state)
{
    const uint64_t timeout_ms = state->check->options->timeout_ms;
    char limit[UNITS_TEXT_SIZE], reason[sizeof "no answer within " + UNITS_TEXT_SIZE];

    if (state->tries == TRIES) {
        units_format_duration(timeout_ms, limit);
        (void)snprintf(reason, sizeof reason, "no answer within %s", limit);
        settle(state, reason);
        return;
    }
    check_set_timer(state->check, state->next, timeout_ms * 1000000 / TRIES);
    datagram_send(state->datagram, ++state->tries);
}

/* --- The searches. --------------------------------------------------------------------------- */

static void begin_search(struct mtu *state, enum search search, uint64_t maximum)
{
    state->search = search;
    state->bisect = (struct bisect){
        .first = maximum, .maximum = maximum, .tolerance = 1, .failed = BISECT_NONE};
}

/* Return the size to try next, BISECT_NONE if the search is over. */
static uint64_t next_size(const struct mtu *state)
{
    const struct bisect *const bisect = &state->bisect;

    if (bisect->passed == 0 && bisect->failed == BISECT_NONE)
        return FIRST_SIZE;
    if (bisect->passed == 0 && state->search == SEARCH_ANY)
        return BISECT_NONE; /* nobody answers */
    return bisect_next(bisect);
}

static int open_socket(struct mtu *state)
{
    struct check *const check = state->check;

    datagram_free(state->datagram);
    state->datagram = datagram_new(check->base, &state->batch, check->target, &check->pattern,
                                   check->next_number++, state->size, &datagram_events, state);
    if (state->datagram == NULL)
        return -1;
    return state->search == SEARCH_WHOLE ? datagram_forbid_fragments(state->datagram) : 0;
}

static void begin_size(struct mtu *state, uint64_t size)
{
    state->size = size;
    state->tries = 0;
    state->has_settled = false;
    if (open_socket(state) == 0)
        try_size(state);
    else if (errno == ENOSYS)
        conclude(state); /* what goes in one piece cannot be found out here */
    else
        check_end(state->check, EXIT_STATUS_SYSTEM, "%s", strerror(errno));
}

static void end_search(struct mtu *state)
{
    const uint64_t largest = state->bisect.passed;

    state->largest[state->search] = largest;
    if (largest == 0 && state->search == SEARCH_ANY) {
        check_end(state->check, EXIT_STATUS_FAULT, "no datagram of %d bytes came back%s",
                  FIRST_SIZE, state->is_cut ? " whole" : "");
        return;
    }
    if (state->search == SEARCH_ANY) {
        begin_search(state, SEARCH_WHOLE, largest);
        begin_size(state, next_size(state));
        return;
    }
    state->search = SEARCH_OVER;
    conclude(state);
}

static void on_next(evutil_socket_t fd, short what, void *context)
{
    struct mtu *const state = context;
    uint64_t size;

    (void)fd;
    (void)what;
    if (!state->has_settled) {
        try_size(state);
        return;
    }
    size = next_size(state);
    if (size == BISECT_NONE)
        end_search(state);
    else
        begin_size(state, size);
}

/* --- The check. ------------------------------------------------------------------------------ */

static void free_state(void *context)
{
    struct mtu *const state = context;

    if (state == NULL)
        return;
    datagram_free(state->datagram);
    if (state->next != NULL)
        event_free(state->next);
    free(state);
}

static void *start(struct check *check)
{
    struct mtu *const state = calloc(1, sizeof *state);

    if (state == NULL)
        return NULL;
    state->check = check;
    state->next = evtimer_new(check->base, on_next, state);
    if (state->next == NULL) {
        free_state(state);
        errno = ENOMEM;
        return NULL;
    }
    begin_search(state, SEARCH_ANY, DATAGRAM_BYTES);
    begin_size(state, next_size(state));
    return state;
}

static const struct check_kind kind = {
    .start = start,
    .on_interrupt = on_interrupt,
    .free = free_state,
};

const struct check_kind *mtu_check(void)
{
    return &kind;
}
