/*
 * sandbox: what a running echod may still do: serve, log, read its configuration again, and end.
 * Everything else is left to the kernel to refuse: sandbox_seccomp limits system calls,
 * sandbox_landlock files and connections, to the paths that sandbox_paths knows.
 * Called by daemon.
 */
#ifndef ECHOD_SANDBOX_H
#define ECHOD_SANDBOX_H

#include "base/error.h"
#include "base/log.h"
#include "echod/options.h"

/* What --sandbox asks for. */
enum sandbox_mode {
    SANDBOX_AUTO, /* what the system has; nothing where a tool needs more, such as a sanitizer */
    SANDBOX_ON,   /* both limits, or echod does not serve */
    SANDBOX_OFF,
};

/* What it holds until the end. */
struct sandbox {
    int proc_fd; /* /proc/self, whose rule would be lost with the kernel's cache of it; or -1 */
};

/*
 * Limit the calling thread, and all that it starts from now on, for good, and say in the log what
 * is in effect. Call it when everything is open that was asked for, and privileges are dropped.
 *
 * Possible remains: sockets of TCP, UDP and Unix; to look up names; to read the directories of the
 * configuration, of certificates and of the system's own settings; to make and remove Unix sockets
 * where there are some, and to remove the pid file; threads, memory, time and random numbers.
 * Impossible becomes: another program or process; other files, and to write any; to connect by TCP
 * to anything but name servers; to change the system, its mounts, modules or users.
 *
 * Return 0; or -1 with a sentence in `error` where --sandbox on cannot be had, or memory is short.
 */
int sandbox_enter(struct sandbox *sandbox, const struct options *options, struct log *log,
                  struct error *error) __attribute__((warn_unused_result));

/* Give back what it holds, after sandbox_enter, whatever that returned; the limits stay. */
void sandbox_fini(struct sandbox *sandbox);

#endif
