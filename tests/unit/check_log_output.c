/*
 * check_log_output: what arrives at a descriptor that fails, and at the syslog daemon.
 * Judges by what a log writes there. How a line looks is for check_log_format.
 * Run by make check.
 */
#include <config.h>

#include "base/log.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TIME             "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"
#define TEXT_HEAD_LENGTH strlen("2026-11-22T14:47:01.123Z info: ")

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* Lines to a descriptor. */

START_TEST(lines_for_a_full_disk_are_dropped)
{
    int fd = open("/dev/full", O_WRONLY);
    struct log *log;

    ck_assert_int_ge(fd, 0);
    log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 100; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_uint_eq(log_dropped_count(log), 100);
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(a_line_that_a_full_disk_cut_does_not_swallow_the_next)
{
    const off_t begin = 1 << 30; /* in a sparse file, far behind all that anybody else writes */
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct rlimit before, limit;
    char text[500] = "";

    ck_assert_ptr_nonnull(log);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)begin + TEXT_HEAD_LENGTH + 10; /* in the midst of the line */
    ck_assert_int_eq(lseek(fd, begin, SEEK_SET), begin);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    log_write(log, LOG_LEVEL_INFO, "the line that does not fit");
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_uint_eq(log_dropped_count(log), 1);
    log_write(log, LOG_LEVEL_INFO, "the next");
    log_free(log);
    ck_assert_int_gt(pread(fd, text, sizeof text - 1, begin), 0);
    support_assert_matches(text, "^" TIME " info: the line t\n" TIME " info: the next\n$");
    support_close(&fd);
}
END_TEST

enum { PIPE_BYTES = 64 << 10, MANY_LINES = 2000 }; /* more than a pipe holds */

/* Read what there is up to now, behind what was read before. */
static void read_on(int fd, char text[2 * PIPE_BYTES], size_t *length)
{
    ssize_t got;

    while ((got = read(fd, text + *length, 2 * PIPE_BYTES - 1 - *length)) > 0)
        *length += (size_t)got;
}

/* The pipe stays full for the next reader: there is no room for the end of the line either. */
START_TEST(a_line_that_a_reader_cut_who_went_does_not_swallow_the_next)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    static char text[2 * PIPE_BYTES];
    char directory[] = "/tmp/check-XXXXXX", path[64];
    size_t length = 0;
    struct log *log;
    int reader, writer;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    writer = open(path, O_WRONLY | O_NONBLOCK);
    ck_assert(reader >= 0 && writer >= 0);
    ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    log = log_new(writer, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < MANY_LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "a line of those that nobody reads");
    ck_assert_int_lt(log_flush(log), 0);
    support_close(&reader);
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    log_write(log, LOG_LEVEL_INFO, "the next");
    (void)nanosleep(&moment, NULL); /* so that it waits for room; without that it had some */
    read_on(reader, text, &length);
    log_free(log);
    read_on(reader, text, &length);
    support_assert_matches(text + length - 100, "\n" TIME " info: the next\n$");
    support_close(&reader);
    support_close(&writer);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

/* Lines to syslog. */

/* A daemon that reads a socket in a directory of its own. */
static struct {
    int fd;
    char directory[32];
    struct sockaddr_un address;
} daemon_scene;

static void start_daemon(void)
{
    daemon_scene.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_ge(daemon_scene.fd, 0);
    ck_assert_int_eq(bind(daemon_scene.fd, (struct sockaddr *)&daemon_scene.address,
                          sizeof daemon_scene.address),
                     0);
}

static void stop_daemon(void)
{
    support_close(&daemon_scene.fd);
    ck_assert_int_eq(unlink(daemon_scene.address.sun_path), 0);
}

static void setup_daemon(void)
{
    (void)strcpy(daemon_scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(daemon_scene.directory));
    daemon_scene.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(daemon_scene.address.sun_path, sizeof daemon_scene.address.sun_path, "%s/log",
                   daemon_scene.directory);
    start_daemon();
}

static void teardown_daemon(void)
{
    if (daemon_scene.fd >= 0)
        stop_daemon();
    ck_assert_int_eq(rmdir(daemon_scene.directory), 0);
}

static struct log *new_syslog(enum log_format format)
{
    struct log *log =
        log_new_syslog(daemon_scene.address.sun_path, "check", LOG_LEVEL_DEBUG, format);

    ck_assert_ptr_nonnull(log);
    return log;
}

/* Receive the next datagram. */
static void receive_datagram(char text[LINE_SIZE + 1])
{
    const ssize_t length = recv(daemon_scene.fd, text, LINE_SIZE, 0);

    ck_assert_int_gt(length, 0);
    text[length] = '\0';
}

/* Receive the next datagram, and see that it has a pattern. */
static void check_datagram(const char *pattern)
{
    char text[LINE_SIZE + 1];

    receive_datagram(text);
    support_assert_matches(text, pattern);
}

#define SYSLOG_TIME "[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"

START_TEST(a_line_to_syslog_is_a_datagram_with_priority_and_ident)
{
    static const int priorities[] = {27, 28, 30, 31}; /* RFC 3164, 4.1.1: 3 * 8 + severity */
    struct log *log = new_syslog(LOG_FORMAT_TEXT);
    char pattern[100];

    log_write(log, (enum log_level)_i, "connection %d", 42);
    (void)snprintf(pattern, sizeof pattern,
                   "^<%d>" SYSLOG_TIME " check\\[%d\\]: %s: connection 42$", priorities[_i],
                   (int)getpid(), level_names[_i]);
    check_datagram(pattern);
    log_set_process(log, "check_01");
    log_write(log, (enum log_level)_i, "connection %d", 43);
    check_datagram("\\]: [a-z]+: \\[check_01\\] connection 43$");
    log_free(log);
}
END_TEST

START_TEST(json_to_syslog_is_the_whole_object)
{
    struct log *log = new_syslog(LOG_FORMAT_JSON);

    log_write(log, LOG_LEVEL_INFO, "a message");
    check_datagram("^<30>" SYSLOG_TIME " check\\[[0-9]+\\]: \\{\"time\":\"" TIME
                   "\",\"level\":\"info\",\"message\":\"a message\"\\}$");
    log_free(log);
}
END_TEST

START_TEST(lines_to_syslog_keep_their_order)
{
    enum { ROUNDS = 300, LINES = 100 }; /* more than the queue holds, so that it goes round */
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LINES; i++)
            log_write(log, LOG_LEVEL_INFO, "line %d.%d of many that are long enough", round, i);
        for (int i = 0; i < LINES; i++) {
            char text[LINE_SIZE + 1], part[40];

            receive_datagram(text);
            (void)snprintf(part, sizeof part, ": line %d.%d of", round, i);
            support_assert(strstr(text, part) != NULL);
        }
    }
    ck_assert_uint_eq(log_dropped_count(log), 0);
    log_free(log);
}
END_TEST

START_TEST(without_a_daemon_there_is_no_log_to_syslog)
{
    char path[200];

    stop_daemon();
    errno = 0;
    ck_assert_ptr_null(
        log_new_syslog(daemon_scene.address.sun_path, "check", LOG_LEVEL_INFO, LOG_FORMAT_TEXT));
    ck_assert_int_eq(errno, ENOENT);
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    ck_assert_ptr_null(log_new_syslog(path, "check", LOG_LEVEL_INFO, LOG_FORMAT_TEXT));
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

START_TEST(a_new_daemon_gets_what_comes_then)
{
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    log_write(log, LOG_LEVEL_INFO, "first");
    check_datagram("first$");
    stop_daemon();
    log_write(log, LOG_LEVEL_INFO, "lost");
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_uint_eq(log_dropped_count(log), 1);
    start_daemon();
    log_write(log, LOG_LEVEL_INFO, "second");
    check_datagram("second$");
    log_free(log);
}
END_TEST

START_TEST(a_daemon_that_does_not_read_blocks_nobody)
{
    enum { LINES = 100000 };
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    ck_assert_uint_lt(log_dropped_count(log), LINES);
    check_datagram(": line 0$");
    log_free(log);
}
END_TEST

static Suite *log_output_suite(void)
{
    Suite *suite = suite_create("log_output");
    TCase *disk = support_case(suite, "disk");
    TCase *syslog = support_case(suite, "syslog");

    tcase_add_checked_fixture(syslog, setup_daemon, teardown_daemon);
    tcase_add_test(disk, lines_for_a_full_disk_are_dropped);
    tcase_add_test(disk, a_line_that_a_full_disk_cut_does_not_swallow_the_next);
    tcase_add_test(disk, a_line_that_a_reader_cut_who_went_does_not_swallow_the_next);

    tcase_add_loop_test(syslog, a_line_to_syslog_is_a_datagram_with_priority_and_ident, 0, 4);
    tcase_add_test(syslog, json_to_syslog_is_the_whole_object);
    tcase_add_test(syslog, lines_to_syslog_keep_their_order);
    tcase_add_test(syslog, without_a_daemon_there_is_no_log_to_syslog);
    tcase_add_test(syslog, a_new_daemon_gets_what_comes_then);
    tcase_add_test(syslog, a_daemon_that_does_not_read_blocks_nobody);
    return suite;
}

int main(void)
{
    return support_run(log_output_suite());
}
