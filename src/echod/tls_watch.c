#include <config.h>

#include "echod/tls_watch.h"

#include "base/date.h"
#include "echod/timers.h"

enum { DAY_S = 24 * 3600 };

void tls_watch_look(const struct tls_watch *watch, time_t now)
{
    for (size_t i = 0; i < watch->endpoints->count; i++)
        endpoint_warn_of_tls_ends(&watch->endpoints->items[i], now, watch->log);
}

static void on_day(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    tls_watch_look(argument, date_now().tv_sec);
}

int tls_watch_start(struct tls_watch *watch, struct event_base *base,
                    const struct endpoint_list *endpoints, struct log *log)
{
    const struct timeval day = {.tv_sec = DAY_S};

    *watch = (struct tls_watch){
        .endpoints = endpoints,
        .log = log,
        .timer = event_new(base, -1, EV_PERSIST, on_day, watch),
    };
    if (watch->timer != NULL && event_add(watch->timer, &day) == 0)
        return 0;
    tls_watch_stop(watch);
    return -1;
}

void tls_watch_stop(struct tls_watch *watch)
{
    timers_free(watch->timer);
    watch->timer = NULL;
}
