/*
 * check_half_close: how long the check waits for bytes that do not come. Stands in for clock, check
 * and stream: nothing is sent, and no time passes but the test's. What real servers do to it is in
 * tests/system.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/half_close.h"

#include "stand_in.h"
#include "support.h"

#include <string.h>

enum { SIZE = 1000, TIMEOUT_MS = 1000, MOST_TURNS = 10000 };

struct stream {
    const struct stream_events *events;
    void *argument;
};

static struct {
    struct stream stream;
    uint64_t departs_ns;    /* from one byte that leaves the system to the next */
    uint64_t delivered_max; /* no more of them leave */
    uint64_t returned;
} scene;

/* --- stream. --------------------------------------------------------------------------------- */

struct stream *stream_new(struct event_base *base, struct stream_scratch *scratch,
                          const struct target *target, const struct pattern *pattern,
                          uint64_t number, const struct stream_events *events, void *argument)
{
    (void)base;
    (void)scratch;
    (void)target;
    (void)pattern;
    (void)number;
    scene.stream = (struct stream){.events = events, .argument = argument};
    return &scene.stream;
}

void stream_free(struct stream *stream)
{
    (void)stream;
}

void stream_send(struct stream *stream, uint64_t position)
{
    (void)stream;
    ck_assert_uint_eq(position, SIZE);
}

void stream_finish(struct stream *stream)
{
    (void)stream;
}

uint64_t stream_delivered(const struct stream *stream)
{
    const uint64_t departed = stand_in.now_ns / scene.departs_ns;

    (void)stream;
    return departed < scene.delivered_max ? departed : scene.delivered_max;
}

uint64_t stream_returned(const struct stream *stream)
{
    (void)stream;
    return scene.returned;
}

bool stream_is_open(const struct stream *stream)
{
    (void)stream;
    return true;
}

bool stream_judge(struct stream *stream, int failure)
{
    (void)stream;
    (void)failure;
    return false;
}

/* --- What comes of it. ----------------------------------------------------------------------- */

/*
 * Run the check, whose connection is there at once, until it ends. So many bytes leave the system,
 * one after the other; when the last did, so many came back. Return how long it was still then.
 */
static double run(uint64_t delivered, uint64_t departs_ms, uint64_t returned)
{
    const struct check_kind *kind = half_close_check();
    uint64_t last_ns;
    void *state;

    stand_in_reset(0);
    memset(&scene, 0, sizeof scene);
    scene.departs_ns = departs_ms * NS_PER_MS;
    scene.delivered_max = delivered;
    stand_in.options.size_bytes = SIZE;
    stand_in.options.timeout_ms = TIMEOUT_MS;
    last_ns = delivered * scene.departs_ns;
    state = stand_in_start(kind);
    ck_assert_ptr_nonnull(state);
    scene.stream.events->on_open(scene.stream.argument, &(struct opening){.peer = "peer"});
    for (int turns = 0; !stand_in.check.has_ended; turns++) {
        ck_assert_int_lt(turns, MOST_TURNS);
        if (scene.returned < returned && stand_in.timer_ns >= last_ns) {
            stand_in.now_ns = last_ns;
            scene.returned = returned;
            scene.stream.events->on_returned(scene.stream.argument, returned);
            continue;
        }
        stand_in.now_ns = stand_in.timer_ns;
        stand_in_fire();
    }
    stand_in_free(kind, state);
    ck_assert_int_eq(stand_in.check.verdict.status, EXIT_STATUS_FAULT);
    return (double)(stand_in.now_ns - last_ns) / 1e6;
}

static void check_waited_once(double still_ms)
{
    ck_assert_double_ge(still_ms, TIMEOUT_MS);
    ck_assert_double_le(still_ms, 1.1 * TIMEOUT_MS);
}

START_TEST(bytes_that_left_at_once_are_awaited_for_one_timeout)
{
    check_waited_once(run(1, 1, 0));
    ck_assert_str_eq(stand_in.check.verdict.text, "lost: nothing came back for 1s");
}
END_TEST

START_TEST(bytes_that_leave_slowly_are_progress)
{
    check_waited_once(run(5, TIMEOUT_MS * 9 / 10, 0));
}
END_TEST

START_TEST(the_wait_begins_anew_with_each_byte_that_returns)
{
    check_waited_once(run(1, TIMEOUT_MS * 9 / 10, 500));
    ck_assert_str_eq(stand_in.check.verdict.text,
                     "lost: only 500 of 1000 bytes came back, then nothing for 1s");
}
END_TEST

/* What comes in between comes too late. */
START_TEST(a_wait_for_what_returns_is_not_longer_than_the_timeout)
{
    ck_assert_double_eq(run(1, TIMEOUT_MS * 91 / 100, 500), TIMEOUT_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("half_close");
    TCase *wait = support_case(suite, "wait");

    tcase_add_test(wait, bytes_that_left_at_once_are_awaited_for_one_timeout);
    tcase_add_test(wait, bytes_that_leave_slowly_are_progress);
    tcase_add_test(wait, the_wait_begins_anew_with_each_byte_that_returns);
    tcase_add_test(wait, a_wait_for_what_returns_is_not_longer_than_the_timeout);
    return support_run(suite);
}
