/*
 * check_idle_timeout: the search for an idle time-out is right, and soon over, however late a timer
 * comes. Stands in for clock, check and silence: nothing is sent, and no time passes but the
 * test's. What a real path does is in tests/system.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/idle_timeout.h"

#include "echoprobe/silence.h"
#include "stand_in.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_CONNECTIONS = 256,
    MOST_TURNS = 10000,
    SHORTEST_MS = 50,
    SEARCHED_MS = 3600000,
    ANSWERED_MS = 2000
};

#define ROUND_TRIP_NS (NS_PER_MS / 2)
#define BEGIN_NS      NS_PER_MS /* any but 0 */

enum { SURVIVED, LOST }; /* the figures of a verdict */

enum phase { PHASE_PROVING, PHASE_SILENT, PHASE_TRYING, PHASE_LOST };

struct silence {
    const struct silence_events *events;
    void *argument;
    enum phase phase;
    bool is_proven;
    uint64_t due_ns; /* of the answer, or of its absence */
    uint64_t began_ns;
    uint64_t silent_ns;
};

/* When the search wakes up for something that it slept for. */
typedef uint64_t lateness(void);

static struct {
    uint64_t timeout_ns;        /* of the path, which forgets who was silent for so long */
    bool closes;                /* and ends the connection then, as the other end does */
    uint64_t stops_ns, runs_ns; /* it does nothing from then on, and goes on */
    lateness *late_ns;
    uint64_t seed;
    struct silence *silences[MOST_CONNECTIONS];
    size_t opened;
} scene;

/* --- silence. -------------------------------------------------------------------------------- */

/* Return when the path does what is due then. */
static uint64_t done_ns(uint64_t due_ns)
{
    return due_ns >= scene.stops_ns && due_ns < scene.runs_ns ? scene.runs_ns : due_ns;
}

struct silence *silence_new(struct check *check, const struct silence_events *events,
                            void *argument)
{
    struct silence *silence = calloc(1, sizeof *silence);

    (void)check;
    ck_assert_ptr_nonnull(silence);
    ck_assert_uint_lt(scene.opened, MOST_CONNECTIONS);
    silence->events = events;
    silence->argument = argument;
    silence->due_ns = stand_in.now_ns + ROUND_TRIP_NS;
    scene.silences[scene.opened++] = silence;
    return silence;
}

void silence_free(struct silence *silence)
{
    for (size_t i = 0; i < scene.opened; i++) {
        if (scene.silences[i] == silence)
            scene.silences[i] = NULL;
    }
    free(silence);
}

void silence_try(struct silence *silence)
{
    ck_assert(silence_is_silent(silence));
    silence->silent_ns = silence_ns(silence);
    silence->phase = PHASE_TRYING;
    silence->due_ns = done_ns(stand_in.now_ns + ROUND_TRIP_NS);
}

bool silence_is_silent(const struct silence *silence)
{
    return silence->phase == PHASE_SILENT;
}

bool silence_is_proven(const struct silence *silence)
{
    return silence->is_proven;
}

bool silence_is_lost(const struct silence *silence)
{
    return silence->phase == PHASE_LOST;
}

uint64_t silence_ns(const struct silence *silence)
{
    return silence_is_silent(silence) ? stand_in.now_ns - silence->began_ns : silence->silent_ns;
}

uint64_t silence_began_ns(const struct silence *silence)
{
    return silence->began_ns;
}

bool silence_is_too_long(const struct fault *fault)
{
    return fault->kind == FAULT_RESET;
}

static void lose(struct silence *silence)
{
    const struct fault reset = {.kind = FAULT_RESET, .text = "Connection reset by peer"};

    silence->silent_ns = silence_ns(silence);
    silence->phase = PHASE_LOST;
    silence->events->on_lost(silence->argument, silence, silence->silent_ns, &reset);
}

/* What was sent comes back, unless the path has forgotten the connection. */
static void answer(struct silence *silence)
{
    if (silence->phase == PHASE_SILENT || (silence->phase == PHASE_TRYING && !scene.closes &&
                                           silence->silent_ns >= scene.timeout_ns)) {
        lose(silence);
        return;
    }
    silence->phase = PHASE_SILENT;
    silence->is_proven = true;
    silence->began_ns = stand_in.now_ns;
    silence->events->on_echo(silence->argument, silence, silence->silent_ns, ROUND_TRIP_NS);
}

/* --- The loop. ------------------------------------------------------------------------------- */

/* Return when the path does something with a connection. What has come is read before any ends. */
static uint64_t due_of(const struct silence *silence)
{
    if (silence->phase == PHASE_PROVING || silence->phase == PHASE_TRYING)
        return silence->due_ns;
    if (silence->phase == PHASE_SILENT && scene.closes)
        return done_ns(silence->began_ns + scene.timeout_ns) + 1;
    return UINT64_MAX;
}

static struct silence *next_to_answer(void)
{
    struct silence *found = NULL;

    for (size_t i = 0; i < scene.opened; i++) {
        struct silence *each = scene.silences[i];

        if (each != NULL && due_of(each) != UINT64_MAX &&
            (found == NULL || due_of(each) < due_of(found)))
            found = each;
    }
    return found;
}

/* Sleep until something is due, for too long perhaps, and do that. */
static void turn(void)
{
    struct silence *silence = next_to_answer();
    const bool is_answer = silence != NULL && due_of(silence) <= stand_in.timer_ns;
    const uint64_t due_ns = is_answer ? due_of(silence) : stand_in.timer_ns;

    ck_assert_uint_ne(due_ns, UINT64_MAX);
    if (due_ns > stand_in.now_ns)
        stand_in.now_ns = due_ns + scene.late_ns();
    if (is_answer) {
        answer(silence);
        return;
    }
    stand_in_fire();
}

static uint64_t in_time(void)
{
    return 0;
}

/* Search up to an hour on the path. Return how long that took. */
static uint64_t search_scene(void)
{
    const struct check_kind *kind = idle_timeout_check();
    void *state;
    int turns = 0;

    stand_in_reset(BEGIN_NS);
    stand_in.options.find_idle_timeout_ms = SEARCHED_MS;
    state = stand_in_start(kind);
    ck_assert_ptr_nonnull(state);
    while (!stand_in.check.has_ended) {
        turn();
        ck_assert_int_lt(turns++, MOST_TURNS);
    }
    stand_in_free(kind, state);
    for (size_t i = 0; i < scene.opened; i++)
        ck_assert_ptr_null(scene.silences[i]);
    return stand_in.now_ns - BEGIN_NS;
}

/* The same on a path with a time-out. */
static uint64_t search(uint64_t timeout_ms, lateness *late_ns)
{
    memset(&scene, 0, sizeof scene);
    scene.timeout_ns = timeout_ms * NS_PER_MS;
    scene.late_ns = late_ns;
    return search_scene();
}

/* The same where the other end ends connections, but does not run when it is first to do so. */
static uint64_t search_stopping(uint64_t timeout_ms, uint64_t stop_ms)
{
    memset(&scene, 0, sizeof scene);
    scene.timeout_ns = timeout_ms * NS_PER_MS;
    scene.late_ns = in_time;
    scene.closes = true;
    scene.stops_ns = BEGIN_NS + scene.timeout_ns;
    scene.runs_ns = scene.stops_ns + stop_ms * NS_PER_MS;
    return search_scene();
}

/* --- What comes of it. ----------------------------------------------------------------------- */

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static void check_found(void)
{
    const struct verdict *verdict = &stand_in.check.verdict;

    ck_assert_msg(verdict->status == EXIT_STATUS_UNCHANGED, "%s", verdict->text);
    ck_assert_uint_eq(verdict->figure_count, 2);
    ck_assert_str_eq(verdict->figures[SURVIVED].name, "survived");
    ck_assert_str_eq(verdict->figures[LOST].name, "lost");
    ck_assert_double_lt(verdict->figures[SURVIVED].value, seconds(scene.timeout_ns));
    ck_assert_double_ge(verdict->figures[LOST].value, seconds(scene.timeout_ns));
}

/* The same, to half a percent or 20 ms. */
static void check_found_exactly(void)
{
    const struct figure *figures = stand_in.check.verdict.figures;
    const double exact = figures[LOST].value > 4 ? figures[LOST].value / 200 : 0.02;

    check_found();
    ck_assert_double_le(figures[LOST].value - figures[SURVIVED].value, exact + 1e-6);
}

static void check_took_little(uint64_t elapsed_ns)
{
    ck_assert_double_lt(seconds(elapsed_ns), 5 * seconds(scene.timeout_ns) + 1);
}

static uint64_t late_by_8_ms(void)
{
    return 8 * NS_PER_MS;
}

static uint64_t late_by_60_ms(void)
{
    return 60 * NS_PER_MS;
}

static uint64_t late_by_up_to_20_ms(void)
{
    return support_random(&scene.seed) % (20 * NS_PER_MS);
}

static uint64_t late_by_up_to_200_ms(void)
{
    return support_random(&scene.seed) % (200 * NS_PER_MS);
}

START_TEST(each_timeout_is_found_soon)
{
    for (uint64_t timeout_ms = SHORTEST_MS; timeout_ms < SEARCHED_MS;
         timeout_ms += timeout_ms / 10) {
        check_took_little(search(timeout_ms, in_time));
        check_found_exactly();
    }
}
END_TEST

START_TEST(timers_that_come_late_cost_no_time)
{
    for (uint64_t timeout_ms = SHORTEST_MS; timeout_ms < SEARCHED_MS;
         timeout_ms += timeout_ms / 10) {
        check_took_little(search(timeout_ms, late_by_8_ms));
        check_found_exactly();
        check_took_little(search(timeout_ms, late_by_up_to_20_ms));
        check_found();
    }
}
END_TEST

START_TEST(timers_that_come_very_late_cost_no_answer)
{
    for (uint64_t timeout_ms = SHORTEST_MS; timeout_ms < SEARCHED_MS;
         timeout_ms += timeout_ms / 10) {
        (void)search(timeout_ms, late_by_60_ms);
        check_found();
        (void)search(timeout_ms, late_by_up_to_200_ms);
        check_found();
    }
}
END_TEST

/* One that lived by chance hides neither those that are lost, nor how long they were silent. */
START_TEST(one_that_was_ended_late_misleads_nobody)
{
    const struct figure *figures = stand_in.check.verdict.figures;

    for (uint64_t timeout_ms = SHORTEST_MS; timeout_ms < SEARCHED_MS;
         timeout_ms += timeout_ms / 10) {
        for (uint64_t stop_ms = 10; stop_ms < ANSWERED_MS; stop_ms *= 2) {
            const uint64_t elapsed_ns = search_stopping(timeout_ms, stop_ms);
            const double timeout = seconds(scene.timeout_ns);
            const double exact = timeout > 4 ? timeout / 200 : 0.02;

            ck_assert_msg(stand_in.check.verdict.status == EXIT_STATUS_UNCHANGED, "%s",
                          stand_in.check.verdict.text);
            ck_assert_double_lt(seconds(elapsed_ns), 6 * timeout + (double)stop_ms / 1e3 + 2);
            ck_assert_double_lt(figures[SURVIVED].value, timeout + exact);
            ck_assert_double_ge(figures[LOST].value, timeout);
            ck_assert_double_lt(figures[LOST].value, timeout + 2 * exact);
        }
    }
}
END_TEST

START_TEST(without_a_timeout_the_search_ends_with_its_longest_silence)
{
    const struct verdict *verdict = &stand_in.check.verdict;

    ck_assert_double_lt(seconds(search(10 * SEARCHED_MS, in_time)), SEARCHED_MS / 1e3 * 1.25);
    ck_assert_int_eq(verdict->status, EXIT_STATUS_UNCHANGED);
    ck_assert_uint_eq(verdict->figure_count, 1);
    ck_assert_double_ge(verdict->figures[SURVIVED].value, SEARCHED_MS / 1e3);
}
END_TEST

static Suite *idle_timeout_suite(void)
{
    Suite *suite = suite_create("idle_timeout");
    TCase *tests = support_case(suite, "search");

    tcase_add_test(tests, each_timeout_is_found_soon);
    tcase_add_test(tests, timers_that_come_late_cost_no_time);
    tcase_add_test(tests, timers_that_come_very_late_cost_no_answer);
    tcase_add_test(tests, one_that_was_ended_late_misleads_nobody);
    tcase_add_test(tests, without_a_timeout_the_search_ends_with_its_longest_silence);
    return suite;
}

int main(void)
{
    return support_run(idle_timeout_suite());
}
