#include <config.h>

#include "echod/admin.h"

#include "base/clock.h"
#include "base/http_server.h"
#include "echod/admin_context.h"
#include "echod/admin_routes.h"
#include "echod/control.h"
#include "echod/mailbox.h"
#include "echod/timers.h"
#include "echod/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

static const struct http_limits limits = {
    .max_connections = ADMIN_MAX_CONNECTIONS,
    .max_header_bytes = ADMIN_MAX_HEADER_BYTES,
    .max_body_bytes = ADMIN_MAX_BODY_BYTES,
    .request_timeout_ms = ADMIN_REQUEST_TIMEOUT_MS,
    .idle_timeout_ms = ADMIN_IDLE_TIMEOUT_MS,
};

/* An address, whose server is called when its descriptor is readable or its timer is due. */
struct door {
    struct admin_context context;
    struct http_server *server;
    struct event *readable;
    struct event *timer;
};

struct admin {
    const struct admin_view *view;
    struct event_base *base;
    struct mailbox *mailbox;
    struct inspector inspector;
    struct control_asker control;
    struct mailbox_message stop;
    struct event *lag_timer;
    struct door *doors;
    size_t door_count;
    pthread_t thread;
    bool is_started;
};

size_t admin_file_count(size_t address_count)
{
    const size_t of_loop = 5, of_server = 3; /* two epoll descriptors and an eventfd */

    return address_count == 0 ? 0 : of_loop + address_count * (of_server + ADMIN_MAX_CONNECTIONS);
}

/* --- Loop ------------------------------------------------------------------------------------ */

/* Ask the server when it is to be called anyway. */
static void set_timer(const struct door *door)
{
    const int timeout_ms = http_server_timeout_ms(door->server);

    if (timeout_ms < 0)
        (void)event_del(door->timer);
    else
        timers_set_or_run(door->timer, (uint64_t)timeout_ms);
}

static void on_due(evutil_socket_t fd, short what, void *argument)
{
    struct door *door = argument;

    (void)fd;
    (void)what;
    http_server_run(door->server);
    set_timer(door);
}

static void on_request(struct http_request *request, void *owner)
{
    admin_routes_answer(request, owner);
}

/* What the workers' loops are like is asked all the time, so that it is known when somebody asks.
 */
static void on_lag_timer(evutil_socket_t fd, short what, void *argument)
{
    const struct admin *admin = argument;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < admin->view->worker_count; i++)
        worker_measure_lag(admin->view->workers[i]);
}

static void on_stop(void *argument)
{
    struct admin *admin = argument;

    (void)event_base_loopbreak(admin->base);
}

static void *run(void *argument)
{
    const struct admin *admin = argument;

    (void)event_base_dispatch(admin->base);
    return NULL;
}

int admin_start(struct admin *admin)
{
    const int failure = pthread_create(&admin->thread, NULL, run, admin);

    errno = failure;
    admin->is_started = failure == 0;
    return admin->is_started ? 0 : -1;
}

/* --- Construction and destruction ------------------------------------------------------------ */

static void fini_door(struct door *door)
{
    http_server_free(door->server);
    timers_free(door->readable);
    timers_free(door->timer);
}

/* Serve at an endpoint. Return 0, or -1 with errno; fini_door frees what was made. */
static int init_door(struct door *door, struct admin *admin, const struct endpoint *endpoint)
{
    door->timer = evtimer_new(admin->base, on_due, door);
    if (door->timer == NULL)
        return -1;
    door->context = (struct admin_context){
        .view = admin->view,
        .base = admin->base,
        .mailbox = admin->mailbox,
        .inspector = &admin->inspector,
        .control = &admin->control,
        .due = door->timer,
        .host = endpoint->address.host,
    };
    door->server = http_server_new(endpoint->worker_fds[0], &limits, on_request, &door->context);
    if (door->server == NULL)
        return -1;
    errno = ENOMEM;
    door->readable =
        event_new(admin->base, http_server_fd(door->server), EV_READ | EV_PERSIST, on_due, door);
    if (door->readable == NULL || event_add(door->readable, NULL) < 0)
        return -1;
    return 0;
}

/* Make an event base that takes no locks: only one thread uses it. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config == NULL)
        return NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* Begin to measure the workers' loops. Return 0, or -1 with errno ENOMEM. */
static int start_lag_timer(struct admin *admin)
{
    const struct timeval interval = clock_timeval(ADMIN_LAG_INTERVAL_MS);

    errno = ENOMEM;
    admin->lag_timer = event_new(admin->base, -1, EV_PERSIST, on_lag_timer, admin);
    return admin->lag_timer == NULL ? -1 : event_add(admin->lag_timer, &interval);
}

/* Make all parts. Return 0, or -1 with errno; admin_free frees what was made. */
static int make_parts(struct admin *admin, const struct sockets *sockets)
{
    errno = ENOMEM;
    admin->base = new_base();
    if (admin->base == NULL)
        return -1;
    admin->mailbox = mailbox_new(admin->base);
    if (admin->mailbox == NULL)
        return -1;
    admin->inspector = (struct inspector){
        .workers = admin->view->workers,
        .worker_count = admin->view->worker_count,
        .base = admin->base,
        .mailbox = admin->mailbox,
        .patience_ms = ADMIN_WORKER_TIMEOUT_MS,
    };
    admin->control = (struct control_asker){admin->view->control, admin->mailbox, NULL};
    admin->stop = (struct mailbox_message){on_stop, admin, NULL, false};
    if (start_lag_timer(admin) < 0)
        return -1;
    admin->doors = calloc(sockets->endpoints.count, sizeof *admin->doors);
    if (admin->doors == NULL)
        return -1;
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        admin->door_count++;
        if (init_door(&admin->doors[i], admin, &sockets->endpoints.items[i]) < 0)
            return -1;
    }
    return 0;
}

struct admin *admin_new(const struct sockets *sockets, const struct admin_view *view)
{
    struct admin *admin = calloc(1, sizeof *admin);
    int failure;

    if (admin == NULL)
        return NULL;
    admin->view = view;
    if (make_parts(admin, sockets) == 0)
        return admin;
    failure = errno;
    admin_free(admin);
    errno = failure;
    return NULL;
}

void admin_free(struct admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->is_started) {
        (void)mailbox_post(admin->mailbox, &admin->stop);
        (void)pthread_join(admin->thread, NULL);
    }
    inspector_fini(&admin->inspector); /* they answer what waits, at the doors */
    control_asker_fini(&admin->control);
    for (size_t i = 0; i < admin->door_count; i++)
        fini_door(&admin->doors[i]);
    free(admin->doors);
    timers_free(admin->lag_timer);
    mailbox_free(admin->mailbox);
    if (admin->base != NULL)
        event_base_free(admin->base);
    free(admin);
}
