/*
 * libevent: a bufferevent for each client; the read callback moves input to output. This is how
 * the libevent book writes an echo server.
 * Leaves out limits, time-outs and a way to stop.
 * Run as: libevent PORT
 */
#include <config.h>

#include "listen.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stddef.h>

static void on_readable(struct bufferevent *client, void *unused)
{
    (void)unused;
    (void)evbuffer_add_buffer(bufferevent_get_output(client), bufferevent_get_input(client));
}

static void on_event(struct bufferevent *client, short what, void *unused)
{
    (void)unused;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        bufferevent_free(client);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_length, void *unused)
{
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *client = must_have(bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE),
                                           "bufferevent_socket_new");

    (void)peer;
    (void)peer_length;
    (void)unused;
    bufferevent_setcb(client, on_readable, NULL, on_event, NULL);
    must(bufferevent_enable(client, EV_READ | EV_WRITE), "bufferevent_enable");
}

int main(int argument_count, char *arguments[])
{
    const int fd = listen_on_argument(argument_count, arguments);
    struct event_base *base = must_have(event_base_new(), "event_base_new");

    must_have(evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd),
              "evconnlistener_new");
    return event_base_dispatch(base);
}
