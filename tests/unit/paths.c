#include <config.h>

#include "paths.h"

#include "secure.h"
#include "support.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURNS = 400,
    PATIENCE = 100, /* time-outs: of who is held back, each may let pass a byte */
    SHORT_WHILE_MS = 100,
};

/* --- What is owed ---------------------------------------------------------------------------- */

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* Return how much comes back of bytes, in the end. */
static uint64_t owed_of(uint64_t bytes)
{
    const uint64_t close_after = walk.stage->impair.close_after.bytes;

    if (walk_is_identity_all())
        return 0;
    return close_after > 0 ? least(bytes, close_after) : bytes;
}

/* Tell whether a connection ends by a reset, or at any time. */
static bool is_end_harmful(void)
{
    const struct impair *impair = &walk.stage->impair;

    return impair->is_fin_withheld || impair->close_after.ms > 0 || impair->reset_after.ms > 0 ||
           impair->reset_after.bytes > 0;
}

/* Tell whether bytes may be lost. Where FIN is withheld, they are if the end is ours. */
static bool may_lose(void)
{
    return walk.is_cut ||
           (is_end_harmful() && (walk.is_told || !walk.stage->impair.is_fin_withheld));
}

static void check_bytes(void)
{
    const struct client *client = walk.client;
    const uint64_t read_bytes = scene_count_of(COUNTER_BYTES_IN) - walk.read_before;

    ck_assert_msg(!walk_is_identity_all() || read_bytes == 0, "%s: it was echoed", walk.text);
    ck_assert_msg(client->received <= owed_of(read_bytes), "%s: more came back than was read",
                  walk.text);
    ck_assert_msg(walk.is_cut || is_end_harmful() || client->error == 0, "%s: the client was reset",
                  walk.text);
    ck_assert_msg(may_lose() || client->received == owed_of(read_bytes),
                  "%s: of %" PRIu64 " bytes %" PRIu64 " came back", walk.text, read_bytes,
                  client->received);
    ck_assert_msg(may_lose() || walk.is_told || client->received == owed_of(client->sent),
                  "%s: of %" PRIu64 " bytes %" PRIu64 " came back", walk.text, client->sent,
                  client->received);
    ck_assert_msg(walk.is_cut || is_end_harmful() || !walk.is_secure || !secure_is_ready() ||
                      secure_is_closed(),
                  "%s: there was no close_notify", walk.text);
    ck_assert_msg(gauge_get(&scene.pool.queued_bytes) == 0, "%s: it still counts", walk.text);
}

/* --- A client that goes on in order ---------------------------------------------------------- */

/* What is held back goes on meanwhile. */
static void let_time_pass(void)
{
    if (scene.group.is_limited || scene.group.is_impaired)
        walk_pass(SHORT_WHILE_MS);
}

static bool is_in(void *argument)
{
    (void)argument;
    return walk_has_ended() || !walk_introduce();
}

/* Let the client read. Tell whether it has back all, or its end: neither needs a FIN. */
static bool is_answered(void *argument)
{
    (void)argument;
    if (walk_may_receive())
        walk_receive(UINT64_MAX);
    if (walk.is_told)
        return walk_has_ended() || !walk_may_receive();
    return walk_has_ended() || walk.client->received == owed_of(walk.client->sent);
}

/* Let the client do all that a client in order does. Tell whether its connection has ended. */
static bool is_over(void *argument)
{
    (void)argument;
    if (walk.is_secure && !walk.is_gone)
        secure_leave();
    if (walk_may_receive())
        walk_receive(UINT64_MAX);
    return walk_has_ended() && (walk.is_gone || walk.client->is_eof || walk.client->error != 0);
}

/* Turn the loop until it is true, without a wait for what is under way, which hardly ever is. */
static void reach(support_condition *condition)
{
    for (int turns = 0; turns < TURNS && !condition(NULL); turns++) {
        walk_turn();
        let_time_pass();
    }
    ck_assert_msg(support_loop_reaches(condition, NULL), "%s: nothing is armed", walk.text);
}

/* --- A client that does nothing -------------------------------------------------------------- */

/* Turn the loop until nothing happens: without a client and without time, that is soon. */
static void settle(void)
{
    struct event_base *base = support_base();

    for (int turns = 0; turns < TURNS; turns++) {
        (void)event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 1);
        walk_turn();
        if (event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0) == 0)
            return;
    }
    ck_abort_msg("%s: the loop does not come to rest", walk.text);
}

/* Let time-outs end it. */
static void wait_for_end(void)
{
    for (int i = 0; i < PATIENCE && !walk_has_ended(); i++) {
        walk_pass_deadlines();
        settle();
    }
    ck_assert_msg(walk_has_ended(), "%s: no time-out ends it", walk.text);
}

/* --- Ends ------------------------------------------------------------------------------------ */

/* Whatever has happened, it comes to an end as soon as the client lets it. */
static void go_on_in_order(void)
{
    reach(is_in);
    if (!may_lose())
        reach(is_answered);
    if (!walk_has_ended())
        walk_finish();
    if (walk.stage->impair.is_fin_withheld)
        wait_for_end();
    reach(is_over);
}

static void fall_silent(void)
{
    walk.is_cut = true;
    settle();
    wait_for_end();
}

static void end_by(void (*ending)(void))
{
    ending();
    check_bytes();
    walk_end();
}

void paths_end(void)
{
    end_by(go_on_in_order);
}

/* --- Paths ----------------------------------------------------------------------------------- */

/* Take the steps of a path. Return how many there were before one that makes no sense. */
static size_t take(const char *letters, const unsigned char *path, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!walk_step(letters[path[i]]))
            return i;
    }
    return length;
}

/* Turn a path into the next one that differs at a place or before. Return false after the last. */
static bool advance(const char *letters, unsigned char *path, size_t length, size_t place)
{
    memset(path + place + 1, 0, length - place - 1);
    while (letters[++path[place]] == '\0') {
        path[place] = 0;
        if (place-- == 0)
            return false;
    }
    return true;
}

static size_t length_of_paths(const struct stage *stage, size_t usual)
{
    const char *text = getenv("ECHOD_TEST_PATH_LENGTH");
    const size_t length = text == NULL ? usual : (size_t)strtoul(text, NULL, 10);

    ck_assert(length >= 2 && length <= WALK_LENGTH_MAX / 2);
    return stage->layer == PLAIN ? length : length - 1;
}

void paths_walk_all(enum transport transport, const struct stage *stage, const char *letters,
                    size_t usual_length)
{
    void (*const endings[])(void) = {go_on_in_order, fall_silent};
    const size_t length = length_of_paths(stage, usual_length);
    unsigned char path[WALK_LENGTH_MAX] = {0};
    unsigned long count = 0;
    size_t taken = 0;

    do {
        for (int i = 0; i < COUNT_OF(endings); i++) {
            walk_begin(transport, stage);
            taken = take(letters, path, length);
            end_by(endings[i]);
        }
        count++;
    } while (advance(letters, path, length, taken < length ? taken : length - 1));
    (void)printf("%lu paths of up to %zu steps\n", count, length);
}
