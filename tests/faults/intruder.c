/*
 * intruder: a library for LD_PRELOAD that makes the system calls which a test asks for, in any
 * thread of a program, as somebody would who got into it. Chooses nothing itself: it answers
 * questions that come by a socket, where SIGUSR2 says so. Loaded into the programs under test by
 * tests/system/intruder.py, which knows the same messages.
 */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pointers of a call point into the message, to which a test gives offsets. */
struct message {
    char name[32];
    int64_t arguments[6];
    int64_t are_offsets; /* a bit for each argument */
    char data[512];
};

static const struct call {
    const char *name;
    long number;
} calls[] = {
    {"add_key", SYS_add_key},
    {"bind", SYS_bind},
    {"clone", SYS_clone},
    {"close", SYS_close},
    {"connect", SYS_connect},
    {"execve", SYS_execve},
    {"fchmodat", SYS_fchmodat},
    {"getpid", SYS_getpid},
    {"ioctl", SYS_ioctl},
    {"io_uring_setup", 425},
    {"kill", SYS_kill},
    {"mkdirat", SYS_mkdirat},
    {"mknodat", SYS_mknodat},
    {"mmap", SYS_mmap},
    {"mprotect", SYS_mprotect},
    {"openat", SYS_openat},
    {"perf_event_open", SYS_perf_event_open},
    {"ptrace", SYS_ptrace},
    {"renameat2", SYS_renameat2},
    {"setuid", SYS_setuid},
    {"socket", SYS_socket},
    {"symlinkat", SYS_symlinkat},
    {"tgkill", SYS_tgkill},
    {"unlinkat", SYS_unlinkat},
};

static int sock = -1;

/* Make a call that stands in the table. Return what it returned, or a negative errno. */
static int64_t make_call(struct message *message)
{
    long values[6] = {0};
    long result;

    for (size_t i = 0; i < 6; i++)
        values[i] = (message->are_offsets >> i & 1) != 0
                        ? (long)(intptr_t)(message->data + message->arguments[i])
                        : (long)message->arguments[i];
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(calls[i].name, message->name) != 0)
            continue;
        result = syscall(calls[i].number, values[0], values[1], values[2], values[3], values[4],
                         values[5]);
        return result < 0 ? -errno : result;
    }
    return INT64_MIN; /* no such call */
}

static void on_signal(int number)
{
    const int saved_errno = errno;
    struct message message;
    int64_t result;

    (void)number;
    if (read(sock, &message, sizeof message) == (ssize_t)sizeof message) {
        result = make_call(&message);
        if (write(sock, &result, sizeof result) != (ssize_t)sizeof result)
            abort();
    }
    errno = saved_errno;
}

/* Called before main. The socket is named by the environment variable INTRUDER. */
__attribute__((constructor)) static void wait_for_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    const char *text = getenv("INTRUDER");

    if (text == NULL)
        return;
    sock = (int)strtol(text, NULL, 10);
    (void)sigaction(SIGUSR2, &action, NULL);
}

/* --- Threads take the signal, too ------------------------------------------------------------- */

struct start {
    void *(*function)(void *argument);
    void *argument;
};

static void *run(void *argument)
{
    const struct start start = *(struct start *)argument;
    sigset_t set;

    free(argument);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return start.function(start.argument);
}

/* Find the function that a name had without this library; ISO C has no cast for it. */
static void find(const char *name, void *function)
{
    void *const symbol = dlsym(RTLD_NEXT, name);

    memcpy(function, &symbol, sizeof symbol);
}

int pthread_create(pthread_t *newthread, const pthread_attr_t *attr, void *(*start_routine)(void *),
                   void *arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    struct start *start = malloc(sizeof *start);

    if (start == NULL)
        return EAGAIN;
    *start = (struct start){start_routine, arg};
    find("pthread_create", &next);
    return next(newthread, attr, run, start);
}

/* --- A kernel that has less ------------------------------------------------------------------- */

/* Tell whether the environment variable MISSING has a word in it. */
static bool is_missing(const char *word)
{
    const char *missing = getenv("MISSING");

    return missing != NULL && strstr(missing, word) != NULL;
}

/* What echod and libseccomp ask Landlock and seccomp for. */
long syscall(long sysno, ...)
{
    long (*next)(long, long, long, long, long, long, long);
    long values[6];
    va_list arguments;

    va_start(arguments, sysno);
    for (size_t i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    if ((sysno == 444 && is_missing("landlock")) ||
        (sysno == SYS_seccomp && is_missing("seccomp"))) {
        errno = ENOSYS;
        return -1;
    }
    find("syscall", &next);
    return next(sysno, values[0], values[1], values[2], values[3], values[4], values[5]);
}
