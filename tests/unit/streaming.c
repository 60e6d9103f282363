#include <config.h>

#include "streaming.h"

#include "peer.h"
#include "support.h"

#include <string.h>

struct target target;
struct pattern pattern;
struct stream_scratch scratch;
struct stream *stream;
int listening_fd, peer_fd;
unsigned char came[MUCH];
struct seen seen;

/* --- Events. --------------------------------------------------------------------------------- */

static void on_open(void *argument, const struct opening *opening)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.opened++;
    seen.peer = opening->peer;
}

static void on_identity(void *argument, const char *identity)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.identities++;
    ck_assert_uint_lt(strlen(identity), sizeof seen.identity);
    (void)strcpy(seen.identity, identity);
}

static void on_returned(void *argument, uint64_t position)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_uint_ge(position, seen.returned);
    seen.returned = position;
}

static void on_fault(void *argument, const struct fault *fault)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_uint_lt(seen.fault_count, MOST_FAULTS);
    seen.faults[seen.fault_count++] = *fault;
}

static void on_end(void *argument, const struct fault *fault)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.ended++;
    seen.end = *fault;
}

const struct stream_events streaming_events = {
    .on_open = on_open,
    .on_identity = on_identity,
    .on_returned = on_returned,
    .on_fault = on_fault,
    .on_end = on_end,
};

bool streaming_is_open(void *argument)
{
    (void)argument;
    return seen.opened > 0;
}

static bool has_ended(void *argument)
{
    (void)argument;
    return seen.ended > 0;
}

static bool has_returned(void *argument)
{
    return seen.returned >= *(const uint64_t *)argument;
}

/* --- Fixture. -------------------------------------------------------------------------------- */

void streaming_set_up(void)
{
    memset(&seen, 0, sizeof seen);
    memset(&target, 0, sizeof target);
    pattern.origin = UINT64_C(0x0123456789abcdef);
    stream = NULL;
    peer_fd = listening_fd = -1;
}

void streaming_tear_down(void)
{
    stream_free(stream);
    support_close(&peer_fd);
    support_close(&listening_fd);
}

void streaming_begin(void)
{
    stream =
        stream_new(support_base(), &scratch, &target, &pattern, NUMBER, &streaming_events, &seen);
    ck_assert_ptr_nonnull(stream);
}

void streaming_begin_connected(void)
{
    listening_fd = peer_listen(&target);
    streaming_begin();
    peer_fd = peer_accept(listening_fd);
    support_loop_until(streaming_is_open, NULL);
}

void streaming_wait_for(uint64_t position)
{
    support_loop_until(has_returned, &position);
    ck_assert_uint_eq(seen.returned, position);
}

void streaming_check_end(enum fault_kind kind, uint64_t offset, uint64_t count)
{
    support_loop_until(has_ended, NULL);
    ck_assert_msg(seen.end.kind == kind, "%s, not %s: %s", fault_name(seen.end.kind),
                  fault_name(kind), seen.end.text);
    ck_assert_uint_eq(seen.end.offset, offset);
    ck_assert_uint_eq(seen.end.count, count);
    support_loop_settle();
    ck_assert_uint_eq(seen.ended, 1);
}
