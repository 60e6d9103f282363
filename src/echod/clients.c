#include <config.h>

#include "echod/clients.h"

#include "base/descriptor.h"
#include "echod/connection.h"
#include "echod/gate.h"
#include "echod/timers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    /* A report writes so many lines at a time, and lets the clients have their turn in between. */
    REPORT_LINES = 100,
    REPORT_PAUSE_MS = 5,
};

/* --- Ends ------------------------------------------------------------------------------------ */

/* Take note if it was a passed client that ended. */
static void tell_of_passed(struct clients *clients, const struct connection *connection)
{
    for (size_t i = 0; i < clients->passed_count; i++) {
        if (clients->passed_ids[i] == connection_id(connection))
            clients->on_event(connection_is_complete(connection) ? CLIENTS_PASSED_ENDED
                                                                 : CLIENTS_PASSED_FAILED,
                              clients->owner);
    }
}

static void on_connection_ended(struct connection *connection, void *owner)
{
    struct client_group *group = owner;
    struct clients *clients = group->clients;

    (void)table_remove(clients->table, connection_id(connection));
    atomic_fetch_sub(&clients->limit->open, 1);
    atomic_fetch_sub(&group->stats->open, 1);
    tell_of_passed(clients, connection);
    connection_free(connection);
    clients->on_event(CLIENTS_ONE_GONE, clients->owner);
}

void clients_close(struct clients *clients, enum close_reason reason)
{
    struct connection *connection;
    struct table_cursor cursor = {0};

    while ((connection = table_next(clients->table, &cursor)) != NULL)
        connection_close(connection, reason);
}

void clients_abort(struct clients *clients, enum close_reason reason)
{
    struct connection *connection;
    struct table_cursor cursor = {0};

    while ((connection = table_next(clients->table, &cursor)) != NULL)
        connection_abort(connection, reason);
}

size_t clients_count(const struct clients *clients)
{
    return table_count(clients->table);
}

/* --- Beginnings ------------------------------------------------------------------------------ */

static void close_both(int input_fd, int output_fd)
{
    descriptor_close(input_fd);
    if (output_fd != input_fd)
        descriptor_close(output_fd);
}

uint64_t clients_serve(struct clients *clients, struct client_group *group, int input_fd,
                       int output_fd, const union peer *peer, struct admission_source *known)
{
    struct connection *connection = connection_new(&group->connections, input_fd, output_fd, peer);
    uint64_t id = 0;
    int failure;

    if (connection == NULL) {
        gate_let_out(&group->connections.gate, known);
        close_both(input_fd, output_fd);
        errno = ENOMEM;
        return 0;
    }
    connection_count_for(connection, known);
    id = table_insert(clients->table, connection);
    if (id != 0 && connection_start(connection, id) == 0) {
        atomic_fetch_add(&clients->limit->open, 1);
        atomic_fetch_add(&group->stats->open, 1);
        return id;
    }
    failure = errno;
    if (id != 0)
        (void)table_remove(clients->table, id);
    connection_free(connection);
    errno = failure;
    return 0;
}

int clients_accept(struct clients *clients, struct client_group *group, int fd,
                   const union peer *peer)
{
    const bool is_proxied = group->connections.proxy_versions != 0;
    struct gate *gate = &group->connections.gate;
    struct admission_source *known = NULL;

    if (!is_proxied && !gate_lets_in(gate, peer, &known)) {
        gate_refuse(gate, fd);
        return 0;
    }
    return clients_serve(clients, group, fd, fd, peer, known) == 0 ? -1 : 0;
}

void clients_recount(struct clients *clients)
{
    struct connection *connection;
    struct table_cursor cursor = {0};

    if (!client_group_list_counts_sources(&clients->groups))
        return;
    while ((connection = table_next(clients->table, &cursor)) != NULL)
        connection_recount(connection);
}

int clients_serve_passed(struct clients *clients, struct endpoint *endpoint)
{
    const int input_fd = endpoint->input_fd, output_fd = endpoint->output_fd;
    struct client_group *group =
        client_group_new(&clients->groups, &endpoint->options, endpoint->tls, endpoint->stats);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    union peer peer;
    uint64_t id;

    if (group == NULL)
        return -1;
    if (input_fd == output_fd)
        (void)getpeername(input_fd, (struct sockaddr *)&address, &length);
    peer = peer_make((struct sockaddr *)&address);
    endpoint->input_fd = endpoint->output_fd = -1; /* the connection's now */
    id = clients_serve(clients, group, input_fd, output_fd, &peer, NULL);
    group->is_current = false;
    if (id == 0)
        return -1;
    clients->passed_ids[clients->passed_count++] = id;
    return 0;
}

/* --- Report ---------------------------------------------------------------------------------- */

static void on_report_slice(evutil_socket_t fd, short what, void *argument)
{
    struct clients *clients = argument;

    (void)fd;
    (void)what;
    for (int i = 0; i < REPORT_LINES; i++) {
        const struct connection *connection = table_next(clients->table, &clients->report_cursor);

        if (connection == NULL) {
            clients->on_event(CLIENTS_TOLD, clients->owner);
            return;
        }
        connection_report(connection, LOG_LEVEL_INFO);
    }
    timers_set_or_run(clients->report_slice, REPORT_PAUSE_MS);
}

void clients_report(struct clients *clients)
{
    clients->report_cursor = (struct table_cursor){0};
    on_report_slice(-1, 0, clients);
}

/* --- Construction and destruction ------------------------------------------------------------ */

int clients_init(struct clients *clients, size_t max_passed)
{
    clients->groups = (struct client_group_list){
        .base = clients->base,
        .log = clients->log,
        .pool = &clients->pool,
        .worker_index = clients->worker_index,
        .self = clients->self,
        .limit = clients->limit,
        .on_end = on_connection_ended,
        .clients = clients,
    };
    errno = ENOMEM; /* unless the system says something else */
    clients->passed_ids = calloc(max_passed, sizeof *clients->passed_ids);
    clients->table = table_new(clients->worker_index, clients->worker_count);
    clients->report_slice = evtimer_new(clients->base, on_report_slice, clients);
    if (clients->passed_ids == NULL || clients->table == NULL || clients->report_slice == NULL)
        return -1;
    return connection_pool_init(&clients->pool);
}

static void free_connections(struct clients *clients)
{
    struct connection *connection;
    struct table_cursor cursor = {0};

    while ((connection = table_next(clients->table, &cursor)) != NULL)
        connection_free(connection);
}

void clients_fini(struct clients *clients)
{
    if (clients->table != NULL)
        free_connections(clients);
    client_group_list_fini(&clients->groups);
    connection_pool_fini(&clients->pool);
    timers_free(clients->report_slice);
    table_free(clients->table);
    free(clients->passed_ids);
}
