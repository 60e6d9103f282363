#include <config.h>

#include "echoprobe/mtu.h"

#include "base/units.h"
#include "echoprobe/bisect.h"
#include "echoprobe/datagram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
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
    bool has_settled;              /* the answer to this size is known */
    bool is_repeating;             /* it returned before, and must return again */
    bool is_cut;                   /* answers to larger ones are shorter than they */
    struct batch batch;
};

/* --- Verdict --------------------------------------------------------------------------------- */

static void note_sizes(const struct mtu *state)
{
    struct verdict *verdict = &state->check->verdict;

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

static void end_mtu(struct mtu *state)
{
    const char *cut = state->is_cut ? " whole; the answers to larger ones are cut" : "";

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

static void interrupt_mtu(void *argument, const char *reason)
{
    struct mtu *state = argument;

    note_sizes(state);
    check_end(state->check, EXIT_STATUS_FAULT, "%s when %" PRIu64 " bytes were tried", reason,
              state->size);
}

/* Tell whether it must go in one piece. Where none returned so, one that may be cut is repeated. */
static bool must_stay_whole(const struct mtu *state)
{
    return state->search == SEARCH_WHOLE && !(state->is_repeating && state->bisect.passed == 0);
}

static bool has_answers(const struct mtu *state)
{
    return state->search > SEARCH_ANY || state->bisect.passed > 0;
}

/* --- A size ---------------------------------------------------------------------------------- */

/* Note whether the size passes, or for which reason not, and go on from the loop. */
static void note_size(struct mtu *state, const char *reason)
{
    if (reason == NULL)
        bisect_note_passed(&state->bisect, state->size);
    else
        bisect_note_failed(&state->bisect, state->size, true);
    check_say(state->check, "%" PRIu64 " bytes%s: %s%s", state->size,
              state->search == SEARCH_WHOLE ? " in one piece" : "",
              reason == NULL ? "return" : "lost, ", reason == NULL ? "" : reason);
    check_set_timer(state->check, state->check->timer, 0);
}

/* The answer to the size is known: it passes, or not for this reason. */
static void settle_size(struct mtu *state, const char *reason)
{
    if (state->has_settled)
        return;
    state->has_settled = true;
    if (state->is_repeating && reason != NULL) {
        note_sizes(state);
        check_end(state->check, EXIT_STATUS_FAULT,
                  "%" PRIu64 " bytes returned before, and do so no more: %s", state->size, reason);
        return;
    }
    if (state->is_repeating)
        check_set_timer(state->check, state->check->timer, 0);
    else
        note_size(state, reason);
}

static void on_size_returned(void *argument, uint64_t sequence, const struct fault *fault)
{
    struct mtu *state = argument;

    (void)sequence;
    if (fault->kind == FAULT_NONE) {
        settle_size(state, NULL);
    } else if (fault->kind == FAULT_TRUNCATED) {
        state->is_cut = true;
        settle_size(state, fault->text);
    } else {
        note_sizes(state);
        check_end(state->check, EXIT_STATUS_FAULT, "%" PRIu64 " bytes: %s: %s", state->size,
                  fault_name(fault->kind), fault->text);
    }
}

/* Somebody was there before. */
static void end_refused(struct mtu *state, int failure)
{
    note_sizes(state);
    check_end(state->check, EXIT_STATUS_FAULT, "%" PRIu64 " bytes: %s: %s", state->size,
              state->check->target->places[0].text, strerror(failure));
}

static void note_refused_size(struct mtu *state, int failure)
{
    if (failure == EMSGSIZE || failure == ENOBUFS)
        settle_size(state, strerror(failure));
    else if (has_answers(state))
        end_refused(state, failure);
    else
        check_end(state->check, EXIT_STATUS_CONNECT, "%s: %s", state->check->target->places[0].text,
                  strerror(failure));
}

static void on_size_unsent(void *argument, uint64_t sequence, int failure)
{
    (void)sequence;
    note_refused_size(argument, failure);
}

/* That a datagram was too large for a part of the path makes the system cut the next of its size.
 */
static void on_size_error(void *argument, uint64_t sequence, int failure)
{
    struct mtu *state = argument;

    (void)sequence;
    if (failure != EMSGSIZE || must_stay_whole(state))
        note_refused_size(state, failure);
}

static const struct datagram_events mtu_events = {
    .on_returned = on_size_returned,
    .on_error = on_size_error,
    .on_unsent = on_size_unsent,
};

static void try_size(struct mtu *state)
{
    const uint64_t timeout_ms = state->check->options->timeout_ms;
    char limit[UNITS_TEXT_SIZE], reason[sizeof "no answer within " + UNITS_TEXT_SIZE];

    if (state->tries == TRIES) {
        units_format_duration(timeout_ms, limit);
        (void)snprintf(reason, sizeof reason, "no answer within %s", limit);
        settle_size(state, reason);
        return;
    }
    check_set_timer(state->check, state->check->timer, timeout_ms * 1000000 / TRIES);
    datagram_send(state->datagram, ++state->tries);
}

/* --- Searches -------------------------------------------------------------------------------- */

static void begin_search(struct mtu *state, enum search search, uint64_t maximum)
{
    state->search = search;
    state->is_repeating = false;
    state->bisect = (struct bisect){
        .first = maximum, .maximum = maximum, .tolerance = 1, .failed = BISECT_NONE};
}

/* Return the size to try next, BISECT_NONE if the search is over. */
static uint64_t next_size(const struct mtu *state)
{
    const struct bisect *bisect = &state->bisect;

    if (bisect->passed == 0 && bisect->failed == BISECT_NONE)
        return FIRST_SIZE;
    if (bisect->passed == 0 && state->search == SEARCH_ANY)
        return BISECT_NONE; /* nobody answers */
    return bisect_next(bisect);
}

static int open_socket(struct mtu *state)
{
    struct check *check = state->check;

    datagram_free(state->datagram);
    state->datagram = datagram_new(check->base, &state->batch, check->target, &check->pattern,
                                   check->next_number++, (size_t)state->size, &mtu_events, state);
    if (state->datagram == NULL)
        return -1;
    return must_stay_whole(state) ? datagram_forbid_fragments(state->datagram) : 0;
}

static void begin_size(struct mtu *state, uint64_t size)
{
    state->size = size;
    state->tries = 0;
    state->has_settled = false;
    if (open_socket(state) == 0)
        try_size(state);
    else if (errno == ENOSYS)
        end_mtu(state); /* what goes in one piece cannot be found out here */
    else
        check_refuse_socket(state->check, errno);
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
    end_mtu(state);
}

/* What returned must do so again before a limit is believed: an outage looks like one. */
static void repeat_size(struct mtu *state)
{
    state->is_repeating = true;
    begin_size(state, state->bisect.passed > 0 ? state->bisect.passed : FIRST_SIZE);
}

static void go_on(struct mtu *state)
{
    const uint64_t size = next_size(state);
    const bool has_limit = state->bisect.failed != BISECT_NONE && has_answers(state);

    if (size != BISECT_NONE)
        begin_size(state, size);
    else if (has_limit && !state->is_repeating)
        repeat_size(state);
    else
        end_search(state);
}

static void on_next_size(void *argument)
{
    struct mtu *state = argument;

    if (state->has_settled)
        go_on(state);
    else
        try_size(state);
}

/* --- Start and end --------------------------------------------------------------------------- */

static void free_mtu(void *argument)
{
    const struct mtu *state = argument;

    datagram_free(state->datagram);
}

static int start_mtu(void *argument, struct check *check)
{
    struct mtu *state = argument;

    state->check = check;
    begin_search(state, SEARCH_ANY, DATAGRAM_BYTES);
    begin_size(state, next_size(state));
    return 0;
}

static const struct check_kind mtu_kind = {
    .size = sizeof(struct mtu),
    .start = start_mtu,
    .on_timer = on_next_size,
    .on_interrupt = interrupt_mtu,
    .fini = free_mtu,
};

const struct check_kind *mtu_check(void)
{
    return &mtu_kind;
}
