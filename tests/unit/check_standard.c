/*
 * check_standard: standard input and output as one client.
 * Puts others in their place, and them back.
 * Run by make check.
 */
#include <config.h>

#include "echod/standard.h"

#include "opening.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int saved_fds[3]; /* standard descriptors while others stand in for them, or -1 */

/* Put the standard descriptors back. */
static void restore_standard(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (saved_fds[fd] >= 0)
            ck_assert_int_eq(dup2(saved_fds[fd], fd), fd);
        support_close(&saved_fds[fd]);
    }
}

/* Let another descriptor stand in for a standard one; it is closed. */
static void replace_standard(int standard_fd, int fd)
{
    (void)fflush(NULL);
    saved_fds[standard_fd] = dup(standard_fd);
    ck_assert_int_ge(saved_fds[standard_fd], 0);
    ck_assert_int_eq(dup2(fd, standard_fd), standard_fd);
    support_close(&fd);
}

START_TEST(standard_input_and_output_are_one_client)
{
    const struct endpoint *endpoint;
    unsigned descriptors;
    int in[2], out[2];

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    replace_standard(STDIN_FILENO, in[0]);
    replace_standard(STDOUT_FILENO, out[1]);
    descriptors = support_descriptor_count();
    opening_open(2, TEXTS("stdio:"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    endpoint = &opening.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_CLIENT);
    ck_assert_str_eq(endpoint->name, "stdio:");
    ck_assert(!endpoint->is_file);
    ck_assert(support_is_nonblocking(endpoint->input_fd));
    ck_assert(support_is_nonblocking(endpoint->output_fd));
    ck_assert(support_is_close_on_exec(endpoint->input_fd));
    ck_assert(support_is_close_on_exec(endpoint->output_fd));
    ck_assert_int_eq((int)write(in[1], "in", 2), 2);
    ck_assert_int_eq((int)read(endpoint->input_fd, (char[2]){0}, 2), 2);
    ck_assert_int_eq((int)write(endpoint->output_fd, "out", 3), 3);
    ck_assert_int_eq((int)read(out[0], (char[3]){0}, 3), 3);
    opening_close(descriptors);
    ck_assert(!support_is_nonblocking(STDIN_FILENO)); /* as they were */
    ck_assert(!support_is_nonblocking(STDOUT_FILENO));
    restore_standard();
    support_close(&in[1]);
    support_close(&out[0]);
}
END_TEST

START_TEST(what_epoll_does_not_take_is_known_as_a_file)
{
    int pipe_fds[2], file_fd = _i < 2 ? support_open_file() : open("/dev/null", O_RDWR);

    support_pipe(pipe_fds);
    replace_standard(STDIN_FILENO, _i % 2 == 0 ? file_fd : pipe_fds[0]);
    replace_standard(STDOUT_FILENO, _i % 2 == 0 ? pipe_fds[1] : file_fd);
    opening_open(1, TEXTS("stdio:"));
    ck_assert(opening.sockets.endpoints.items[0].is_file);
    sockets_close(&opening.sockets);
    restore_standard();
    support_close(&pipe_fds[_i % 2 == 0 ? 0 : 1]);
}
END_TEST

START_TEST(a_socket_as_standard_input_and_output_is_one_descriptor)
{
    const struct endpoint *endpoint;
    int fds[2], copy;

    support_tcp_pair(fds); /* as inetd's nowait passes it */
    copy = dup(fds[1]);
    replace_standard(STDIN_FILENO, fds[1]);
    replace_standard(STDOUT_FILENO, copy);
    opening_open(1, TEXTS("stdio:"));
    endpoint = &opening.sockets.endpoints.items[0];
    ck_assert_int_eq(endpoint->input_fd, endpoint->output_fd); /* so that it can linger */
    sockets_close(&opening.sockets);
    restore_standard();
    support_close(&fds[0]);
}
END_TEST

START_TEST(no_client_takes_the_place_of_standard_error)
{
    const struct endpoint *endpoint;
    int in[2], out[2];

    support_pipe(in);
    support_pipe(out);
    replace_standard(STDIN_FILENO, in[0]);
    replace_standard(STDOUT_FILENO, out[1]);
    replace_standard(STDERR_FILENO, dup(out[0]));
    ck_assert_int_eq(close(STDERR_FILENO), 0); /* as its parent left it */
    opening_open(1, TEXTS("stdio:"));
    endpoint = &opening.sockets.endpoints.items[0];
    ck_assert_int_gt(endpoint->input_fd, STDERR_FILENO);
    ck_assert_int_gt(endpoint->output_fd, STDERR_FILENO);
    sockets_close(&opening.sockets);
    restore_standard();
    support_close(&in[1]);
    support_close(&out[0]);
}
END_TEST

START_TEST(standard_descriptors_that_cannot_serve_are_refused)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    if (_i == 0) { /* the wrong end of a pipe */
        replace_standard(STDIN_FILENO, fds[1]);
        support_close(&fds[0]);
        replace_standard(STDOUT_FILENO, open("/dev/null", O_WRONLY));
    } else if (_i == 3) {
        replace_standard(STDIN_FILENO, open("/dev/null", O_RDONLY));
        replace_standard(STDOUT_FILENO, fds[0]);
        support_close(&fds[1]);
    } else {
        replace_standard(_i - 1, fds[_i - 1]);
        support_close(&fds[2 - _i]);
        ck_assert_int_eq(close(_i - 1), 0);
    }
    opening_check_refused(1, TEXTS("stdio:"), "stdio:");
    ck_assert_ptr_nonnull(strstr(opening.error.text, strerror(EBADF)));
}
END_TEST

START_TEST(zeroed_sockets_may_be_closed_and_so_may_closed_ones)
{
    struct sockets zeroed = {0};
    int in[2], out[2];

    support_pipe(in); /* non-blocking, which must stay so */
    support_pipe(out);
    replace_standard(STDIN_FILENO, in[0]);
    replace_standard(STDOUT_FILENO, out[1]);
    sockets_close(&zeroed);
    sockets_close(&zeroed);
    ck_assert(support_is_nonblocking(STDIN_FILENO));
    ck_assert(support_is_nonblocking(STDOUT_FILENO));
    opening_open(1, TEXTS("stdio:"));
    sockets_close(&opening.sockets);
    sockets_close(&opening.sockets);
    ck_assert(support_is_nonblocking(STDIN_FILENO));
    ck_assert(support_is_nonblocking(STDOUT_FILENO));
    restore_standard();
    support_close(&in[1]);
    support_close(&out[0]);
}
END_TEST

static bool includes_standard_error(const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = opening_list(items, texts);

    return sockets_include_standard_error(&list);
}

START_TEST(a_log_that_would_reach_the_client_is_noticed)
{
    int fds[2], other[2], copy;

    support_unix_pair(fds);
    support_unix_pair(other);
    copy = dup(fds[1]);
    replace_standard(STDERR_FILENO, copy);
    ck_assert(includes_standard_error(TEXTS("127.0.0.1:0", opening_fd_url(fds[1]))));
    ck_assert(includes_standard_error(TEXTS(opening_fd_url(STDERR_FILENO))));
    ck_assert(!includes_standard_error(TEXTS(opening_fd_url(fds[0]))));
    ck_assert(!includes_standard_error(TEXTS(opening_fd_url(other[0]))));
    ck_assert(!includes_standard_error(TEXTS("stdio:")));
    ck_assert(!includes_standard_error(TEXTS("127.0.0.1:0", opening.url)));
    replace_standard(STDIN_FILENO, dup(fds[1]));
    ck_assert(includes_standard_error(TEXTS("stdio:")));
    ck_assert(!includes_standard_error(TEXTS("127.0.0.1:0", opening.url)));
    restore_standard();
    replace_standard(STDERR_FILENO, dup(fds[1]));
    replace_standard(STDOUT_FILENO, dup(fds[1]));
    ck_assert(includes_standard_error(TEXTS("stdio:")));
    restore_standard();
    ck_assert(!includes_standard_error(TEXTS("stdio:", opening_fd_url(fds[1]))));
    for (int i = 0; i < 2; i++) {
        support_close(&fds[i]);
        support_close(&other[i]);
    }
}
END_TEST

static void setup(void)
{
    for (int fd = 0; fd < 3; fd++)
        saved_fds[fd] = -1;
}

/* Comes after the sockets are closed: the last fixture ends first. */
static TCase *add_case(Suite *suite, const char *name)
{
    TCase *test_case = support_case(suite, name);

    tcase_add_checked_fixture(test_case, setup, restore_standard);
    tcase_add_checked_fixture(test_case, opening_setup, opening_teardown);
    return test_case;
}

static Suite *standard_suite(void)
{
    Suite *suite = suite_create("standard");
    TCase *test_case;

    test_case = add_case(suite, "standard");
    tcase_add_test(test_case, standard_input_and_output_are_one_client);
    tcase_add_loop_test(test_case, what_epoll_does_not_take_is_known_as_a_file, 0, 4);
    tcase_add_test(test_case, a_socket_as_standard_input_and_output_is_one_descriptor);
    tcase_add_test(test_case, no_client_takes_the_place_of_standard_error);
    tcase_add_loop_test(test_case, standard_descriptors_that_cannot_serve_are_refused, 0, 4);
    tcase_add_test(test_case, zeroed_sockets_may_be_closed_and_so_may_closed_ones);
    tcase_add_test(test_case, a_log_that_would_reach_the_client_is_noticed);
    return suite;
}

int main(void)
{
    return support_run(standard_suite());
}
