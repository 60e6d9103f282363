#include <config.h>

#include "echoprobe/idle_timeout.h"

#include "base/clock.h"
#include "echoprobe/bisect.h"
#include "echoprobe/silence.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * All connections are opened at once. For each silence that bisect asks for, the connection that
 * reaches it next is tried; if it lives, it is silent anew. So there are always connections of many
 * ages, and a try seldom has to wait for long.
 */

enum {
    SPARE = 8,      /* connections beyond those that the growing silences need */
    PARTS = 200,    /* the answer is exact to one part of it */
    REPLACED = 50,  /* after so many new connections the search is given up */
    RETRY_MS = 100, /* until the next new connection */
    LATE = 5,       /* so many new connections are a sign that timers come too late */
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t tolerance_ns = 20 * 1000000; /* clocks and timers are not more exact */

struct idle_timeout {
    struct check *check;
    struct bisect bisect;
    struct silence **pool;
    size_t count;
    size_t unproven; /* connections whose first echo is under way */
    size_t replaced;
    uint64_t replaced_at_ns;
    bool begins_anew; /* what was survived counts no more: all that were lost are opened again */
    struct silence *tried;
    bool was_proven;   /* there was a first echo */
    struct fault loss; /* of the silence that is too long */
    uint64_t loss_at_ns;
    bool lives_since;  /* a try came back after it */
    struct fault last; /* of the last connection that was lost, for whatever reason */
};

static double ns_to_seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static uint64_t distance(uint64_t one, uint64_t other)
{
    return one > other ? one - other : other - one;
}

static void look_soon(struct idle_timeout *state)
{
    check_set_timer(state->check, state->check->timer, 0);
}

/* --- Verdict --------------------------------------------------------------------------------- */

static void note_bounds(const struct idle_timeout *state)
{
    struct verdict *verdict = &state->check->verdict;

    verdict_add(verdict, "survived", FIGURE_SECONDS, ns_to_seconds(state->bisect.passed));
    if (state->bisect.failed != BISECT_NONE)
        verdict_add(verdict, "lost", FIGURE_SECONDS, ns_to_seconds(state->bisect.failed));
}

static void end_search_of_silence(struct idle_timeout *state)
{
    const struct bisect *bisect = &state->bisect;

    note_bounds(state);
    if (bisect->failed == BISECT_NONE)
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "connections live after %.3f s of silence; longer was not tried",
                  ns_to_seconds(bisect->passed));
    else if (bisect->passed == 0)
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "no silence is survived; connections are lost after %.3f s: %s",
                  ns_to_seconds(bisect->failed), state->loss.text);
    else
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "connections live after %.3f s of silence, and are lost after %.3f s: %s",
                  ns_to_seconds(bisect->passed), ns_to_seconds(bisect->failed), state->loss.text);
}

static void give_up(struct idle_timeout *state, const char *reason, const char *detail)
{
    note_bounds(state);
    if (state->bisect.passed == 0)
        check_end(state->check, EXIT_STATUS_FAULT, "%s%s; no silence was survived yet", reason,
                  detail);
    else
        check_end(state->check, EXIT_STATUS_FAULT, "%s%s; connections live after %.3f s of silence",
                  reason, detail, ns_to_seconds(state->bisect.passed));
}

static void end_unproven(struct idle_timeout *state, const struct fault *fault)
{
    if (fault_is_of_connecting(fault->kind))
        check_end(state->check, EXIT_STATUS_CONNECT, "%s", fault->text);
    else
        check_end(state->check, EXIT_STATUS_FAULT, "no echo before the silence: %s", fault->text);
}

/* --- Events of connections ------------------------------------------------------------------- */

/* A first echo came or will not come. Say how many are silent, once that is known of each. */
static void settle_first_echo(struct idle_timeout *state)
{
    size_t count = 0;

    if (--state->unproven > 0 || state->replaced > 0)
        return;
    for (size_t i = 0; i < state->count; i++)
        count += silence_is_proven(state->pool[i]);
    if (count > 0)
        check_say(state->check, "%zu connections are silent", count);
}

static void on_idle_echo(void *argument, struct silence *silence, uint64_t silent_ns,
                         uint64_t rtt_ns)
{
    struct idle_timeout *state = argument;

    if (silence != state->tried) {
        state->was_proven = true;
        settle_first_echo(state);
    } else {
        state->tried = NULL;
        state->lives_since = true;
        bisect_note_passed(&state->bisect, silent_ns);
        check_say(state->check, "silent for %.3f s: lives, echo in %.3f ms",
                  ns_to_seconds(silent_ns), (double)rtt_ns / 1e6);
    }
    look_soon(state);
}

/*
 * Return what a loss counts as, for bisect. Where it is nearly as long as what was survived, clocks
 * differ, or the other end's timer came late; it must be longer for the gap to close.
 */
static uint64_t silence_of_loss(const struct idle_timeout *state, uint64_t silent_ns)
{
    const uint64_t passed_ns = state->bisect.passed;
    const uint64_t part_ns = passed_ns / PARTS, least_ns = state->bisect.tolerance;

    if (silent_ns + (part_ns > least_ns ? part_ns : least_ns) < passed_ns ||
        silent_ns > passed_ns + tolerance_ns / 2)
        return silent_ns;
    return passed_ns + tolerance_ns / 2;
}

/*
 * One loss may confirm another if they have no cause in common but the silence: the path has
 * carried an echo since, or this silence began since. Two that are shorter than what was survived
 * show that this was a coincidence: the other end did not run when it would have ended it.
 */
static void note_loss(struct idle_timeout *state, const struct silence *silence, uint64_t silent_ns,
                      const struct fault *fault)
{
    struct bisect *bisect = &state->bisect;
    const bool may_confirm = state->lives_since || silence_began_ns(silence) > state->loss_at_ns;
    const uint64_t counted_ns = silence_of_loss(state, silent_ns), passed_ns = bisect->passed;
    const bool is_known = counted_ns >= bisect->failed ||
                          (counted_ns < passed_ns && bisect->is_doubted && !may_confirm);

    if (!is_known) {
        check_say(state->check, "silent for %.3f s: lost, %s", ns_to_seconds(silent_ns),
                  fault->text);
        state->loss = *fault;
        state->loss_at_ns = clock_now_ns();
        state->lives_since = false;
    }
    bisect_note_failed(bisect, counted_ns, may_confirm);
    state->begins_anew |= bisect->passed < passed_ns;
}

static void on_idle_lost(void *argument, struct silence *silence, uint64_t silent_ns,
                         const struct fault *fault)
{
    struct idle_timeout *state = argument;
    const bool was_first = !state->was_proven && !silence_is_proven(silence);

    state->last = *fault;
    if (silence == state->tried)
        state->tried = NULL;
    if (silence_is_proven(silence) && !silence_is_too_long(fault))
        give_up(state, "a silent connection brought something else: ", fault->text);
    else if (silence_is_proven(silence))
        note_loss(state, silence, silent_ns, fault);
    else
        settle_first_echo(state);
    if (was_first && state->unproven == 0)
        end_unproven(state, fault);
    look_soon(state);
}

static const struct silence_events search_events = {
    .on_echo = on_idle_echo,
    .on_lost = on_idle_lost,
};

/* --- Search ---------------------------------------------------------------------------------- */

static int open_connection(struct idle_timeout *state, size_t place)
{
    silence_free(state->pool[place]);
    state->pool[place] = silence_new(state->check, &search_events, state);
    if (state->pool[place] == NULL)
        return -1;
    state->unproven++;
    return 0;
}

/* Return the place of a lost connection, otherwise of the one that has been silent for longest. */
static size_t find_useless(const struct idle_timeout *state)
{
    size_t found = 0;

    for (size_t i = 0; i < state->count; i++) {
        if (silence_is_lost(state->pool[i]))
            return i;
        if (silence_ns(state->pool[i]) > silence_ns(state->pool[found]))
            found = i;
    }
    return found;
}

/* None reaches the silence that is wanted: begin anew with one, but not at once after the last. */
static void replace_one(struct idle_timeout *state)
{
    const uint64_t now_ns = clock_now_ns();

    check_set_timer(state->check, state->check->timer, RETRY_MS * ns_per_ms);
    if (state->unproven > 0 || now_ns - state->replaced_at_ns < RETRY_MS * ns_per_ms)
        return;
    state->replaced_at_ns = now_ns;
    /* Where that happens often, timers come later than the bounds lie apart: be less exact. */
    state->bisect.tolerance = tolerance_ns * (1 + state->replaced / LATE);
    if (++state->replaced > REPLACED)
        give_up(state, "too many connections were lost, the last: ", state->last.text);
    else if (open_connection(state, find_useless(state)) < 0)
        check_refuse_socket(state->check, errno);
}

/* Open again all that were lost; as for single ones, a sign that timers come late. */
static void replace_lost(struct idle_timeout *state)
{
    state->begins_anew = false;
    state->replaced += LATE;
    for (size_t i = 0; i < state->count; i++) {
        if (silence_is_lost(state->pool[i]) && open_connection(state, i) < 0) {
            check_refuse_socket(state->check, errno);
            return;
        }
    }
}

/*
 * Return how long a connection may be silent for its try to tell anything: no longer than is asked
 * for, and by as much more as timers may be late.
 */
static uint64_t longest_telling(const struct idle_timeout *state, uint64_t silence_wanted_ns)
{
    const uint64_t failed_ns = state->bisect.failed, maximum_ns = state->bisect.maximum;

    if (failed_ns == BISECT_NONE)
        return maximum_ns + (maximum_ns / PARTS > tolerance_ns ? maximum_ns / PARTS : tolerance_ns);
    return silence_wanted_ns < failed_ns ? failed_ns - 1 : failed_ns + state->bisect.tolerance;
}

/* Tell whether one silence is a better one to try: while nothing failed the longer, else the
 * nearer. */
static bool is_better(const struct idle_timeout *state, uint64_t silence_wanted_ns, uint64_t one_ns,
                      uint64_t other_ns)
{
    if (state->bisect.failed == BISECT_NONE)
        return one_ns > other_ns;
    return distance(one_ns, silence_wanted_ns) < distance(other_ns, silence_wanted_ns);
}

/* Return the connection that reaches this silence next, or has just passed it; or NULL. */
static struct silence *find_next(const struct idle_timeout *state, uint64_t silence_wanted_ns)
{
    const uint64_t limit_ns = longest_telling(state, silence_wanted_ns);
    struct silence *found = NULL;

    for (size_t i = 0; i < state->count; i++) {
        struct silence *each = state->pool[i];

        if (silence_is_silent(each) && silence_ns(each) <= limit_ns &&
            (found == NULL ||
             is_better(state, silence_wanted_ns, silence_ns(each), silence_ns(found))))
            found = each;
    }
    return found;
}

static void on_next_try(void *argument)
{
    struct idle_timeout *state = argument;
    const uint64_t wanted_ns = bisect_next(&state->bisect);
    struct silence *found;

    if (state->tried != NULL)
        return;
    if (state->begins_anew)
        replace_lost(state);
    if (wanted_ns == BISECT_NONE) {
        end_search_of_silence(state);
        return;
    }
    found = find_next(state, wanted_ns);
    if (found == NULL) {
        replace_one(state);
    } else if (silence_ns(found) < wanted_ns) {
        check_set_timer(state->check, state->check->timer, wanted_ns - silence_ns(found));
    } else {
        state->tried = found;
        silence_try(found);
    }
}

static void interrupt_search(void *argument, const char *reason)
{
    const struct idle_timeout *state = argument;

    if (state->was_proven)
        give_up(argument, reason, "");
    else
        check_end(state->check,
                  state->check->was_connected ? EXIT_STATUS_FAULT : EXIT_STATUS_CONNECT,
                  "%s before there was an echo from %s", reason, state->check->target->name);
}

/* None of the connections is tried after a longer silence than the longest that is asked for. */
static uint64_t search_left_ns(const void *argument)
{
    const struct idle_timeout *state = argument;
    const uint64_t passed_ns = clock_now_ns() - state->check->begin_ns;
    const uint64_t maximum_ns = state->bisect.maximum;

    return state->was_proven && passed_ns < maximum_ns ? maximum_ns - passed_ns : 0;
}

/* --- Start and end --------------------------------------------------------------------------- */

static void free_search(void *argument)
{
    const struct idle_timeout *state = argument;

    for (size_t i = 0; state->pool != NULL && i < state->count; i++)
        silence_free(state->pool[i]);
    free(state->pool);
}

/* Return how many silences are tried if none of them is too long. */
static size_t count_silences(struct bisect bisect)
{
    size_t count = 0;

    for (uint64_t next; (next = bisect_next(&bisect)) != BISECT_NONE; count++)
        bisect_note_passed(&bisect, next);
    return count;
}

static int open_pool(struct idle_timeout *state)
{
    const uint64_t maximum_ns = state->check->options->find_idle_timeout_ms * ns_per_ms;
    const uint64_t first_ns = 100 * ns_per_ms;

    state->bisect = (struct bisect){
        .first = first_ns < maximum_ns ? first_ns : maximum_ns,
        .maximum = maximum_ns,
        .tolerance = tolerance_ns,
        .parts = PARTS,
        .failed = BISECT_NONE,
    };
    state->count = count_silences(state->bisect) + SPARE;
    state->pool = calloc(state->count, sizeof(struct silence *));
    errno = ENOMEM;
    if (state->pool == NULL)
        return -1;
    for (size_t i = 0; i < state->count; i++) {
        if (open_connection(state, i) < 0)
            return -1;
    }
    return 0;
}

static int start_search(void *argument, struct check *check)
{
    struct idle_timeout *state = argument;

    state->check = check;
    return open_pool(state);
}

static const struct check_kind idle_timeout_kind = {
    .size = sizeof(struct idle_timeout),
    .start = start_search,
    .on_timer = on_next_try,
    .on_interrupt = interrupt_search,
    .left_ns = search_left_ns,
    .fini = free_search,
};

const struct check_kind *idle_timeout_check(void)
{
    return &idle_timeout_kind;
}
