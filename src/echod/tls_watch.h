/*
 * tls_watch: warns each day of certificates that end soon: a daemon that runs for years is not
 * started, nor reloaded, in the month before that.
 * Says nothing at the start; server and reload do.
 * Called by server.
 */
#ifndef ECHOD_TLS_WATCH_H
#define ECHOD_TLS_WATCH_H

#include "base/log.h"
#include "echod/endpoint.h"

#include <event2/event.h>
#include <time.h>

struct tls_watch {
    const struct endpoint_list *endpoints;
    struct log *log;
    struct event *timer;
};

/*
 * Begin to warn, from this loop, whose thread alone changes the endpoints. All must outlive it.
 * Return 0, or -1 if there is no memory for it, and nothing to undo.
 */
int tls_watch_start(struct tls_watch *watch, struct event_base *base,
                    const struct endpoint_list *endpoints, struct log *log)
    __attribute__((warn_unused_result));

/* End it. One that never started is fine, if it is all zero. */
void tls_watch_stop(struct tls_watch *watch);

/* Warn, as if it were this time. */
void tls_watch_look(const struct tls_watch *watch, time_t now);

#endif
