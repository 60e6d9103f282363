#include <config.h>

#include "echod/listener_stats.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Return what the log and the totals call an endpoint. */
static const char *label_of(const struct endpoint *endpoint)
{
    return endpoint->next_options.name[0] != '\0' ? endpoint->next_options.name : endpoint->name;
}

static struct listener_stats *add(struct listener_stats_list *list, const struct endpoint *endpoint)
{
    /* A multiple of the alignment, as aligned_alloc wants it, since struct counters is one. */
    const size_t size =
        sizeof(struct listener_stats) + list->worker_count * sizeof(struct counters);
    struct listener_stats *stats = aligned_alloc(alignof(struct listener_stats), size);
    struct listener_stats **end = &list->first;

    if (stats == NULL)
        return NULL;
    memset(stats, 0, size);
    (void)snprintf(stats->label, sizeof stats->label, "%s", label_of(endpoint));
    stats->is_of_datagrams = endpoint->kind == ENDPOINT_DATAGRAM;
    while (*end != NULL)
        end = &(*end)->next;
    *end = stats;
    return stats;
}

static struct listener_stats *find_or_add(struct listener_stats_list *list,
                                          const struct endpoint *endpoint)
{
    struct listener_stats *stats = list->first;

    while (stats != NULL && (strcmp(stats->label, label_of(endpoint)) != 0 ||
                             stats->is_of_datagrams != (endpoint->kind == ENDPOINT_DATAGRAM)))
        stats = stats->next;
    return stats != NULL ? stats : add(list, endpoint);
}

int listener_stats_find(struct listener_stats_list *list, struct endpoint_list *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        struct listener_stats *stats = find_or_add(list, &endpoints->items[i]);

        if (stats == NULL)
            return -1;
        endpoints->items[i].stats = stats;
    }
    return 0;
}

uint64_t listener_stats_sum(const struct listener_stats *stats, size_t worker_count,
                            enum counter which)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < worker_count; i++)
        sum += counters_get(&stats->by_worker[i], which);
    return sum;
}

uint64_t listener_stats_total(const struct listener_stats_list *list, enum counter which)
{
    uint64_t total = 0;

    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        total += listener_stats_sum(stats, list->worker_count, which);
    return total;
}

void listener_stats_fini(struct listener_stats_list *list)
{
    while (list->first != NULL) {
        struct listener_stats *stats = list->first;

        list->first = stats->next;
        free(stats);
    }
}
