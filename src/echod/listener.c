#include <config.h>

#include "echod/listener.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* After so many clients the others have their turn: connecting is no way to hold the loop. */
enum { ACCEPTS_PER_TURN = 64 };

struct listener {
    struct evconnlistener *acceptor;
    struct event *retry;   /* set while it pauses by itself */
    unsigned accepts_left; /* until it lets the others have their turn */
    const char *name;      /* not owned */
    struct log *log;
    struct log_limiter pauses; /* lines about them */
    struct counters *counters;
    listener_callback *on_accept;
    void *argument;
    bool is_accepting;
    bool waits_for_room; /* it backed off from a shortage that a client who leaves may end */
    bool is_short;       /* the last try to accept failed */
};

/* Pause for a while. Without a timer it would never go on, so then it does not pause. */
static void pause_for(struct listener *listener, uint64_t delay_ms)
{
    const struct timeval delay = clock_timeval(delay_ms);

    if (event_add(listener->retry, &delay) < 0)
        return;
    listener->is_accepting = false;
    (void)evconnlistener_disable(listener->acceptor); /* only forgets an event */
}

static void on_accepted(struct evconnlistener *acceptor, evutil_socket_t fd,
                        struct sockaddr *address, int length, void *argument)
{
    struct listener *listener = argument;

    (void)acceptor;
    (void)length;
    listener->is_short = false;
    if (--listener->accepts_left == 0) {
        listener->accepts_left = ACCEPTS_PER_TURN;
        pause_for(listener, 0);
    }
    listener->on_accept(fd, address, listener->argument);
}

static void on_accept_failed(struct evconnlistener *acceptor, void *argument)
{
    const int error = EVUTIL_SOCKET_ERROR();
    struct listener *listener = argument;

    (void)acceptor;
    if (!listener->is_short)
        counters_add(listener->counters, COUNTER_ACCEPT_SHORTAGES, 1);
    listener->is_short = true;
    log_write_limited(listener->log, &listener->pauses, LOG_LEVEL_WARNING,
                      &(const struct log_field){.name = "listener", .text = listener->name}, 1,
                      "listener %s pauses: %s", listener->name, strerror(error));
    listener_back_off(listener, error);
}

static void on_retry(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    listener_resume(argument);
}

struct listener *listener_new(struct event_base *base, evutil_socket_t fd, const char *name,
                              struct log *log, struct counters *counters,
                              listener_callback *on_accept, void *argument)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED;
    struct listener *listener = malloc(sizeof *listener);

    if (listener == NULL)
        return NULL;
    *listener = (struct listener){
        .name = name,
        .log = log,
        .counters = counters,
        .on_accept = on_accept,
        .argument = argument,
        .accepts_left = ACCEPTS_PER_TURN,
    };
    listener->retry = evtimer_new(base, on_retry, listener);
    if (listener->retry == NULL)
        goto free_listener;
    /* A backlog of 0 says that the socket listens already. */
    listener->acceptor = evconnlistener_new(base, on_accepted, listener, flags, 0, fd);
    if (listener->acceptor == NULL)
        goto free_retry;
    evconnlistener_set_error_cb(listener->acceptor, on_accept_failed);
    return listener;

free_retry:
    event_free(listener->retry);
free_listener:
    free(listener);
    errno = ENOMEM;
    return NULL;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    evconnlistener_free(listener->acceptor);
    event_free(listener->retry);
    free(listener);
}

void listener_pause(struct listener *listener)
{
    (void)event_del(listener->retry);
    listener->is_accepting = false;
    listener->waits_for_room = false;
    (void)evconnlistener_disable(listener->acceptor);
}

/* Tell whether it is of what a client has, and gives back. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ENOSPC; /* of what epoll watches */
}

void listener_back_off(struct listener *listener, int error)
{
    listener->waits_for_room = is_shortage(error);
    pause_for(listener, LISTENER_RETRY_MS);
}

void listener_note_room(struct listener *listener)
{
    if (listener->waits_for_room)
        listener_resume(listener);
}

void listener_resume(struct listener *listener)
{
    listener->waits_for_room = false;
    if (listener->is_accepting)
        return;
    (void)event_del(listener->retry);
    if (evconnlistener_enable(listener->acceptor) == 0)
        listener->is_accepting = true;
    else
        listener_back_off(listener, ENOMEM);
}

/*
 * Linux stops to listen at a SHUT_RD and keeps the address (inet_shutdown in net/ipv4/af_inet.c);
 * others fail with ENOTCONN. It gives up a port that it chose itself (tcp_disconnect), which is
 * bound again then; with any other that is EINVAL.
 */
int listener_shut(struct listener *listener)
{
    const evutil_socket_t fd = evconnlistener_get_fd(listener->acceptor);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 || shutdown(fd, SHUT_RD) < 0)
        return -1;
    (void)bind(fd, (struct sockaddr *)&address, length);
    return 0;
}

int listener_listen(struct listener *listener, int backlog)
{
    return listen(evconnlistener_get_fd(listener->acceptor), backlog);
}

void listener_set_backlog(struct listener *listener, int backlog)
{
    (void)listen(evconnlistener_get_fd(listener->acceptor), backlog);
}

evutil_socket_t listener_fd(const struct listener *listener)
{
    return evconnlistener_get_fd(listener->acceptor);
}

void listener_set_name(struct listener *listener, const char *name, struct counters *counters)
{
    listener->name = name;
    listener->counters = counters;
}

/* Accept a client. One that has gone meanwhile, and a signal, are no reason to stop. */
static evutil_socket_t accept_next(struct listener *listener, struct sockaddr_storage *address)
{
    const evutil_socket_t acceptor = evconnlistener_get_fd(listener->acceptor);
    evutil_socket_t fd;

    do {
        socklen_t length = sizeof *address;

        fd = accept(acceptor, (struct sockaddr *)address, &length);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd;
}

bool listener_accept_one(struct listener *listener)
{
    struct sockaddr_storage address;
    const evutil_socket_t fd = accept_next(listener, &address);

    if (fd < 0)
        return false;
    if (evutil_make_socket_nonblocking(fd) < 0 || evutil_make_socket_closeonexec(fd) < 0) {
        (void)evutil_closesocket(fd);
        return false;
    }
    listener->on_accept(fd, (struct sockaddr *)&address, listener->argument);
    return true;
}
