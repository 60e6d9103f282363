#include <config.h>

#include "echod/store.h"

#include "base/descriptor.h"
#include "echod/kept.h"

#include <stdbool.h>
#include <string.h>

/* --- At the start ---------------------------------------------------------------------------- */

/* Let go of a socket that was kept. All of its name are forgotten; store_keep follows. */
static void drop(struct passed_socket *socket, struct supervise *supervise)
{
    (void)supervise_forget(supervise, socket->name);
    descriptor_close(socket->fd);
    socket->is_taken = true;
}

static bool is_listed(const struct passed_socket *socket, const struct listen_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        const struct kept kept = kept_for(NULL, addresses, i);

        if (strcmp(kept.name, socket->name) == 0)
            return true;
    }
    return false;
}

void store_drop_unlisted(const struct passed *passed, const struct listen_list *addresses,
                         struct supervise *supervise)
{
    bool is_any_dropped = false;

    for (size_t i = 0; i < passed->count; i++) {
        struct passed_socket *socket = &passed->sockets[i];

        if (!socket->is_kept || is_listed(socket, addresses))
            continue;
        drop(socket, supervise);
        is_any_dropped = true;
    }
    if (is_any_dropped)
        supervise_wait(supervise);
}

void store_drop_rest(const struct passed *passed, struct supervise *supervise)
{
    for (size_t i = 0; i < passed->count; i++) {
        if (passed->sockets[i].is_kept && !passed->sockets[i].is_taken)
            drop(&passed->sockets[i], supervise);
    }
}

/* --- While it serves ------------------------------------------------------------------------- */

/* Tell whether echod bound this one: what was passed is the manager's own. */
static bool is_ours(const struct endpoint *endpoint)
{
    return endpoint->kind != ENDPOINT_CLIENT && !endpoint->is_passed;
}

void store_keep(struct endpoint_list *endpoints, unsigned long first_number,
                struct supervise *supervise)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];
        const size_t count = endpoint->is_group ? endpoints->worker_count : 1;
        char name[KEPT_NAME_SIZE];

        if (endpoint->number < first_number || !is_ours(endpoint) ||
            !kept_name_endpoint(endpoint, name))
            continue;
        if (supervise_keep(supervise, name, endpoint->worker_fds, count) < 0)
            return;
        endpoint->is_kept = true;
    }
}

void store_forget_leaving(struct endpoint_list *endpoints, struct supervise *supervise)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];
        char name[KEPT_NAME_SIZE];

        if (!endpoint->is_leaving || !endpoint->is_kept || !kept_name_endpoint(endpoint, name))
            continue;
        (void)supervise_forget(supervise, name);
        endpoint->is_kept = false;
    }
}
