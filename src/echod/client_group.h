/*
 * client_group: the clients that came by one listener while it had the same options: what they
 * share. A reload begins a new group for each listener; the older ones last as long as their
 * clients. Accepts nobody and ends nobody. Called by listeners, for each listener, and by clients,
 * for those that were passed; worker sets what all have in common.
 */
#ifndef ECHOD_CLIENT_GROUP_H
#define ECHOD_CLIENT_GROUP_H

#include "echod/connection_group.h"
#include "echod/connection_limit.h"
#include "echod/listener_options.h"
#include "echod/listener_stats.h"
#include "echod/options.h"

#include <stdbool.h>
#include <stdint.h>

struct client_group {
    struct connection_group connections;
    struct listener_stats *stats;
    void *clients;   /* whose it is */
    bool is_current; /* clients may still come into it */
    struct client_group *older;
};

/* The groups of a worker, and what they have in common. Set the first members, and zero the list.
 */
struct client_group_list {
    struct event_base *base;
    struct log *log;
    struct connection_pool *pool;
    unsigned worker_index;
    const struct self *self;         /* outlives the groups */
    struct connection_limit *limit;  /* of all workers; it outlives the groups */
    connection_end_callback *on_end; /* its owner is the group */
    void *clients;                   /* whose they are */

    uint64_t max_queued_bytes;
    uint64_t linger_timeout_ms;
    uint64_t rate_limit_total; /* 0: no limit */
    bool has_shortcuts;

    struct client_group *newest;
};

/* Take the global settings for groups that come. */
void client_group_list_set(struct client_group_list *list, const struct options *options,
                           uint64_t max_queued_bytes);

/*
 * Begin a group for a listener with these options, and with this TLS or NULL. Return NULL with
 * errno ENOMEM. It lives until client_group_list_sweep finds it empty and not current.
 */
struct client_group *client_group_new(struct client_group_list *list,
                                      const struct listener_options *options,
                                      struct tls_context *tls, struct listener_stats *stats);

/* Tell whether any group that clients come into counts them by source. */
bool client_group_list_counts_sources(const struct client_group_list *list);

/* Free the groups that nobody is in, and nobody comes into. In no callback of a connection. */
void client_group_list_sweep(struct client_group_list *list);

/* Free all of them. No connection may be left. */
void client_group_list_fini(struct client_group_list *list);

#endif
