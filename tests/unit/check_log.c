/*
 * check_log: which lines are written, in which order, and that nobody ever waits for a reader.
 * Judges what comes out of the descriptor, not how it is queued.
 * Run by make check.
 */
#include <config.h>

#include "base/log.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array)  ((int)(sizeof(array) / sizeof(array)[0]))
#define TIME             "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"
#define TEXT_HEAD_LENGTH strlen("2026-11-22T14:47:01.123Z info: ")

enum { DEADLINE_MS = 60000 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* Which lines. */

START_TEST(lines_keep_their_order)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const char *text;

    for (int i = 0; i < 100; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d.", i);
    ck_assert_uint_eq(log_dropped_count(log), 0);
    text = support_log_text();
    for (int i = 0; i < 100; i++) {
        char part[20];

        (void)snprintf(part, sizeof part, "line %d.\n", i);
        text = strstr(text, part);
        ck_assert_ptr_nonnull(text);
    }
}
END_TEST

START_TEST(lines_above_the_level_are_not_written)
{
    enum log_level chosen = (enum log_level)_i;
    int fd = support_open_file();
    struct log *log = log_new(fd, chosen, LOG_FORMAT_TEXT);
    char *text;

    ck_assert_ptr_nonnull(log);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        ck_assert_int_eq(log_is_enabled(log, (enum log_level)level), level <= (int)chosen);
        log_write(log, (enum log_level)level, "message");
    }
    ck_assert_uint_eq(log_dropped_count(log), 0);
    log_free(log);
    text = support_read_file(fd);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        char part[40];

        (void)snprintf(part, sizeof part, " %s: message\n", level_names[level]);
        ck_assert_uint_eq(support_count(text, part), level <= (int)chosen);
    }
    free(text);
    support_close(&fd);
}
END_TEST

START_TEST(level_and_format_may_change)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char *text;

    ck_assert_ptr_nonnull(log);
    log_write(log, LOG_LEVEL_INFO, "one");
    log_change(log, LOG_LEVEL_WARNING, LOG_FORMAT_JSON);
    ck_assert(!log_is_enabled(log, LOG_LEVEL_INFO));
    log_write(log, LOG_LEVEL_INFO, "two");
    log_write(log, LOG_LEVEL_WARNING, "three");
    log_change(log, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_write(log, LOG_LEVEL_DEBUG, "four");
    log_free(log);
    text = support_read_file(fd);
    support_assert_matches(text, "^" TIME " info: one\n\\{.*\"message\":\"three\"\\}\n" TIME
                                 " debug: four\n$");
    free(text);
    support_close(&fd);
}
END_TEST

START_TEST(a_new_thread_goes_on_where_the_old_one_was)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char *text;

    ck_assert_ptr_nonnull(log);
    log_write(log, LOG_LEVEL_INFO, "one");
    ck_assert_int_eq(log_renew_thread(log), 0);
    log_write(log, LOG_LEVEL_INFO, "two");
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_int_eq(log_renew_thread(log), 0);
    log_write(log, LOG_LEVEL_INFO, "three");
    ck_assert_uint_eq(log_dropped_count(log), 0);
    log_free(log);
    text = support_read_file(fd);
    support_assert_matches(text,
                           "^" TIME " info: one\n" TIME " info: two\n" TIME " info: three\n$");
    free(text);
    support_close(&fd);
}
END_TEST

/* Nobody waits. */

START_TEST(errno_is_kept)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    const struct log_field field = {"name", "value", 0};
    struct log_limiter limiter = {0};

    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 20000; i++) { /* the queue fills up in between */
        errno = 4242;
        log_write(log, LOG_LEVEL_INFO, "%d", i);
        support_assert(errno == 4242);
        log_write(log, LOG_LEVEL_DEBUG, "%d", i);
        support_assert(errno == 4242);
        log_write_limited(log, &limiter, LOG_LEVEL_INFO, NULL, 0, "%d", i);
        support_assert(errno == 4242);
        log_write_fields(log, LOG_LEVEL_INFO, &field, 1, "%d", i);
        support_assert(errno == 4242);
    }
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(limited_lines_come_once_a_second)
{
    const uint64_t begin_ms = clock_now_ms();
    struct log *log = support_log(LOG_FORMAT_TEXT);
    struct log_limiter limiter = {0};
    uint64_t first_ms;

    log_write_limited(log, &limiter, LOG_LEVEL_WARNING, NULL, 0, "line %d", 1);
    first_ms = limiter.next_ms;
    while (limiter.next_ms == first_ms)
        log_write_limited(log, &limiter, LOG_LEVEL_ERROR, NULL, 0, "line %d", 2); /* counts, too */
    ck_assert_uint_ge(clock_now_ms() - begin_ms, 1000);
    log_write(log, LOG_LEVEL_INFO, "other lines are not limited");
    ck_assert_uint_eq(log_dropped_count(log), 0);
    ck_assert_uint_eq(support_count(support_log_text(), ": line "), 2);
    support_assert_matches(support_log_text(), " info: other lines are not limited\n$");
}
END_TEST

START_TEST(limited_lines_hide_none_of_another_limiter)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    struct log_limiter limiters[3] = {{0}};

    for (int i = 0; i < 3; i++)
        log_write_limited(log, &limiters[i], LOG_LEVEL_WARNING, NULL, 0, "of limiter %d.", i);
    support_assert_matches(support_log_text(), "of limiter 0\\..*of limiter 1\\..*of limiter 2\\.");
}
END_TEST

START_TEST(limited_lines_have_their_facts)
{
    const struct log_field facts[] = {{.name = "one", .text = "1"}, {.name = "two", .number = 2}};
    struct log_limiter limiter = {0};

    log_write_limited(support_log(LOG_FORMAT_JSON), &limiter, LOG_LEVEL_WARNING, facts, 2, "%d", 3);
    support_assert_matches(support_log_text(), "\"message\":\"3\",\"one\":\"1\",\"two\":2}\n$");
}
END_TEST

/* What a descriptor that nobody reads may be. */
struct sink {
    bool is_socket, is_nonblocking;
};

static const struct sink sinks[] = {{false, false}, {false, true}, {true, false}, {true, true}};

static void open_sink(const struct sink *sink, int fds[2])
{
    if (sink->is_socket) {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    } else {
        ck_assert_int_eq(pipe(fds), 0);
    }
    if (sink->is_nonblocking)
        support_set_nonblocking(fds[1]);
}

START_TEST(a_log_that_nobody_reads_blocks_nobody)
{
    enum { LINES = 100000 };
    struct log *log;
    int fds[2];

    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    ck_assert_uint_lt(log_dropped_count(log), LINES);
    log_free(log);
    ck_assert_int_eq(support_is_nonblocking(fds[1]), sinks[_i].is_nonblocking);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

/* Milliseconds of processor time that this process has used. */
static int64_t processor_ms(void)
{
    struct timespec used;

    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

START_TEST(to_wait_for_a_reader_takes_no_time_of_the_processor)
{
    enum { WAIT_MS = 300 };
    struct log *log;
    int64_t before_ms;
    int fds[2];

    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    while (log_dropped_count(log) == 0)
        log_write(log, LOG_LEVEL_INFO, "a line that nobody reads");
    before_ms = processor_ms();
    (void)poll(NULL, 0, WAIT_MS);
    ck_assert_int_lt(processor_ms() - before_ms, WAIT_MS / 2);
    log_free(log);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

/* A reader that comes late and takes little at once. */
struct reader {
    int fd;
    char text[600]; /* what was read and is no whole line yet */
    size_t length;
    int lines, previous; /* of the test's own lines, which are numbered */
};

/* Judge one line: it is whole, and comes later than the one before. */
static void read_line(struct reader *reader, const char *line)
{
    int number, width;

    if (strstr(line, "dropped") != NULL)
        return; /* the log's own word about a gap */
    support_assert(strlen(line) > TEXT_HEAD_LENGTH);
    line += TEXT_HEAD_LENGTH;
    support_assert(sscanf(line, "line %d of %n", &number, &width) == 1);
    support_assert((int)strspn(line + width, "0") == number % 400 + 1);
    support_assert(strcmp(line + width + number % 400 + 1, ".") == 0);
    support_assert(number > reader->previous);
    reader->previous = number;
    reader->lines++;
}

static void read_some(struct reader *reader)
{
    const size_t room = sizeof reader->text - 1 - reader->length;
    ssize_t got = read(reader->fd, reader->text + reader->length, room);
    char *line = reader->text, *end;

    if (got <= 0) {
        (void)usleep(1000); /* the log's thread has its turn */
        return;
    }
    reader->length += (size_t)got;
    reader->text[reader->length] = '\0';
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        read_line(reader, line);
    }
    reader->length = strlen(line);
    memmove(reader->text, line, reader->length + 1);
}

/* Read until all lines that were written have come or were dropped. */
static void read_all(struct reader *reader, struct log *log, uint64_t lines)
{
    const uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;

    while ((uint64_t)reader->lines + log_dropped_count(log) < lines) {
        read_some(reader);
        support_assert(clock_now_ms() < deadline_ms);
    }
    ck_assert_uint_eq((uint64_t)reader->lines + log_dropped_count(log), lines);
}

/* Make a log and write numbered lines before the reader reads any. */
static struct log *flood(struct reader *reader, const struct sink *sink, int fds[2], int lines)
{
    struct log *log;

    open_sink(sink, fds);
    support_set_nonblocking(fds[0]);
    reader->fd = fds[0];
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < lines; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d of %0*d.", i, i % 400 + 1, 0);
    return log;
}

START_TEST(a_late_reader_gets_whole_lines_in_order)
{
    enum { LINES = 8000 };
    struct reader reader = {.previous = -1};
    struct log *log;
    int fds[2];

    log = flood(&reader, &sinks[_i], fds, LINES);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    read_all(&reader, log, LINES);
    log_free(log);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

START_TEST(a_closed_pipe_costs_lines_but_not_the_process)
{
    enum { LINES = 1000 };
    const uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    struct log *log;
    int fds[2];

    (void)signal(SIGPIPE, SIG_DFL); /* the thread that writes blocks it */
    open_sink(&sinks[_i], fds);
    support_close(&fds[0]);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    while (log_dropped_count(log) < LINES) {
        support_assert(clock_now_ms() < deadline_ms);
        (void)usleep(1000);
    }
    ck_assert_uint_eq(log_dropped_count(log), LINES);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(a_pipe_that_is_closed_while_lines_wait_frees_the_log)
{
    struct log *log;
    int fds[2];

    (void)signal(SIGPIPE, SIG_DFL);
    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 20000; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    support_close(&fds[0]);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(a_log_without_descriptor_takes_lines)
{
    struct log *log = log_new(-1, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 10000; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_int_eq(log_flush(log), 0);
    log_free(log);
    log_free(NULL);
}
END_TEST

START_TEST(a_flush_waits_until_all_is_written)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    ck_assert_int_eq(log_flush(log), 0); /* there is nothing yet */
    for (unsigned round = 1; round <= 20; round++) {
        char *text;

        for (int i = 0; i < 100; i++)
            log_write(log, LOG_LEVEL_INFO, "line %d", i);
        ck_assert_int_eq(log_flush(log), 0);
        text = support_read_file(fd);
        ck_assert_uint_eq(support_count(text, ": line "), 100 * round);
        free(text);
    }
    log_free(log);
    support_close(&fd);
}
END_TEST

/* Wait until so many lines stand in the file, without any call of the log. */
static void wait_for_lines(int fd, unsigned lines)
{
    const uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    unsigned seen = 0;

    while (seen < lines) {
        char *text = support_read_file(fd);

        seen = support_count(text, "\n");
        free(text);
        support_assert(clock_now_ms() < deadline_ms);
    }
    ck_assert_uint_eq(seen, lines);
}

START_TEST(every_line_is_written_soon_whatever_came_before_it)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    unsigned lines = 0;

    ck_assert_ptr_nonnull(log);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i <= round % 3; i++, lines++)
            log_write(log, LOG_LEVEL_INFO, "line %u", lines);
        wait_for_lines(fd, lines);
        (void)usleep(round * 1500 % 20000); /* the thread still waits for more, or does no longer */
    }
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(a_flush_tells_when_nobody_reads)
{
    enum { LINES = 8000 };
    struct reader reader = {.previous = -1};
    struct log *log;
    int fds[2];

    log = flood(&reader, &sinks[_i], fds, LINES);
    ck_assert_int_eq(log_flush(log), -1);
    read_all(&reader, log, LINES);       /* it was no end: now somebody reads */
    ck_assert_int_eq(log_flush(log), 0); /* what is left fits the pipe */
    support_close(&fds[0]);
    log_write(log, LOG_LEVEL_INFO, "a line for nobody");
    ck_assert_int_eq(log_flush(log), 0); /* it is dropped, so nothing waits */
    ck_assert_uint_gt(log_dropped_count(log), 0);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(the_descriptor_stays_open)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    log_free(log);
    ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
    support_close(&fd);
}
END_TEST

/* A signal for the process never runs in the log's thread. */
static pthread_t signal_thread;
static volatile sig_atomic_t signal_came;

static void on_signal(int signal_number)
{
    (void)signal_number;
    signal_thread = pthread_self();
    signal_came = 1;
}

START_TEST(the_thread_takes_no_signal)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const pthread_t self = pthread_self(); /* qemu-i386 forgets it when a handler returns */
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigset_t set;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
    ck_assert_int_eq(sigemptyset(&set), 0);
    ck_assert_int_eq(sigaddset(&set, SIGUSR1), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    signal_came = 0;
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
    for (int i = 0; i < 100; i++) {
        log_write(log, LOG_LEVEL_INFO, "line");
        (void)usleep(100);
    }
    ck_assert_int_eq(signal_came, 0); /* here it is blocked, and in the log's thread too */
    ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    ck_assert_int_eq(signal_came, 1);
    ck_assert(pthread_equal(signal_thread, self));
    ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}
END_TEST

/* Threads. */

enum { WRITERS = 8, LINES_EACH = 1000 };

struct writer {
    pthread_t thread;
    struct log *log;
    int number;
};

static void *run_writer(void *argument)
{
    const struct writer *writer = argument;

    for (int i = 0; i < LINES_EACH; i++) {
        log_write(writer->log, LOG_LEVEL_INFO, "writer %d line %d %0*d.", writer->number, i,
                  i % 50 + 1, 0);
        (void)log_dropped_count(writer->log);
        (void)log_is_enabled(writer->log, LOG_LEVEL_DEBUG);
    }
    return NULL;
}

START_TEST(lines_of_several_threads_never_mix)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    struct writer writers[WRITERS];
    int next[WRITERS] = {0};
    uint64_t dropped, lines = 0;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = log, .number = i};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    dropped = log_dropped_count(log);
    for (const char *line = support_log_text(), *end; *line != '\0'; line = end + 1) {
        int number, count, width;

        end = strchr(line, '\n');
        support_assert(end != NULL);
        if (memmem(line, (size_t)(end - line), "dropped", 7) != NULL)
            continue; /* the log's own word about a gap */
        line += TEXT_HEAD_LENGTH;
        support_assert(sscanf(line, "writer %d line %d %n", &number, &count, &width) == 2);
        support_assert(number >= 0 && number < WRITERS && count >= next[number]);
        next[number] = count + 1;
        support_assert((int)strspn(line + width, "0") == count % 50 + 1);
        support_assert(strncmp(line + width + count % 50 + 1, ".\n", 2) == 0);
        lines++;
    }
    ck_assert_uint_gt(lines, 0);
    ck_assert_uint_eq(lines + dropped, WRITERS * LINES_EACH);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *level = support_case(suite, "level");
    TCase *sink = support_case(suite, "sink");
    TCase *threads = support_case(suite, "threads");

    tcase_add_test(level, lines_keep_their_order);
    tcase_add_loop_test(level, lines_above_the_level_are_not_written, 0, 4);
    tcase_add_test(level, level_and_format_may_change);

    tcase_add_test(level, a_new_thread_goes_on_where_the_old_one_was);
    tcase_add_test(sink, errno_is_kept);
    tcase_add_test(sink, limited_lines_come_once_a_second);
    tcase_add_test(sink, limited_lines_hide_none_of_another_limiter);
    tcase_add_test(sink, limited_lines_have_their_facts);
    tcase_add_loop_test(sink, a_log_that_nobody_reads_blocks_nobody, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, to_wait_for_a_reader_takes_no_time_of_the_processor, 0,
                        COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_late_reader_gets_whole_lines_in_order, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_closed_pipe_costs_lines_but_not_the_process, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_pipe_that_is_closed_while_lines_wait_frees_the_log, 0,
                        COUNT_OF(sinks));
    tcase_add_test(sink, a_flush_waits_until_all_is_written);
    tcase_add_test(sink, every_line_is_written_soon_whatever_came_before_it);
    tcase_add_loop_test(sink, a_flush_tells_when_nobody_reads, 0, COUNT_OF(sinks));
    tcase_add_test(sink, a_log_without_descriptor_takes_lines);
    tcase_add_test(sink, the_descriptor_stays_open);

    tcase_add_test(threads, the_thread_takes_no_signal);
    tcase_add_test(threads, lines_of_several_threads_never_mix);
    return suite;
}

int main(void)
{
    return support_run(log_suite());
}
