/*
 * failing_calls: a library for LD_PRELOAD that lets chosen system calls fail, whoever makes them:
 * the program, its libraries, or the C library for itself. Needs Linux on x86-64. Chooses nothing
 * itself: a test writes into a file, shared in memory, which of them fail. Loaded into the programs
 * under test by tests/system/failing_calls.py, which knows the same file.
 *
 * seccomp sends SIGSYS instead of the calls that the file names; the handler fails them, or makes
 * them.
 */
#include <config.h>

#if defined __linux__ && defined __x86_64__

#include "plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

enum { MOST_TRAPPED = 100, MOST_NUMBERS = 512, ARGUMENTS = 6, SHORT = 0 };

/* The file, named by the environment variable FAILING_CALLS. All but system calls count from 1. */
struct plan {
    _Atomic uint64_t number; /* which call fails */
    _Atomic uint64_t error;  /* its errno; SHORT: it does less than it was asked to, and says so */
    _Atomic uint64_t first;  /* the first that fails since the test set its count to 0; 0: none */
    _Atomic uint64_t last;   /* the last that fails */
    _Atomic uint64_t failed; /* how many have failed */
    uint64_t trapped_count;
    uint64_t trapped[MOST_TRAPPED];        /* the calls that may fail, fixed from the start */
    _Atomic uint64_t counts[MOST_NUMBERS]; /* of each of these */
};

static struct plan *plan;

/* Make a system call; the result is its own, -errno where it failed. This one is let through. */
long failing_calls_make(long number, long a, long b, long c, long d, long e, long f);
extern const char failing_calls_made[];
__asm__(".text\n"
        ".globl failing_calls_make, failing_calls_made\n"
        "failing_calls_make:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n"
        "  syscall\n"
        "failing_calls_made:\n"
        "  ret\n");

/* Count a call, and tell whether it fails. */
static bool fails(uint64_t number)
{
    const uint64_t count = atomic_fetch_add(&plan->counts[number], 1) + 1;
    const uint64_t first = atomic_load(&plan->first);

    if (first == 0 || number != atomic_load(&plan->number) || count < first ||
        count > atomic_load(&plan->last))
        return false;
    (void)atomic_fetch_add(&plan->failed, 1);
    return true;
}

static long make(long number, const long *a)
{
    return failing_calls_make(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Ask for one byte, message or vector only, of calls that may do less than they are asked to. */
static void shorten(long number, long *arguments)
{
    arguments[number == SYS_splice ? 4 : 2] = 1;
}

/* No descriptor is too many to be watched no more. */
static bool cannot_fail(long number, const long *arguments)
{
    return number == SYS_epoll_ctl && arguments[1] == EPOLL_CTL_DEL;
}

static long make_or_fail(long number, long *arguments)
{
    const long error = (long)atomic_load(&plan->error);

    if (cannot_fail(number, arguments) || !fails((uint64_t)number))
        return make(number, arguments);
    if (error == SHORT) {
        shorten(number, arguments);
        return make(number, arguments);
    }
    if (number == SYS_close) /* which closes whatever it says */
        (void)make(number, arguments);
    if (number == SYS_brk) /* which tells of failures by its break that stays */
        return failing_calls_make(SYS_brk, 0, 0, 0, 0, 0, 0);
    return -error;
}

/* The kernel's set of signals, which is shorter than the C library's. */
typedef uint64_t kernel_sigset;
static const kernel_sigset OURS = UINT64_C(1) << (SIGSYS - 1);

static void *pointer(long argument)
{
    void *address;

    memcpy(&address, &argument, sizeof address);
    return address;
}

/*
 * A thread that blocks SIGSYS would be killed by it: so nobody blocks that. The mask to change is
 * the one that comes back after the handler.
 */
static long change_mask(kernel_sigset *mask, const long *arguments)
{
    const kernel_sigset *const set = pointer(arguments[1]);
    kernel_sigset *const old = pointer(arguments[2]);
    const kernel_sigset before = *mask;

    if (set != NULL && arguments[0] == SIG_BLOCK)
        *mask |= *set;
    else if (set != NULL && arguments[0] == SIG_UNBLOCK)
        *mask &= ~*set;
    else if (set != NULL)
        *mask = *set;
    *mask &= ~OURS;
    if (old != NULL)
        *old = before;
    return 0;
}

/* Nor does any other handler keep it waiting. */
static long set_action(const long *arguments)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        kernel_sigset mask;
    } action;
    long others[ARGUMENTS];

    memcpy(others, arguments, sizeof others);
    if (arguments[1] != 0) {
        memcpy(&action, pointer(arguments[1]), sizeof action);
        action.mask &= ~OURS;
        others[1] = (long)(uintptr_t)&action;
    }
    return make(SYS_rt_sigaction, others);
}

static void on_call(int signo, siginfo_t *info, void *context)
{
    ucontext_t *const thread = context;
    greg_t *const registers = thread->uc_mcontext.gregs;
    long arguments[ARGUMENTS] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                                 registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    kernel_sigset mask;

    (void)signo;
    if (info->si_syscall == SYS_rt_sigprocmask) {
        memcpy(&mask, &thread->uc_sigmask, sizeof mask);
        registers[REG_RAX] = change_mask(&mask, arguments);
        memcpy(&thread->uc_sigmask, &mask, sizeof mask);
    } else if (info->si_syscall == SYS_rt_sigaction) {
        registers[REG_RAX] = set_action(arguments);
    } else {
        registers[REG_RAX] = make_or_fail(info->si_syscall, arguments);
    }
}

/* A new thread would run in the handler of its parent: so its start is counted before the call. */
int start_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                 void *argument) __asm__("pthread_create");

int start_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                 void *argument)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol;

    if (next == NULL) {
        symbol = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&next, &symbol, sizeof symbol);
    }
    if (plan != NULL && fails(SYS_clone3))
        return (int)atomic_load(&plan->error);
    return next(thread, attr, start, argument);
}

enum { BEFORE = 5, AFTER = 2, OWN = 2, MOST_CODE = BEFORE + OWN + MOST_TRAPPED + AFTER };

/* A step that goes on behind the calls, to what traps, where the number is this one. */
static struct sock_filter trap_if(uint64_t number, size_t left)
{
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number,
                                        (uint8_t)(left + 1), 0);
}

static int install_filter(void)
{
    const uint64_t ours = (uintptr_t)failing_calls_made;
    const size_t address = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter code[MOST_CODE] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)address),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ours, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)address + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(ours >> 32), 0, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    size_t left = OWN + plan->trapped_count;
    const size_t length = BEFORE + left + AFTER;
    struct sock_filter *step = code + BEFORE;
    struct sock_fprog program = {.len = (unsigned short)length, .filter = code};

    code[3].jt = (uint8_t)(1 + left); /* ours: go to what allows */
    *step++ = trap_if(SYS_rt_sigprocmask, --left);
    *step++ = trap_if(SYS_rt_sigaction, --left);
    for (uint64_t i = 0; i < plan->trapped_count; i++)
        *step++ = trap_if(plan->trapped[i], --left);
    *step++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    *step = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Called before main; what was called before that neither counts nor fails. */
__attribute__((constructor)) static void find_plan(void)
{
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};

    plan = plan_map("FAILING_CALLS", sizeof *plan);
    if (plan == NULL)
        return;
    if (plan->trapped_count > MOST_TRAPPED || sigaction(SIGSYS, &action, NULL) < 0 ||
        install_filter() < 0)
        abort();
}

#else

typedef int failing_calls_nothing; /* ISO C has no empty file */

#endif
