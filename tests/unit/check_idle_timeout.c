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

enum { MOST_CONNECTIONS = 256, MOST_TURNS = 10000, SHORTEST_MS = 50, SEARCHED_MS = 3600000 };

#define ROUND_TRIP_NS (NS_PER_MS / 2)

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
    uint64_t timeout_ns; /* of the path, which forgets who was silent for so long */
    lateness *late_ns;
    uint64_t seed;
    struct silence *silences[MOST_CONNECTIONS];
    size_t opened;
} scene;

/* --- silence. -------------------------------------------------------------------------------- */

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
    silence->due_ns = stand_in.now_ns + ROUND_TRIP_NS;
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

/* What was sent comes back, unless the path has forgotten the connection. */
static void answer(struct silence *silence)
{
    const struct fault reset = {.kind = FAULT_RESET, .text = "Connection reset by peer"};

    if (silence->phase == PHASE_TRYING && silence->silent_ns >= scene.timeout_ns) {
        silence->phase = PHASE_LOST;
        silence->events->on_lost(silence->argument, silence, silence->silent_ns, &reset);
        return;
    }
    silence->phase = PHASE_SILENT;
    silence->is_proven = true;
    silence->began_ns = stand_in.now_ns;
    silence->events->on_echo(silence->argument, silence, silence->silent_ns, ROUND_TRIP_NS);
}

/* --- The loop. ------------------------------------------------------------------------------- */

static struct silence *next_to_answer(void)
{
    struct silence *found = NULL;

    for (size_t i = 0; i < scene.opened; i++) {
        struct silence *each = scene.silences[i];

        if (each != NULL && (each->phase == PHASE_PROVING || each->phase == PHASE_TRYING) &&
            (found == NULL || each->due_ns < found->due_ns))
            found = each;
    }
    return found;
}

/* Sleep until something is due, for too long perhaps, and do that. */
static void turn(void)
{
    struct silence *silence = next_to_answer();
    const bool is_answer = silence != NULL && silence->due_ns <= stand_in.timer_ns;
    const uint64_t due_ns = is_answer ? silence->due_ns : stand_in.timer_ns;

    ck_assert_uint_ne(due_ns, UINT64_MAX);
    if (due_ns > stand_in.now_ns)
        stand_in.now_ns = due_ns + scene.late_ns();
    if (is_answer) {
        answer(silence);
        return;
    }
    stand_in_fire();
}

/* Search up to an hour on a path with a time-out. Return how long that took. */
static uint64_t search(uint64_t timeout_ms, lateness *late_ns)
{
    const struct check_kind *kind = idle_timeout_check();
    const uint64_t begin_ns = NS_PER_MS; /* any but 0 */
    void *state;
    int turns = 0;

    stand_in_reset(begin_ns);
    memset(&scene, 0, sizeof scene);
    scene.timeout_ns = timeout_ms * NS_PER_MS;
    scene.late_ns = late_ns;
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
    return stand_in.now_ns - begin_ns;
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

static uint64_t in_time(void)
{
    return 0;
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
    tcase_add_test(tests, without_a_timeout_the_search_ends_with_its_longest_silence);
    return suite;
}

int main(void)
{
    return support_run(idle_timeout_suite());
}
