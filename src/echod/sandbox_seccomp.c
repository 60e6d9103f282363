#include <config.h>

#include "echod/sandbox_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef HAVE_LINUX_SOCKIOS_H
#include <linux/sockios.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What an argument, counted from 0, is compared with. */
#define EQUAL(argument, value)                                                                     \
    {                                                                                              \
        (argument), SCMP_CMP_EQ, (scmp_datum_t)(value), 0                                          \
    }
#define DIFFERENT(argument, value)                                                                 \
    {                                                                                              \
        (argument), SCMP_CMP_NE, (scmp_datum_t)(value), 0                                          \
    }
#define MASKED(argument, mask, value)                                                              \
    {                                                                                              \
        (argument), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)                \
    }

/*
 * Calls by name, since no architecture and no version of libseccomp knows all of them. All that the
 * C libraries of Linux use for what echod asks of them is here: glibc since 2.31 and musl.
 *
 * None of the first rows has a rule about its arguments: then the kernel knows from the number
 * alone that it is allowed, and runs no filter (since Linux 5.11).
 */
static const char *const allowed[] = {
    /* Each message, each client. */
    "epoll_wait epoll_pwait epoll_pwait2 read readv recv recvfrom recvmsg recvmmsg "
    "recvmmsg_time64 write writev send sendto sendmsg sendmmsg splice futex futex_time64 accept "
    "accept4 close epoll_ctl shutdown setsockopt getsockopt getsockname getpeername fcntl fcntl64",

    /* Memory. */
    "brk madvise membarrier mremap munmap",

    /* Threads and their signals; --pin-workers. */
    "exit exit_group getcpu get_robust_list gettid restart_syscall rseq rt_sigaction "
    "rt_sigpending rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigtimedwait_time64 "
    "sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity sched_yield "
    "set_robust_list set_tid_address sigaltstack sigprocmask sigreturn",

    /* Time and chance. */
    "clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
    "clock_nanosleep_time64 getrandom gettimeofday nanosleep time",

    /* Loops, sockets, pipes. */
    "_newselect bind connect dup dup2 dup3 epoll_create epoll_create1 eventfd eventfd2 listen "
    "pipe pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",

    /* Files are looked at, read, locked and removed; which ones, Landlock says. */
    "_llseek access faccessat faccessat2 fchownat flock fstat fstat64 fstatat64 fstatfs "
    "fstatfs64 ftruncate ftruncate64 getcwd getdents getdents64 lseek lstat lstat64 newfstatat "
    "pread64 preadv preadv2 readlink readlinkat stat stat64 statfs statfs64 statx umask unlink "
    "unlinkat",

    /* What the process is and uses. */
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpid getppid "
    "getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getuid getuid32 "
    "sysinfo times ugetrlimit uname",
};

/* What only an intruder asks for: other programs, the memory of other processes, the kernel. */
static const char deadly[] =
    "bpf chroot execve execveat finit_module init_module kexec_file_load kexec_load mount "
    "move_mount pivot_root process_vm_readv process_vm_writev ptrace setns unshare";

/* One rule about arguments of a call. */
struct rule {
    const char *name;
    uint32_t action;
    unsigned count;
    struct scmp_arg_cmp arguments[1];
};

enum {
    NAME_SIZE = 32,
#ifdef __s390__
    CLONE_FLAGS = 1, /* the argument that holds them (clone(2)) */
#else
    CLONE_FLAGS = 0,
#endif
};

/* --- The rules ------------------------------------------------------------------------------- */

static const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);

/* Add a rule for a call, if this architecture and this libseccomp know it. Return 0, or -errno. */
static int add(scmp_filter_ctx filter, const char *name, uint32_t action, unsigned count,
               const struct scmp_arg_cmp *arguments)
{
    const int number = seccomp_syscall_resolve_name(name);

    return number == __NR_SCMP_ERROR
               ? 0
               : seccomp_rule_add_array(filter, action, number, count, arguments);
}

/* Add a rule for each of the names in a text, which have blanks between them. */
static int add_names(scmp_filter_ctx filter, uint32_t action, const char *names)
{
    char name[NAME_SIZE];
    int failure = 0;

    while (failure == 0 && sscanf(names, "%31s", name) == 1) {
        failure = add(filter, name, action, 0, NULL);
        names += strspn(names, " ");
        names += strcspn(names, " ");
    }
    return failure;
}

static int add_texts(scmp_filter_ctx filter, uint32_t action, const char *const *texts,
                     size_t count)
{
    int failure = 0;

    for (size_t i = 0; i < count && failure == 0; i++)
        failure = add_names(filter, action, texts[i]);
    return failure;
}

/* Allow a call where none of these bits of an argument is set, and refuse it where one is. */
static int add_without_bits(scmp_filter_ctx filter, const char *name, unsigned argument,
                            scmp_datum_t bits)
{
    const struct scmp_arg_cmp none = MASKED(argument, bits, 0);
    int failure = add(filter, name, SCMP_ACT_ALLOW, 1, &none);

    for (scmp_datum_t bit = 1; bit <= bits && failure == 0; bit <<= 1) {
        const struct scmp_arg_cmp set = MASKED(argument, bit, bit);

        if ((bits & bit) != 0)
            failure = add(filter, name, refuse, 1, &set);
    }
    return failure;
}

/* Allow a call where an argument has one of these values. */
static int add_values(scmp_filter_ctx filter, const char *name, unsigned argument,
                      const scmp_datum_t *values, size_t count)
{
    int failure = 0;

    for (size_t i = 0; i < count && failure == 0; i++) {
        const struct scmp_arg_cmp value = EQUAL(argument, values[i]);

        failure = add(filter, name, SCMP_ACT_ALLOW, 1, &value);
    }
    return failure;
}

/* Files are opened to be read. */
static int add_opens(scmp_filter_ctx filter)
{
    const scmp_datum_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    const int failure = add_without_bits(filter, "openat", 2, writing);

    return failure != 0 ? failure : add_without_bits(filter, "open", 1, writing);
}

/*
 * Memory is not to be written and run, nor made runnable once it was written; libraries are mapped
 * from their files. mmap2 is mmap where a word has 32 bits. What mmap itself is asked for stands in
 * memory, which no filter can see, on i386, where no C library calls it, and on s390x, where each
 * does.
 */
static int add_memory(scmp_filter_ctx filter)
{
    static const char *const maps[] = {
#if !defined __i386__ && !defined __s390__
        "mmap",
#endif
        "mmap2"
    };
    const struct scmp_arg_cmp not_written = MASKED(2, PROT_WRITE, 0),
                              not_run = MASKED(2, PROT_WRITE | PROT_EXEC, PROT_WRITE),
                              both = MASKED(2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC);
    int failure = add_without_bits(filter, "mprotect", 2, PROT_EXEC);

    for (size_t i = 0; i < COUNT(maps) && failure == 0; i++) {
        failure = add(filter, maps[i], SCMP_ACT_ALLOW, 1, &not_written);
        if (failure == 0)
            failure = add(filter, maps[i], SCMP_ACT_ALLOW, 1, &not_run);
        if (failure == 0)
            failure = add(filter, maps[i], refuse, 1, &both);
    }
#ifdef __s390__
    if (failure == 0)
        failure = add(filter, "mmap", SCMP_ACT_ALLOW, 0, NULL);
#endif
    return failure;
}

/*
 * A thread is no process. What clone3 is asked for stands in memory, which no filter can see; the C
 * libraries call clone where it is missing.
 */
static int add_threads(scmp_filter_ctx filter)
{
    const scmp_datum_t self = (scmp_datum_t)getpid();
    const struct rule rules[] = {
        {"clone", SCMP_ACT_ALLOW, 1, {MASKED(CLONE_FLAGS, CLONE_THREAD, CLONE_THREAD)}},
        {"clone", refuse, 1, {MASKED(CLONE_FLAGS, CLONE_THREAD, 0)}},
        {"prctl", SCMP_ACT_ALLOW, 1, {EQUAL(0, PR_SET_NAME)}},
        {"prlimit64", SCMP_ACT_ALLOW, 1, {EQUAL(0, 0)}}, /* its own */
        {"tgkill", SCMP_ACT_ALLOW, 1, {EQUAL(0, self)}},
        {"tgkill", refuse, 1, {DIFFERENT(0, self)}},
#ifndef __GLIBC__
        {"tkill", SCMP_ACT_ALLOW, 0, {EQUAL(0, 0)}}, /* musl has no tgkill */
#endif
    };
    int failure = 0;

    for (size_t i = 0; i < COUNT(rules) && failure == 0; i++)
        failure = add(filter, rules[i].name, rules[i].action, rules[i].count, rules[i].arguments);
    return failure;
}

/*
 * Sockets of TCP, UDP and Unix; and of the kernel's routes, which getaddrinfo asks for this
 * machine's addresses. Other protocols, such as MPTCP, would connect where Landlock lets no TCP.
 */
static int add_sockets(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6}, protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
    const struct scmp_arg_cmp local = EQUAL(0, AF_UNIX);
    const struct scmp_arg_cmp routes[] = {EQUAL(0, AF_NETLINK), EQUAL(2, NETLINK_ROUTE)};
    int failure = add(filter, "socket", SCMP_ACT_ALLOW, 1, &local);

    if (failure == 0)
        failure = add(filter, "socketpair", SCMP_ACT_ALLOW, 1, &local);
    if (failure == 0)
        failure = add(filter, "socket", SCMP_ACT_ALLOW, COUNT(routes), routes);
    for (size_t i = 0; i < COUNT(families) * COUNT(protocols) && failure == 0; i++) {
        const struct scmp_arg_cmp arguments[] = {
            EQUAL(0, families[i / COUNT(protocols)]),
            EQUAL(2, protocols[i % COUNT(protocols)]),
        };

        failure = add(filter, "socket", SCMP_ACT_ALLOW, COUNT(arguments), arguments);
    }
    return failure;
}

/* What waits in a socket or pipe, whether something is a terminal, and the names of interfaces. */
static int add_ioctls(scmp_filter_ctx filter)
{
    static const scmp_datum_t requests[] = {
        FIONREAD,    TIOCOUTQ,
#ifdef SIOCOUTQNSD
        SIOCOUTQNSD,
#endif
        FIONBIO,     TCGETS,   SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFCONF,
    };

    return add_values(filter, "ioctl", 1, requests, COUNT(requests));
}

/* Put the rules into a filter. Return 0, or -errno. */
static int fill(scmp_filter_ctx filter)
{
    static int (*const parts[])(scmp_filter_ctx filter) = {
        add_opens, add_memory, add_threads, add_sockets, add_ioctls,
    };
    int failure = add_texts(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

    if (failure == 0)
        failure = add_names(filter, SCMP_ACT_KILL_PROCESS, deadly);
    for (size_t i = 0; i < COUNT(parts) && failure == 0; i++)
        failure = parts[i](filter);
    return failure;
}

/* --- The filter ------------------------------------------------------------------------------ */

/* For all threads; what is refused goes to the audit log; numbers are looked for in a tree. */
static int set_attributes(scmp_filter_ctx filter)
{
    int failure = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    if (failure == 0)
        failure = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (failure == 0)
        failure = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return failure;
}

int sandbox_seccomp_enforce(struct error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int failure = filter == NULL ? -ENOMEM : set_attributes(filter);

    if (failure == 0)
        failure = fill(filter);
    if (failure == 0)
        failure = seccomp_load(filter);
    seccomp_release(filter);
    if (failure == 0)
        return 0;
    error_set(error, "this system refuses seccomp: %s", strerror(-failure));
    errno = -failure;
    return -1;
}
