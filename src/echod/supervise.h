/*
 * supervise: tells a service manager that echod is ready, reloads, stops and lives, and how busy it
 * is, by the protocol of sd_notify(3) without its library. Decides nothing of that; server does.
 * Called by daemon, before there are threads of its own, by server, by reload and by store.
 */
#ifndef ECHOD_SUPERVISE_H
#define ECHOD_SUPERVISE_H

#include "base/log.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum { SUPERVISE_NOTE_SIZE = 128, SUPERVISE_STATUS_MS = 5000 };

/* What it asks, in the thread that runs the loop. */
struct supervise_questions {
    uint64_t (*count_connections)(void *owner); /* that are open */
    bool (*are_workers_alive)(void *owner);     /* did every loop turn since the last call? */
    void *owner;
};

/* Members are its own. All zero bytes but for fd, which is -1: nobody listens. */
struct supervise {
    int fd; /* non-blocking and close-on-exec, connected to the manager, or -1 */
    struct log *log;
    uint64_t watchdog_us; /* how long the manager waits for a sign of life; 0: for ever */
    struct supervise_questions questions;
    struct event *status_timer, *watchdog_timer; /* NULL while it is not started */
    char state[SUPERVISE_NOTE_SIZE];             /* the last note that is not just a number ... */
    bool is_state_due;                           /* ... which the manager had no room for yet */
    bool has_reload_failed;                      /* the last one; the status says so */
    bool is_stopping;
    bool is_refused; /* the last note could not be sent, and a line said so */
    bool is_hanging; /* a worker hung when it was last asked, and a line said so */
    uint64_t told_connections;
};

/* Return the name that supervisord gave this process in the environment, or NULL. */
const char *supervise_process_name(void);

/*
 * Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, and connect to the
 * manager if there is one. What is wrong with them is a warning, and then nobody is told anything.
 */
void supervise_init(struct supervise *supervise, struct log *log);

/* Close the socket. */
void supervise_fini(struct supervise *supervise);

/*
 * From here on tell the number of connections every SUPERVISE_STATUS_MS, if it has changed, and
 * give a sign of life at half of WATCHDOG_USEC, unless a worker hangs. What the questions point at
 * must live until supervise_stop.
 * Return 0, or -1 with errno ENOMEM.
 */
int supervise_start(struct supervise *supervise, struct event_base *base,
                    const struct supervise_questions *questions)
    __attribute__((warn_unused_result));

/* Set no timer any more. Fine without a start, and twice. */
void supervise_stop(struct supervise *supervise);

/*
 * Tell that echod serves: once it does, and after each reload. A note takes one datagram and never
 * blocks; what the manager has no room for is told again with the next number of connections. To be
 * called between supervise_start and supervise_stop, as are the next two and
 * supervise_tell_stopping.
 */
void supervise_tell_ready(struct supervise *supervise);

/* The same after a reload that failed, which the status says until the next one. */
void supervise_tell_reload_failed(struct supervise *supervise);

/*
 * Tell that a reload begins; one of the two above has to follow. With a time of the clock that is
 * monotonic, as Type=notify-reload of systemd.service(5) demands.
 */
void supervise_tell_reloading(struct supervise *supervise);

/*
 * Have the manager keep these sockets under a name, and hand them to the next process: FDSTORE=1 of
 * sd_notify(3). It has them also when they are shut (FDPOLL=0). Waits up to a second for room.
 * Without a manager nothing is kept. This and the next two may come before supervise_start. Return
 * 0, or -1.
 */
int supervise_keep(struct supervise *supervise, const char *name, const int *fds, size_t count)
    __attribute__((warn_unused_result));

/* Have it close all that it keeps under a name. Return 0, or -1. */
int supervise_forget(struct supervise *supervise, const char *name);

/* Wait until it has read all notes, for five seconds at most (BARRIER=1). */
void supervise_wait(struct supervise *supervise);

/* Tell that a stop was requested; further calls do nothing. */
void supervise_tell_stopping(struct supervise *supervise);

#endif
