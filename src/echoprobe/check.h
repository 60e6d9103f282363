/*
 * check: one check of a path, from its start to its verdict: an event base, signals, the deadline.
 * Knows no check itself; half_close, hold, idle_timeout and mtu are some.
 * Called by start with a kind, and by the checks to say what they found.
 */
#ifndef ECHOPROBE_CHECK_H
#define ECHOPROBE_CHECK_H

#include "echoprobe/backends.h"
#include "echoprobe/opening.h"
#include "echoprobe/options.h"
#include "echoprobe/pattern.h"
#include "echoprobe/report.h"
#include "echoprobe/stream.h"
#include "echoprobe/target.h"
#include "echoprobe/verdict.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What every check has at hand. Only check_end writes the verdict's status and sentence. */
struct check {
    const struct options *options;
    const struct target *target;
    struct pattern pattern;
    struct event_base *base;
    struct event *timer; /* the kind's */
    struct stream_scratch scratch;
    struct report report;
    struct verdict verdict;
    struct backends backends; /* that said who they are, if they are asked */
    uint64_t begin_ns;
    uint64_t next_number; /* for the next connection */
    const char *step;     /* that the system may refuse now, as "cannot" goes on */
    bool was_connected;   /* one was made */
    bool has_ended;
};

/* A kind of check. Its state is its own, and handed to each function; check makes and frees it. */
struct check_kind {
    size_t size; /* of the state, which begins as all zeros */
    /* Begin. Return 0, or -1 with errno. */
    int (*start)(void *state, struct check *check);
    /* `check->timer` is over. */
    void (*on_timer)(void *state);
    /*
     * It has to end early, for this reason: add to the verdict what is known, and call check_end,
     * with EXIT_STATUS_CONNECT only if no connection was made.
     */
    void (*on_interrupt)(void *state, const char *reason);
    /* Return how long it takes at most from now on, in ns; 0: nobody knows. NULL if that is never
       known. */
    uint64_t (*left_ns)(const void *state);
    /* Free what the state owns, also where it did not start. */
    void (*fini)(void *state);
};

/*
 * Run a check, report what it finds, and return the exit status. Blocks. Takes the signals of
 * signals.h for the rest of the process.
 */
int check_run(const struct check_kind *kind, const struct options *options,
              const struct target *target);

/* A connection was made. The figures get the time of the first handshake of TLS. */
void check_note_connected(struct check *check, const struct opening *opening);

/* A connection says who answers: show the first, and count all. */
void check_note_identity(struct check *check, const char *identity);

/* Say how it goes on, printf-style, in a line. Where nobody reads that the check ends. */
void check_say(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* End the check since the system refused a socket, with this errno. */
void check_refuse_socket(struct check *check, int failure);

/* Set a timer, whether or not it is pending. Without memory for it the check ends. */
void check_set_timer(struct check *check, struct event *timer, uint64_t delay_ns);

/*
 * End the check with a status and a sentence, printf-style; only the first call counts. The state
 * lives until the callback that called it returns.
 */
void check_end(struct check *check, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
