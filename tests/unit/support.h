/*
 * support: what the unit tests share: main's body, the loop, sockets, memory that runs out, a log.
 * Tests nothing itself.
 * Called by every check_*.c.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "base/log.h"

#include <check.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Run a suite as CK_ENV says and free it. Return the exit status of the test program. */
int support_run(Suite *suite);

/*
 * The same in one process, for many small tests that leave nothing behind: a sanitizer looks for
 * leaks at the end of each process, which takes it longer than such a test.
 */
int support_run_together(Suite *suite);

/*
 * Add a test case to a suite. Around each of its tests stands a fixture that checks that as many
 * descriptors are open after the test as before, and that libevent holds no more memory.
 */
TCase *support_case(Suite *suite, const char *name);

/* The event loop of the running test; made when it is first asked for, freed after the test. */
struct event_base *support_base(void);

/* Free the loop, so that the test gets a new one when it asks next. */
void support_renew_base(void);

typedef bool support_condition(void *argument);

/* Turn the loop until the condition holds. The test fails if that takes too long. */
#define support_loop_until(condition, argument)                                                    \
    ck_assert_msg(support_loop_reaches((condition), (argument)), "never came true: " #condition)

/* Turn the loop until the condition holds; return false if that takes too long. */
bool support_loop_reaches(support_condition *condition, void *argument);

/* Turn the loop for a while, waiting for events. Return how many turns that took. */
unsigned support_loop_for(uint64_t duration_ms);

/* Turn the loop once, without waiting. */
void support_loop_once(void);

/* Turn the loop many times without waiting: whatever can happen at once, happens. */
void support_loop_settle(void);

/* Memory that libevent holds now. */
size_t support_memory_bytes(void);

/*
 * Let `count` of libevent's allocations fail, beginning with the one that comes as number `first`
 * (1: the next). A count of 0 ends a shortage.
 */
void support_memory_fail(unsigned long first, unsigned long count);

/* Tell whether an allocation failed since the last support_memory_fail. */
bool support_memory_has_failed(void);

/* Tell whether valgrind runs the test: some of what the system does, it only plays. */
bool support_is_under_valgrind(void);

/* Tell whether the system says of a socket what it dropped, which not every emulator does. */
bool support_system_tells_drops(void);

/*
 * Tell whether the system says to which of its IPv4 addresses a datagram was sent, where the socket
 * is bound to none.
 */
bool support_system_tells_address(void);

/*
 * Tell whether a datagram can be sent with as many hops as echod asks for: an emulator of a machine
 * with another order of bytes passes the number on as it is, and the system refuses it. For main,
 * before any test runs.
 */
bool support_system_sends_hops(void);

/* Say, before any test runs, why a whole program of tests cannot be made here. Return its exit
 * status, for automake. */
int support_skip_all(const char *why);

/* End the running test, which cannot be made here, and say why in its program's output. */
#define support_skip(why)                                                                          \
    do {                                                                                           \
        (void)fprintf(stderr, "%s was skipped: %s\n", __func__, (why));                            \
        return;                                                                                    \
    } while (0)

/* Return the number of open descriptors. */
unsigned support_descriptor_count(void);

/* Make a non-blocking pair: of Unix sockets; of TCP sockets, the second was accepted; a pipe. */
void support_unix_pair(int fds[2]);
void support_tcp_pair(int fds[2]);
void support_pipe(int fds[2]);

/* Make sure that a descriptor does not block. */
void support_set_nonblocking(int fd);

bool support_is_nonblocking(int fd);
bool support_is_close_on_exec(int fd);

/* Bind a TCP socket to a free port of the loopback, not yet listening, and say which. */
int support_bind_tcp(struct sockaddr_in *address);

/* Return the loopback's address with a port in host byte order. */
struct sockaddr_in support_loopback(uint16_t port);

/* Close a descriptor and set the variable to -1. -1 is fine. */
void support_close(int *fd);

/*
 * Start a log of all levels for the running test, or return the one that was started; it writes to
 * a file without a name and is freed after the test.
 */
struct log *support_log(enum log_format format);

/* Free the test's log and return all that it wrote. The text is valid until the test ends. */
const char *support_log_text(void);

/* Return all that a file holds, from its beginning, NUL-terminated; free it. */
char *support_read_file(int fd);

/* Open a file for reading and writing that has no name. */
int support_open_file(void);

/* Write a text into memory of the test's that the next one takes again: words of the C library, as
 * strerror has them, differ from one to the other. */
const char *support_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Tell whether a text matches a pattern as grep -E has it. */
bool support_matches(const char *text, const char *pattern);

#define support_assert_matches(text, pattern)                                                      \
    do {                                                                                           \
        const char *support_text_ = (text);                                                        \
        const char *support_pattern_ = (pattern);                                                  \
        ck_assert_msg(support_matches(support_text_, support_pattern_),                            \
                      "\"%s\" does not match \"%s\"", support_text_, support_pattern_);            \
    } while (0)

/* For what is checked a million times: ck_assert writes a note each time, this when it fails. */
#define support_assert(expression)                                                                 \
    do {                                                                                           \
        if (!(expression))                                                                         \
            ck_abort_msg("not true: %s", #expression);                                             \
    } while (0)

/* Return how often a text stands in another. */
unsigned support_count(const char *text, const char *part);

/* Return the next of a sequence of pseudo-random numbers that the seed alone decides. */
uint64_t support_random(uint64_t *seed);

/* Fill memory with such numbers. */
void support_random_fill(uint64_t *seed, void *memory, size_t size);

/*
 * Return what the tests send, from an offset on. At least SUPPORT_PAYLOAD_ROOM bytes may be read;
 * they look random, so that nothing that is lost, doubled or out of order goes unnoticed.
 */
enum { SUPPORT_PAYLOAD_ROOM = 65536 };
const unsigned char *support_payload(uint64_t offset);

#endif
