#include <config.h>

#include "echod/supervise.h"

#include "base/clock.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    KEPT_AT_ONCE = 64,
    ROOM_TIMEOUT_MS = 1000,
    BARRIER_TIMEOUT_MS = 5000, /* as systemd-notify(1) has it */
    KEPT_NOTE_SIZE = 320,
};

/* --- Notes ----------------------------------------------------------------------------------- */

/* Tell whether the manager took a note, and log if it begins not to. */
static bool is_taken(struct supervise *supervise, ssize_t sent)
{
    if (sent < 0 && !supervise->is_refused)
        log_write(supervise->log, LOG_LEVEL_WARNING, "the service manager takes no note: %s",
                  strerror(errno));
    supervise->is_refused = sent < 0;
    return sent >= 0;
}

/* Send a note. Return false if the manager did not take it. */
static bool send_note(struct supervise *supervise, const char *note)
{
    ssize_t sent;

    do {
        sent = send(supervise->fd, note, strlen(note), 0);
    } while (sent < 0 && errno == EINTR);
    return is_taken(supervise, sent);
}

/* Send what the last tell_* wrote into `state`, and keep in mind if it has to be sent again. */
static void tell_state(struct supervise *supervise)
{
    supervise->is_state_due = !send_note(supervise, supervise->state);
}

/* Write what is to be known, and the number of connections; remember which. */
static void format_status(struct supervise *supervise, char *note, size_t size)
{
    const struct supervise_questions *questions = &supervise->questions;
    const char *what = "";

    if (supervise->is_stopping)
        what = "draining, ";
    else if (supervise->has_reload_failed)
        what = "reload failed, see the log; ";
    supervise->told_connections = questions->count_connections(questions->owner);
    (void)snprintf(note, size, "STATUS=%s%" PRIu64 " connections\n", what,
                   supervise->told_connections);
}

/* Write a note of a state and of the number of connections. */
static void set_state(struct supervise *supervise, const char *state)
{
    const size_t length = strlen(state);

    memcpy(supervise->state, state, length);
    format_status(supervise, supervise->state + length, sizeof supervise->state - length);
    tell_state(supervise);
}

/* --- Timers ---------------------------------------------------------------------------------- */

static void on_status_due(evutil_socket_t fd, short what, void *argument)
{
    struct supervise *supervise = argument;
    const struct supervise_questions *questions = &supervise->questions;
    const uint64_t told = supervise->told_connections;
    char note[SUPERVISE_NOTE_SIZE];

    (void)fd;
    (void)what;
    if (supervise->is_state_due)
        tell_state(supervise);
    if (supervise->is_state_due || questions->count_connections(questions->owner) == told)
        return;
    format_status(supervise, note, sizeof note);
    if (!send_note(supervise, note))
        supervise->told_connections = told; /* so that it is told again */
}

static void on_watchdog_due(evutil_socket_t fd, short what, void *argument)
{
    struct supervise *supervise = argument;
    const bool is_alive = supervise->questions.are_workers_alive(supervise->questions.owner);

    (void)fd;
    (void)what;
    if (is_alive)
        (void)send_note(supervise, "WATCHDOG=1\n");
    else if (!supervise->is_hanging)
        log_write(supervise->log, LOG_LEVEL_WARNING,
                  "a worker hangs: the service manager gets no sign of life until it goes on");
    supervise->is_hanging = !is_alive;
}

/* --- The environment ------------------------------------------------------------------------- */

const char *supervise_process_name(void)
{
    const char *name = getenv("SUPERVISOR_PROCESS_NAME");

    return getenv("SUPERVISOR_ENABLED") == NULL || name == NULL || *name == '\0' ? NULL : name;
}

/* Take a variable out of the environment. Return a copy to free, or NULL without one. */
static char *take_variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = value == NULL || *value == '\0' ? NULL : strdup(value);

    (void)unsetenv(name);
    return copy;
}

/* Connect to a path, or to an abstract name behind "@" (unix(7)). Return -1 with errno. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(name);
    int fd;

    if (length > sizeof address.sun_path - (name[0] == '@' ? 0 : 1)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (name[0] != '/' && name[0] != '@') {
        errno = EAFNOSUPPORT;
        return -1;
    }
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        connect(fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
        const int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

static void connect_to_manager(struct supervise *supervise)
{
    char *name = take_variable("NOTIFY_SOCKET");

    if (name == NULL)
        return;
    supervise->fd = connect_to(name);
    if (supervise->fd < 0)
        log_write(supervise->log, LOG_LEVEL_WARNING,
                  "NOTIFY_SOCKET=%s: %s; nobody is told when echod is ready: it has to be the path "
                  "of a socket, or a name behind @",
                  name, strerror(errno));
    free(name);
}

/* Tell whether the watchdog is meant for this process, and not for its parent. */
static bool is_ours(const char *watchdog_pid)
{
    uint64_t pid;

    return watchdog_pid == NULL ||
           (units_parse_count(watchdog_pid, &pid) == 0 && pid == (uint64_t)getpid());
}

static void read_watchdog(struct supervise *supervise)
{
    char *microseconds = take_variable("WATCHDOG_USEC");
    char *pid = take_variable("WATCHDOG_PID");

    if (microseconds != NULL && is_ours(pid) &&
        units_parse_count(microseconds, &supervise->watchdog_us) < 0) {
        supervise->watchdog_us = 0;
        log_write(supervise->log, LOG_LEVEL_WARNING,
                  "WATCHDOG_USEC=%s is no number of microseconds: the service manager gets no sign "
                  "of life",
                  microseconds);
    }
    free(microseconds);
    free(pid);
}

/* --- Construction and destruction ------------------------------------------------------------ */

void supervise_init(struct supervise *supervise, struct log *log)
{
    *supervise = (struct supervise){.fd = -1, .log = log};
    connect_to_manager(supervise);
    read_watchdog(supervise);
}

void supervise_fini(struct supervise *supervise)
{
    if (supervise->fd >= 0)
        (void)close(supervise->fd);
    supervise->fd = -1;
}

/* Call a function again and again, or never if the interval is 0. Return 0, or -1. */
static int set_timer(struct supervise *supervise, struct event_base *base, struct event **timer,
                     event_callback_fn function, uint64_t interval_us)
{
    const struct timeval interval = {.tv_sec = (time_t)(interval_us / 1000000),
                                     .tv_usec = (suseconds_t)(interval_us % 1000000)};

    if (interval_us == 0)
        return 0;
    *timer = event_new(base, -1, EV_PERSIST, function, supervise);
    return *timer == NULL ? -1 : event_add(*timer, &interval);
}

int supervise_start(struct supervise *supervise, struct event_base *base,
                    const struct supervise_questions *questions)
{
    supervise->questions = *questions;
    if (supervise->fd < 0)
        return 0;
    if (set_timer(supervise, base, &supervise->status_timer, on_status_due,
                  UINT64_C(1000) * SUPERVISE_STATUS_MS) == 0 &&
        set_timer(supervise, base, &supervise->watchdog_timer, on_watchdog_due,
                  supervise->watchdog_us / 2) == 0)
        return 0;
    supervise_stop(supervise);
    errno = ENOMEM;
    return -1;
}

static void free_timer(struct event **timer)
{
    if (*timer != NULL)
        event_free(*timer);
    *timer = NULL;
}

void supervise_stop(struct supervise *supervise)
{
    free_timer(&supervise->status_timer);
    free_timer(&supervise->watchdog_timer);
}

/* --- Sockets --------------------------------------------------------------------------------- */

/* Send a note with descriptors, if there are any (unix(7), SCM_RIGHTS). */
static ssize_t send_with(int manager, char *note, const int *fds, size_t count)
{
    union {
        struct cmsghdr header; /* for its alignment */
        unsigned char bytes[CMSG_SPACE(KEPT_AT_ONCE * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec text = {.iov_base = note, .iov_len = strlen(note)};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    do {
        sent = sendmsg(manager, &message, 0);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* Wait until poll(2) finds one of these events, or an end. */
static void wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd wanted = {.fd = fd, .events = events};

    while (poll(&wanted, 1, timeout_ms) < 0 && errno == EINTR)
        continue;
}

/* The same, and wait for room. Return false if the manager did not take it. */
static bool send_descriptors(struct supervise *supervise, char *note, const int *fds, size_t count)
{
    ssize_t sent = send_with(supervise->fd, note, fds, count);

    if (sent < 0 && errno == EAGAIN) {
        wait_for(supervise->fd, POLLOUT, ROOM_TIMEOUT_MS);
        sent = send_with(supervise->fd, note, fds, count);
    }
    return is_taken(supervise, sent);
}

/* Send a note about a name, with sockets of that name. Return 0, or -1. */
static int tell_of_name(struct supervise *supervise, const char *verb, const char *name,
                        const int *fds, size_t count)
{
    char note[KEPT_NOTE_SIZE];

    (void)snprintf(note, sizeof note, "%s\nFDNAME=%s\n", verb, name);
    return send_descriptors(supervise, note, fds, count) ? 0 : -1;
}

int supervise_keep(struct supervise *supervise, const char *name, const int *fds, size_t count)
{
    size_t kept = 0;

    if (supervise->fd < 0)
        return -1;
    while (kept < count) {
        const size_t some = count - kept < KEPT_AT_ONCE ? count - kept : KEPT_AT_ONCE;

        if (tell_of_name(supervise, "FDSTORE=1\nFDPOLL=0", name, fds + kept, some) < 0)
            return -1;
        kept += some;
    }
    return 0;
}

int supervise_forget(struct supervise *supervise, const char *name)
{
    if (supervise->fd < 0)
        return -1;
    return tell_of_name(supervise, "FDSTOREREMOVE=1", name, NULL, 0);
}

/* The manager closes the end of the pipe that it is sent when it comes to this note. */
void supervise_wait(struct supervise *supervise)
{
    char note[] = "BARRIER=1\n";
    bool is_sent;
    int ends[2];

    if (supervise->fd < 0 || pipe(ends) < 0)
        return;
    is_sent = send_descriptors(supervise, note, &ends[1], 1);
    (void)close(ends[1]);
    if (is_sent)
        wait_for(ends[0], 0, BARRIER_TIMEOUT_MS);
    (void)close(ends[0]);
}

/* --- Notifications --------------------------------------------------------------------------- */

static void tell_serving(struct supervise *supervise, bool has_reload_failed)
{
    supervise->has_reload_failed = has_reload_failed;
    if (supervise->fd >= 0)
        set_state(supervise, "READY=1\n");
}

void supervise_tell_ready(struct supervise *supervise)
{
    tell_serving(supervise, false);
}

void supervise_tell_reload_failed(struct supervise *supervise)
{
    tell_serving(supervise, true);
}

void supervise_tell_reloading(struct supervise *supervise)
{
    if (supervise->fd < 0)
        return;
    (void)snprintf(supervise->state, sizeof supervise->state,
                   "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", clock_now_ns() / 1000);
    tell_state(supervise);
}

void supervise_tell_stopping(struct supervise *supervise)
{
    if (supervise->fd < 0 || supervise->is_stopping)
        return;
    supervise->is_stopping = true;
    set_state(supervise, "STOPPING=1\n");
}
