/*
 * check_sandbox_rules: what the filter says of calls that differ from machine to machine.
 * Runs the filter's program by itself, and makes no call.
 * Run by make check, where there is libseccomp.
 */
#include <config.h>

#include "echod/sandbox_seccomp.h"

#include "support.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROGRAM_SIZE = 4096, UNKNOWN = __NR_SCMP_ERROR };

static struct {
    struct sock_filter program[PROGRAM_SIZE];
    size_t length;
} scene;

/* Stands before that of libseccomp: the program is ours, and not the kernel's. */
int seccomp_load(scmp_filter_ctx ctx)
{
    int fd = support_open_file();
    const int result = seccomp_export_bpf(ctx, fd);
    ssize_t size;

    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    size = read(fd, scene.program, sizeof scene.program);
    ck_assert_int_gt(size, 0);
    ck_assert_uint_lt((size_t)size, sizeof scene.program); /* all of it */
    scene.length = (size_t)size / sizeof scene.program[0];
    support_close(&fd);
    return result;
}

static void setup(void)
{
    struct error error = {""};

    ck_assert_int_eq(sandbox_seccomp_enforce(&error), 0);
}

static bool jumps(const struct sock_filter *step, uint32_t value)
{
    switch (BPF_OP(step->code)) {
    case BPF_JA:
        return true;
    case BPF_JEQ:
        return value == step->k;
    case BPF_JGT:
        return value > step->k;
    case BPF_JGE:
        return value >= step->k;
    default:
        ck_assert_uint_eq(BPF_OP(step->code), BPF_JSET);
        return (value & step->k) != 0;
    }
}

/* Return what the program returns: the subset of it that libseccomp writes. */
static uint32_t run(const struct seccomp_data *data)
{
    uint32_t value = 0;

    for (size_t i = 0; i < scene.length; i++) {
        const struct sock_filter *step = &scene.program[i];

        switch (BPF_CLASS(step->code)) {
        case BPF_RET:
            return step->k;
        case BPF_LD:
            ck_assert_uint_le(step->k + sizeof value, sizeof *data);
            memcpy(&value, (const unsigned char *)data + step->k, sizeof value);
            break;
        case BPF_ALU:
            ck_assert_uint_eq(BPF_OP(step->code), BPF_AND);
            value &= step->k;
            break;
        default:
            ck_assert_uint_eq(BPF_CLASS(step->code), BPF_JMP);
            if (BPF_OP(step->code) == BPF_JA)
                i += step->k;
            else
                i += jumps(step, value) ? step->jt : step->jf;
        }
    }
    ck_abort_msg("the program does not end");
    return 0;
}

/* Return what comes of a call: 0, an errno, or UNKNOWN where this machine has none of the name. */
static int ask(const char *name, uint64_t first, uint64_t third)
{
    const int number = seccomp_syscall_resolve_name(name);
    const struct seccomp_data data = {
        .nr = number, .arch = seccomp_arch_native(), .args = {first, 0, third}};
    uint32_t answer;

    if (number < 0)
        return UNKNOWN;
    answer = run(&data);
    return answer == SECCOMP_RET_ALLOW ? 0 : (int)(answer & SECCOMP_RET_DATA);
}

START_TEST(memory_is_not_written_and_run_where_the_call_says_so_in_registers)
{
    const char *name = seccomp_syscall_resolve_name("mmap2") >= 0 ? "mmap2" : "mmap";

    if (seccomp_arch_native() == SCMP_ARCH_S390X)
        name = "mmap";
    ck_assert_int_eq(ask(name, 0, PROT_READ | PROT_WRITE), 0);
    ck_assert_int_eq(ask(name, 0, PROT_READ | PROT_EXEC), 0);
    if (seccomp_arch_native() == SCMP_ARCH_S390X) /* whatever a register happens to hold */
        ck_assert_int_eq(ask(name, 0, PROT_WRITE | PROT_EXEC), 0);
    else
        ck_assert_int_eq(ask(name, 0, PROT_WRITE | PROT_EXEC), EPERM);
    ck_assert_int_eq(ask("mprotect", 0, PROT_READ | PROT_EXEC), EPERM);
}
END_TEST

/* What it asks for stands in memory, and mmap2 is there. */
START_TEST(a_call_of_i386_that_no_filter_can_judge_is_refused)
{
    if (seccomp_arch_native() == SCMP_ARCH_X86)
        ck_assert_int_eq(ask("mmap", 0, 0), ENOSYS);
}
END_TEST

/* Of 32-bit and 64-bit times, by one call for all or each its own. */
START_TEST(what_the_c_library_of_any_machine_calls_is_allowed)
{
    static const char *const names[] = {
        "accept4",  "clock_gettime", "clock_gettime64", "epoll_pwait",     "epoll_wait",
        "fcntl",    "fcntl64",       "fstat64",         "fstatat64",       "futex",
        "fstat",    "futex_time64",  "newfstatat",      "ppoll_time64",    "read",
        "recvmmsg", "sendmmsg",      "splice",          "recvmmsg_time64", "statx",
    };
    unsigned known = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const int answer = ask(names[i], 0, 0);

        ck_assert_msg(answer == 0 || answer == UNKNOWN, "%s is refused", names[i]);
        known += answer == 0;
    }
    ck_assert_uint_ge(known, 10);
}
END_TEST

/* The first argument of socketcall(2) is which of them; what it asks for stands in memory. */
START_TEST(a_socket_can_be_had_by_the_call_for_all)
{
    enum { SOCKET = 1, BIND, CONNECT, LISTEN, ACCEPT, ACCEPT4 = 18 };
    static const int calls[] = {SOCKET, BIND, CONNECT, LISTEN, ACCEPT, ACCEPT4};

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const int answer = ask("socketcall", (uint64_t)calls[i], 0);

        ck_assert(answer == 0 || answer == UNKNOWN);
    }
    ck_assert_int_eq(ask("socket", AF_INET, 262), ENOSYS); /* MPTCP */
}
END_TEST

static Suite *sandbox_rules_suite(void)
{
    Suite *suite = suite_create("sandbox_rules");
    TCase *rules = support_case(suite, "rules");

    tcase_add_checked_fixture(rules, setup, NULL);
    tcase_add_test(rules, memory_is_not_written_and_run_where_the_call_says_so_in_registers);
    tcase_add_test(rules, a_call_of_i386_that_no_filter_can_judge_is_refused);
    tcase_add_test(rules, what_the_c_library_of_any_machine_calls_is_allowed);
    tcase_add_test(rules, a_socket_can_be_had_by_the_call_for_all);
    return suite;
}

int main(void)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) /* libseccomp asks the system what it can do */
        return support_skip_all("the system has no filters of system calls");
    return support_run(sandbox_rules_suite());
}
