#include <config.h>

#include "echod/client_group.h"

#include "echod/connection.h"
#include "echod/gate.h"
#include "echod/identify.h"
#include "echod/tls_context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void client_group_list_set(struct client_group_list *list, const struct options *options,
                           uint64_t max_queued_bytes)
{
    list->max_queued_bytes = max_queued_bytes;
    list->linger_timeout_ms = options->linger_timeout_ms;
    list->rate_limit_total = options->rate_limit_total;
    list->has_shortcuts = !options->no_shortcuts;
}

static struct connection_limits limits_of(const struct client_group_list *list,
                                          const struct listener_options *options)
{
    return (struct connection_limits){
        .high_water_bytes = options->high_water_bytes,
        .low_water_bytes = listener_options_low_water_bytes(options),
        .max_queued_bytes = list->max_queued_bytes,
        .idle_timeout_ms = options->idle_timeout_ms,
        .lifetime_ms = options->lifetime_ms,
        .write_timeout_ms = options->write_timeout_ms,
        .linger_timeout_ms = list->linger_timeout_ms,
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .rate_limit = options->rate_limit,
        .has_shortcuts = list->has_shortcuts,
    };
}

struct client_group *client_group_new(struct client_group_list *list,
                                      const struct listener_options *options,
                                      struct tls_context *tls, struct listener_stats *stats)
{
    struct client_group *group = malloc(sizeof *group);

    if (group == NULL)
        return NULL;
    *group = (struct client_group){
        .connections =
            {
                .base = list->base,
                .log = list->log,
                .counters = &stats->by_worker[list->worker_index],
                .pool = list->pool,
                .limits = limits_of(list, options),
                .logs = options->log,
                .lines = {options->rate_limit_total > 0 ? &stats->rate : NULL,
                          list->rate_limit_total > 0 ? &list->limit->rate : NULL},
                .tls = tls_context_ref(tls),
                .proxy_versions = options->proxy,
                .proxy_from = options->proxy_from,
                .identify = identify_plan(options, list->worker_index, list->self, stats->label),
                .impair = options->impair,
                .impaired_count = &stats->impaired,
                .on_end = list->on_end,
                .owner = group,
            },
        .stats = stats,
        .clients = list->clients,
        .is_current = true,
        .older = list->newest,
    };
    group->connections.gate = (struct gate){
        .admission = stats->admission,
        .counters = group->connections.counters,
        .log = list->log,
        .label = stats->label,
    };
    gate_set_options(&group->connections.gate, &options->admission);
    memcpy(group->connections.listener_name, options->name, sizeof options->name);
    if (connection_init_group(&group->connections) < 0) {
        tls_context_unref(tls);
        free(group);
        errno = ENOMEM;
        return NULL;
    }
    list->newest = group;
    return group;
}

static void free_groups(struct client_group_list *list, bool are_current_ones_freed)
{
    struct client_group **link = &list->newest;

    while (*link != NULL) {
        struct client_group *group = *link;

        if (group->connections.count > 0 || (group->is_current && !are_current_ones_freed)) {
            link = &group->older;
            continue;
        }
        *link = group->older;
        connection_group_fini(&group->connections);
        tls_context_unref(group->connections.tls);
        free(group);
    }
}

bool client_group_list_counts_sources(const struct client_group_list *list)
{
    for (const struct client_group *group = list->newest; group != NULL; group = group->older) {
        if (group->is_current && group->connections.gate.counts_sources)
            return true;
    }
    return false;
}

void client_group_list_sweep(struct client_group_list *list)
{
    free_groups(list, false);
}

void client_group_list_fini(struct client_group_list *list)
{
    free_groups(list, true);
}
