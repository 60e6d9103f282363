#include <config.h>

#include "echod/listener_stats.h"

#include "echod/admission_options.h"
#include "echod/tls_notes.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Return what is counted of an endpoint's listener, or NULL. */
static struct listener_stats *find(const struct listener_stats_list *list,
                                   const struct endpoint *endpoint)
{
    struct listener_stats *stats = list->first;

    while (stats != NULL && (strcmp(stats->label, endpoint_label(endpoint)) != 0 ||
                             stats->is_of_datagrams != (endpoint->kind == ENDPOINT_DATAGRAM)))
        stats = stats->next;
    return stats;
}

/* Return the place behind the last listener of a list. */
static struct listener_stats **end_of(struct listener_stats_list *list)
{
    struct listener_stats **end = &list->first;

    while (*end != NULL)
        end = &(*end)->next;
    return end;
}

/* Make what lets clients in. Return NULL with errno. */
static struct admission *make_admission(void)
{
    struct source_seed seed;

    if (getentropy(seed.words, sizeof seed.words) < 0)
        return NULL;
    return admission_new(&seed);
}

/* Begin to count an endpoint's listener. Return 0, or -1 with errno. */
static int add(struct listener_stats_list *list, const struct endpoint *endpoint)
{
    /* A multiple of the alignment, as aligned_alloc wants it, since struct counters is one. */
    const size_t size =
        sizeof(struct listener_stats) + list->worker_count * sizeof(struct counters);
    struct listener_stats *stats = aligned_alloc(alignof(struct listener_stats), size);

    if (stats == NULL)
        return -1;
    memset(stats, 0, size);
    (void)snprintf(stats->label, sizeof stats->label, "%s", endpoint_label(endpoint));
    stats->is_of_datagrams = endpoint->kind == ENDPOINT_DATAGRAM;
    if (!stats->is_of_datagrams && (stats->admission = make_admission()) == NULL) {
        free(stats);
        return -1;
    }
    *end_of(list) = stats;
    return 0;
}

static void free_from(struct listener_stats **link)
{
    while (*link != NULL) {
        struct listener_stats *stats = *link;

        *link = stats->next;
        admission_free(stats->admission);
        free(stats);
    }
}

/* Take the memory that an endpoint's limits need. Return 0, or -1 with errno ENOMEM. */
static int reserve(const struct listener_stats *stats, const struct endpoint *endpoint)
{
    const struct admission_limits limits =
        admission_options_limits(&endpoint->next_options.admission);

    if (stats->admission == NULL || !admission_limits_sources(&limits))
        return 0;
    return admission_reserve(stats->admission);
}

/* Find what is counted of an endpoint's listener, or begin to count. Return 0, or -1 with errno. */
static int prepare(struct listener_stats_list *list, const struct endpoint *endpoint)
{
    if (find(list, endpoint) == NULL && add(list, endpoint) < 0)
        return -1;
    return reserve(find(list, endpoint), endpoint);
}

int listener_stats_find(struct listener_stats_list *list, struct endpoint_list *endpoints)
{
    struct listener_stats **added = end_of(list);

    for (size_t i = 0; i < endpoints->count; i++) {
        if (prepare(list, &endpoints->items[i]) < 0) {
            const int failure = errno;

            free_from(added); /* of a listener that never comes there is nothing to tell */
            errno = failure;
            return -1;
        }
    }
    for (size_t i = 0; i < endpoints->count; i++)
        endpoints->items[i].stats = find(list, &endpoints->items[i]);
    return 0;
}

/* Return when the first certificate ends of the endpoints that are one listener, or 0. */
static uint64_t first_end(const struct listener_stats *stats, const struct endpoint_list *endpoints)
{
    uint64_t first_s = 0;

    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *endpoint = &endpoints->items[i];
        uint64_t end_s;

        if (endpoint->stats != stats || endpoint->tls == NULL)
            continue;
        end_s = tls_notes_first_end(endpoint->tls);
        first_s = first_s == 0 || end_s < first_s ? end_s : first_s;
    }
    return first_s;
}

void listener_stats_note_certificates(const struct listener_stats_list *list,
                                      const struct endpoint_list *endpoints)
{
    for (struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        atomic_store(&stats->certificate_end_s, first_end(stats, endpoints));
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
    free_from(&list->first);
}
