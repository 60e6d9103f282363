/*
 * check_sandbox_seccomp: what the filter does with each call that has a rule of its own.
 * What a whole echod can do is in tests/system/test_sandbox.py.
 * Run by make check, where there is libseccomp.
 */
#include <config.h>

#include "echod/sandbox_seccomp.h"

#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIES = -1, WORKS = 0 };

/* A call, and what comes of it: DIES, WORKS, or an errno. */
struct call {
    long number, arguments[3];
    int expected;
};

static const struct call calls[] = {
    {SYS_bpf, {0}, DIES},
    {SYS_chroot, {0}, DIES},
    {SYS_execve, {0}, DIES},
    {SYS_execveat, {0}, DIES},
    {SYS_finit_module, {0}, DIES},
    {SYS_init_module, {0}, DIES},
    {SYS_kexec_load, {0}, DIES},
    {SYS_mount, {0}, DIES},
    {SYS_pivot_root, {0}, DIES},
    {SYS_process_vm_readv, {0}, DIES},
    {SYS_process_vm_writev, {0}, DIES},
    {SYS_ptrace, {0}, DIES},
    {SYS_setns, {0}, DIES},
    {SYS_unshare, {0}, DIES},
    {SYS_clone3, {0}, ENOSYS}, /* so that the C library calls clone */
    {SYS_clone, {SIGCHLD}, EPERM},
    {SYS_keyctl, {0}, ENOSYS},
    {SYS_kill, {1, 0}, ENOSYS},
    {SYS_memfd_create, {0}, ENOSYS},
    {SYS_mprotect, {0, 0, 4}, EPERM},
    {SYS_prctl, {PR_SET_DUMPABLE, 1}, ENOSYS},
    {SYS_prlimit64, {1, 0}, ENOSYS},
    {SYS_setuid, {0}, ENOSYS},
    {SYS_tgkill, {1, 1}, EPERM},
    {SYS_userfaultfd, {0}, ENOSYS},
    {999, {0}, ENOSYS}, /* of a later kernel */
    {SYS_socket, {AF_PACKET, SOCK_RAW, 0}, ENOSYS},
    {SYS_socket, {AF_NETLINK, SOCK_RAW, 12}, ENOSYS},
    {SYS_socket, {AF_INET, SOCK_STREAM, 262}, ENOSYS}, /* MPTCP */
    {SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, WORKS},
    {SYS_socket, {AF_UNIX, SOCK_DGRAM, 0}, WORKS},
    {SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP}, WORKS},
    {SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_UDP}, WORKS},
    {SYS_prlimit64, {0, 7}, WORKS},
    {SYS_getpid, {0}, WORKS},
    {SYS_umask, {0}, WORKS},
};

static void enforce(void)
{
    struct error error = {""};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_seccomp_enforce(&error) < 0)
        _exit(100);
}

/* Wait for a child. Return its status, or DIES where SIGSYS ended it. */
static int wait_for(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        ck_assert_int_eq(WTERMSIG(status), SIGSYS);
        return DIES;
    }
    return WEXITSTATUS(status);
}

/* An emulator has no filters. */
static bool has_filters(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

START_TEST(each_call_has_its_answer)
{
    const struct call *call = &calls[_i];
    pid_t child;

    if (!has_filters())
        support_skip("the system has no filters of system calls");
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        long result;

        enforce();
        result = syscall(call->number, call->arguments[0], call->arguments[1], call->arguments[2],
                         0L, 0L, 0L);
        _exit(result < 0 ? errno : WORKS);
    }
    ck_assert_int_eq(wait_for(child), call->expected);
}
END_TEST

static void *end(void *argument)
{
    return argument;
}

/* Threads are made by clone, where clone3 is missing. */
START_TEST(threads_can_be_made)
{
    pid_t child;

    if (!has_filters())
        support_skip("the system has no filters of system calls");
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        pthread_t thread;
        void *result = NULL;
        int argument;

        enforce();
        if (pthread_create(&thread, NULL, end, &argument) != 0)
            _exit(1);
        (void)pthread_join(thread, &result);
        _exit(result == &argument ? 0 : 2);
    }
    ck_assert_int_eq(wait_for(child), 0);
}
END_TEST

static Suite *sandbox_seccomp_suite(void)
{
    Suite *suite = suite_create("sandbox_seccomp");
    TCase *filter = support_case(suite, "filter");

    tcase_add_loop_test(filter, each_call_has_its_answer, 0, sizeof calls / sizeof calls[0]);
    tcase_add_test(filter, threads_can_be_made);
    return suite;
}

int main(void)
{
    return support_run(sandbox_seccomp_suite());
}
