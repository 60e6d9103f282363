/*
 * check_supervise: what a service manager is told, on a socket of the test's own, and what not.
 * Asks no worker: who is alive, the test says.
 * Run by make check.
 */
#include <config.h>

#include "echod/supervise.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "support.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { NOTE_SIZE = 256 };

static struct {
    struct supervise supervise;
    int manager; /* the socket that the service manager reads */
    char directory[32];
    char path[64];
    char note[NOTE_SIZE]; /* the last one that came */
    uint64_t connections;
    bool are_workers_alive;
    unsigned questions; /* how often that was asked */
} scene;

/* Let the service manager listen: on an abstract name if it begins with "@". */
static void listen_on(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    scene.manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_ge(scene.manager, 0);
    support_set_nonblocking(scene.manager);
    ck_assert_int_eq(bind(scene.manager, (struct sockaddr *)&address, length), 0);
}

static void set_variable(const char *name, const char *value)
{
    ck_assert_int_eq(setenv(name, value, 1), 0);
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.manager = -1;
    scene.supervise.fd = -1;
    scene.are_workers_alive = true;
    (void)strcpy(scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene.directory));
    (void)snprintf(scene.path, sizeof scene.path, "%s/notify", scene.directory);
    (void)support_log(LOG_FORMAT_TEXT);
}

static void teardown(void)
{
    supervise_stop(&scene.supervise);
    supervise_fini(&scene.supervise);
    support_close(&scene.manager);
    (void)unlink(scene.path);
    ck_assert_int_eq(rmdir(scene.directory), 0);
}

static uint64_t count_connections(void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    return scene.connections;
}

static bool are_workers_alive(void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    scene.questions++;
    return scene.are_workers_alive;
}

static const struct supervise_questions questions = {
    .count_connections = count_connections,
    .are_workers_alive = are_workers_alive,
    .owner = &scene,
};

/* Read the environment and begin. */
static void start(void)
{
    supervise_init(&scene.supervise, support_log(LOG_FORMAT_TEXT));
    ck_assert_int_eq(supervise_start(&scene.supervise, support_base(), &questions), 0);
}

static void start_with_manager(void)
{
    listen_on(scene.path);
    set_variable("NOTIFY_SOCKET", scene.path);
    start();
}

/* Take the next datagram, if there is one. */
static bool take_note(void *argument)
{
    const ssize_t length = recv(scene.manager, scene.note, sizeof scene.note - 1, 0);

    (void)argument;
    scene.note[length < 0 ? 0 : length] = '\0';
    return length >= 0;
}

static void check_note(const char *expected)
{
    ck_assert(take_note(NULL));
    ck_assert_str_eq(scene.note, expected);
}

static void check_silence(void)
{
    ck_assert_msg(!take_note(NULL), "there is a note: %s", scene.note);
}

START_TEST(without_a_manager_nothing_happens)
{
    start();
    ck_assert_int_eq(scene.supervise.fd, -1);
    supervise_tell_ready(&scene.supervise);
    supervise_tell_reload_failed(&scene.supervise);
    supervise_tell_reloading(&scene.supervise);
    supervise_tell_stopping(&scene.supervise);
    ck_assert_uint_lt(support_loop_for(100), 20);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(each_state_is_one_datagram)
{
    start_with_manager();
    check_silence();
    supervise_tell_ready(&scene.supervise);
    check_note("READY=1\nSTATUS=0 connections\n");
    scene.connections = 12;
    supervise_tell_stopping(&scene.supervise);
    check_note("STOPPING=1\nSTATUS=draining, 12 connections\n");
    supervise_tell_stopping(&scene.supervise);
    check_silence();
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(a_reload_is_told_with_its_time)
{
    uint64_t before_us, told_us;

    start_with_manager();
    before_us = clock_now_ns() / 1000;
    supervise_tell_reloading(&scene.supervise);
    ck_assert(take_note(NULL));
    ck_assert_int_eq(sscanf(scene.note, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "\n", &told_us), 1);
    ck_assert_uint_ge(told_us, before_us);
    ck_assert_uint_le(told_us, clock_now_ns() / 1000);
    supervise_tell_ready(&scene.supervise);
    check_note("READY=1\nSTATUS=0 connections\n");
}
END_TEST

START_TEST(a_reload_that_failed_is_told_until_the_next)
{
    start_with_manager();
    supervise_tell_reload_failed(&scene.supervise);
    check_note("READY=1\nSTATUS=reload failed, see the log; 0 connections\n");
    scene.connections = 3;
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "STATUS=reload failed, see the log; 3 connections\n");
    supervise_tell_ready(&scene.supervise);
    check_note("READY=1\nSTATUS=3 connections\n");
    supervise_tell_reload_failed(&scene.supervise);
    ck_assert(take_note(NULL));
    supervise_tell_stopping(&scene.supervise);
    check_note("STOPPING=1\nSTATUS=draining, 3 connections\n");
}
END_TEST

START_TEST(an_abstract_name_is_a_manager_too)
{
    char name[64];

    (void)snprintf(name, sizeof name, "@echod-check-%d", (int)getpid());
    listen_on(name);
    set_variable("NOTIFY_SOCKET", name);
    start();
    supervise_tell_ready(&scene.supervise);
    check_note("READY=1\nSTATUS=0 connections\n");
}
END_TEST

START_TEST(the_socket_neither_blocks_nor_is_inherited)
{
    start_with_manager();
    ck_assert(support_is_nonblocking(scene.supervise.fd));
    ck_assert(support_is_close_on_exec(scene.supervise.fd));
}
END_TEST

START_TEST(the_environment_is_left_without_its_variables)
{
    set_variable("WATCHDOG_USEC", "1000000");
    set_variable("WATCHDOG_PID", "1");
    start_with_manager();
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
    ck_assert_ptr_null(getenv("WATCHDOG_PID"));
}
END_TEST

START_TEST(a_manager_that_cannot_be_reached_is_a_warning)
{
    static const char *const names[] = {"vsock:2:1234", "/tmp/no/such/socket"};

    set_variable("NOTIFY_SOCKET", names[_i]);
    start();
    supervise_tell_ready(&scene.supervise);
    support_assert_matches(support_log_text(),
                           "^[^ ]+ warning: NOTIFY_SOCKET=[^ ]+: .*name behind @\n$");
}
END_TEST

START_TEST(a_name_that_is_too_long_is_a_warning)
{
    char name[200];

    memset(name, 'x', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    set_variable("NOTIFY_SOCKET", name);
    start();
    support_assert_matches(support_log_text(), "warning: NOTIFY_SOCKET=/xxx.*name behind @\n$");
}
END_TEST

/* Fill the manager's queue until it takes no more. */
static unsigned fill_manager(void)
{
    unsigned count = 0;

    while (send(scene.supervise.fd, "X=1", 3, 0) == 3)
        count++;
    return count;
}

START_TEST(a_manager_that_does_not_read_holds_nobody_up)
{
    unsigned queued;

    start_with_manager();
    queued = fill_manager();
    supervise_tell_ready(&scene.supervise);
    supervise_tell_stopping(&scene.supervise);
    while (queued-- > 0)
        check_note("X=1");
    check_silence();
    /* What counts in the end is told when there is room. */
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "STOPPING=1\nSTATUS=draining, 0 connections\n");
    ck_assert_uint_eq(support_count(support_log_text(), "takes no note"), 1);
}
END_TEST

/* Read the notes that fill the queue, once somebody surely waits for room. */
static void *read_late(void *argument)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    const unsigned *queued = argument;
    char note[NOTE_SIZE];

    (void)nanosleep(&pause, NULL);
    for (unsigned i = 0; i < *queued; i++)
        (void)recv(scene.manager, note, sizeof note, 0);
    return NULL;
}

START_TEST(a_socket_waits_for_room)
{
    pthread_t reader;
    unsigned queued;

    start_with_manager();
    queued = fill_manager();
    ck_assert_int_eq(pthread_create(&reader, NULL, read_late, &queued), 0);
    ck_assert_int_eq(supervise_keep(&scene.supervise, "a", &scene.manager, 1), 0);
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
    check_note("FDSTORE=1\nFDPOLL=0\nFDNAME=a\n");
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(a_socket_is_not_kept_by_who_never_reads)
{
    start_with_manager();
    (void)fill_manager();
    ck_assert_int_eq(supervise_keep(&scene.supervise, "a", &scene.manager, 1), -1);
    ck_assert_uint_eq(support_count(support_log_text(), "takes no note"), 1);
}
END_TEST

START_TEST(the_number_of_connections_is_told_when_it_changes)
{
    start_with_manager();
    supervise_tell_ready(&scene.supervise);
    check_note("READY=1\nSTATUS=0 connections\n");
    support_loop_for(SUPERVISE_STATUS_MS * 3 / 2);
    check_silence();
    scene.connections = 3;
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "STATUS=3 connections\n");
    supervise_tell_stopping(&scene.supervise);
    ck_assert(take_note(NULL));
    scene.connections = 1;
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "STATUS=draining, 1 connections\n");
}
END_TEST

START_TEST(the_watchdog_is_fed_while_the_workers_live)
{
    set_variable("WATCHDOG_USEC", "40000");
    start_with_manager();
    for (int i = 0; i < 5; i++) {
        support_loop_until(take_note, NULL);
        ck_assert_str_eq(scene.note, "WATCHDOG=1\n");
    }
    scene.are_workers_alive = false; /* one of them hangs */
    scene.questions = 0;
    support_loop_for(300);
    ck_assert_uint_ge(scene.questions, 3);
    check_silence();
    scene.are_workers_alive = true;
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "WATCHDOG=1\n");
    ck_assert_uint_eq(support_count(support_log_text(), "a worker hangs"), 1);
}
END_TEST

START_TEST(the_watchdog_is_fed_at_half_its_time)
{
    uint64_t begin_ms = clock_now_ms();

    set_variable("WATCHDOG_USEC", "400000");
    start_with_manager();
    for (int i = 0; i < 4; i++)
        support_loop_until(take_note, NULL);
    ck_assert_uint_ge(clock_now_ms() - begin_ms, 4 * 200 - 50);
}
END_TEST

static void on_three_quarters(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    *(unsigned *)argument = scene.questions;
    (void)event_base_loopbreak(support_base());
}

/* A loop that is late calls what is due in order all the same, so no clock decides this. */
START_TEST(the_watchdog_is_fed_well_before_its_time)
{
    const struct timeval three_quarters = clock_timeval(300);
    unsigned fed = 0;

    set_variable("WATCHDOG_USEC", "400000");
    start_with_manager();
    ck_assert_int_eq(
        event_base_once(support_base(), -1, EV_TIMEOUT, on_three_quarters, &fed, &three_quarters),
        0);
    ck_assert_int_eq(event_base_dispatch(support_base()), 0);
    ck_assert_uint_ge(fed, 1);
    check_note("WATCHDOG=1\n");
}
END_TEST

START_TEST(a_watchdog_with_our_pid_is_fed)
{
    char pid[16];

    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    set_variable("WATCHDOG_USEC", "20000");
    set_variable("WATCHDOG_PID", pid);
    start_with_manager();
    support_loop_until(take_note, NULL);
    ck_assert_str_eq(scene.note, "WATCHDOG=1\n");
}
END_TEST

START_TEST(a_watchdog_of_another_process_is_not_fed)
{
    set_variable("WATCHDOG_USEC", "20000");
    set_variable("WATCHDOG_PID", "1");
    start_with_manager();
    support_loop_for(100);
    check_silence();
    ck_assert_uint_eq(scene.questions, 0);
}
END_TEST

START_TEST(a_wrong_watchdog_is_a_warning)
{
    set_variable("WATCHDOG_USEC", "soon");
    start_with_manager();
    support_loop_for(50);
    check_silence();
    support_assert_matches(support_log_text(), "warning: WATCHDOG_USEC=soon is no number");
}
END_TEST

START_TEST(without_memory_it_does_not_start)
{
    set_variable("WATCHDOG_USEC", "20000");
    listen_on(scene.path);
    set_variable("NOTIFY_SOCKET", scene.path);
    supervise_init(&scene.supervise, support_log(LOG_FORMAT_TEXT));
    (void)support_base();
    for (unsigned long first = 1;; first++) {
        int status;

        support_memory_fail(first, 1);
        status = supervise_start(&scene.supervise, support_base(), &questions);
        support_memory_fail(0, 0);
        if (status == 0)
            break;
        ck_assert_uint_lt(first, 20);
    }
}
END_TEST

START_TEST(only_supervisord_gives_a_name)
{
    ck_assert_ptr_null(supervise_process_name());
    set_variable("SUPERVISOR_PROCESS_NAME", "echod_01");
    ck_assert_ptr_null(supervise_process_name());
    set_variable("SUPERVISOR_ENABLED", "1");
    ck_assert_str_eq(supervise_process_name(), "echod_01");
    set_variable("SUPERVISOR_PROCESS_NAME", "");
    ck_assert_ptr_null(supervise_process_name());
}
END_TEST

/* Take the next note, and the descriptor that comes with it; the test closes it. */
static int take_descriptor(const char *expected)
{
    union {
        struct cmsghdr header;
        unsigned char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec text = {.iov_base = scene.note, .iov_len = sizeof scene.note - 1};
    struct msghdr message = {
        .msg_iov = &text,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    const ssize_t length = recvmsg(scene.manager, &message, 0);
    int fd;

    ck_assert_int_ge(length, 0);
    scene.note[length] = '\0';
    ck_assert_str_eq(scene.note, expected);
    ck_assert_uint_eq(control.header.cmsg_len, CMSG_LEN(sizeof fd));
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

START_TEST(a_socket_is_kept_under_a_name_until_it_is_forgotten)
{
    const int own = socket(AF_UNIX, SOCK_STREAM, 0);
    int kept;

    start_with_manager();
    ck_assert_int_eq(supervise_keep(&scene.supervise, "a,1", &own, 1), 0);
    kept = take_descriptor("FDSTORE=1\nFDPOLL=0\nFDNAME=a,1\n");
    ck_assert(descriptor_is_same_socket(own, kept));
    ck_assert_int_eq(supervise_forget(&scene.supervise, "a,1"), 0);
    check_note("FDSTOREREMOVE=1\nFDNAME=a,1\n");
    ck_assert_int_eq(close(kept), 0);
    ck_assert_int_eq(close(own), 0);
}
END_TEST

static void *wait_in_thread(void *argument)
{
    supervise_wait(&scene.supervise);
    return argument;
}

START_TEST(it_waits_until_the_manager_has_read)
{
    pthread_t thread;
    int fd;

    start_with_manager();
    ck_assert_int_eq(fcntl(scene.manager, F_SETFL, 0), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
    fd = take_descriptor("BARRIER=1\n");
    ck_assert_int_eq(pthread_kill(thread, 0), 0); /* the pipe is open, so it waits */
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(without_a_manager_nothing_is_kept)
{
    const int own = 0;

    start();
    ck_assert_int_eq(supervise_keep(&scene.supervise, "a", &own, 1), -1);
    ck_assert_int_eq(supervise_forget(&scene.supervise, "a"), -1);
    supervise_wait(&scene.supervise);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

static Suite *supervise_suite(void)
{
    Suite *suite = suite_create("supervise");
    TCase *notes = support_case(suite, "notes");
    TCase *watchdog = support_case(suite, "watchdog");

    tcase_add_checked_fixture(notes, setup, teardown);
    tcase_add_test(notes, without_a_manager_nothing_happens);
    tcase_add_test(notes, each_state_is_one_datagram);
    tcase_add_test(notes, a_reload_is_told_with_its_time);
    tcase_add_test(notes, a_reload_that_failed_is_told_until_the_next);
    tcase_add_test(notes, an_abstract_name_is_a_manager_too);
    tcase_add_test(notes, the_socket_neither_blocks_nor_is_inherited);
    tcase_add_test(notes, the_environment_is_left_without_its_variables);
    tcase_add_loop_test(notes, a_manager_that_cannot_be_reached_is_a_warning, 0, 2);
    tcase_add_test(notes, a_name_that_is_too_long_is_a_warning);
    tcase_add_test(notes, a_manager_that_does_not_read_holds_nobody_up);
    tcase_add_test(notes, a_socket_waits_for_room);
    tcase_add_test(notes, a_socket_is_not_kept_by_who_never_reads);
    tcase_add_test(notes, the_number_of_connections_is_told_when_it_changes);
    tcase_add_test(notes, without_memory_it_does_not_start);
    tcase_add_test(notes, only_supervisord_gives_a_name);
    tcase_add_test(notes, a_socket_is_kept_under_a_name_until_it_is_forgotten);
    tcase_add_test(notes, it_waits_until_the_manager_has_read);
    tcase_add_test(notes, without_a_manager_nothing_is_kept);

    tcase_add_checked_fixture(watchdog, setup, teardown);
    tcase_add_test(watchdog, the_watchdog_is_fed_while_the_workers_live);
    tcase_add_test(watchdog, the_watchdog_is_fed_at_half_its_time);
    tcase_add_test(watchdog, the_watchdog_is_fed_well_before_its_time);
    tcase_add_test(watchdog, a_watchdog_with_our_pid_is_fed);
    tcase_add_test(watchdog, a_watchdog_of_another_process_is_not_fed);
    tcase_add_test(watchdog, a_wrong_watchdog_is_a_warning);
    return suite;
}

int main(void)
{
    return support_run(supervise_suite());
}
