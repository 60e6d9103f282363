/*
 * streaming: a stream to a peer of the test's, and what it reported.
 * Judges nothing but ends; the tests do.
 * Called by each check_stream*.c.
 */
#ifndef TESTS_UNIT_STREAMING_H
#define TESTS_UNIT_STREAMING_H

#include "base/identity.h"
#include "echoprobe/stream.h"

enum { NUMBER = 3, MESSAGE = 4096, MUCH = 8 * 1024 * 1024, MOST_FAULTS = 8 };

extern struct target target;
extern struct pattern pattern;
extern struct stream_scratch scratch;
extern struct stream *stream;
extern int listening_fd, peer_fd;
extern unsigned char came[MUCH];

/* What the stream reported, and the argument that it has to come with. */
extern struct seen {
    unsigned opened, ended, fault_count;
    const char *peer;
    uint64_t returned;
    struct fault faults[MOST_FAULTS], end;
    unsigned identities;
    char identity[IDENTITY_SIZE]; /* the last */
} seen;

extern const struct stream_events streaming_events;

/* Fixture: nothing is there yet; close and free what is. */
void streaming_set_up(void);
void streaming_tear_down(void);

/* Make the stream to the target. */
void streaming_begin(void);

/* Listen, make the stream, accept it, and wait until it is open. */
void streaming_begin_connected(void);

/* Turn the loop until so much came back. */
void streaming_wait_for(uint64_t position);

/* Tell whether the stream has said that it is open (support_condition). */
bool streaming_is_open(void *argument);

/* Turn the loop until it has ended, once, with this fault. */
void streaming_check_end(enum fault_kind kind, uint64_t offset, uint64_t count);

#endif
