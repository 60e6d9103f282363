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

/* The links of a list: any thread may follow those that are published. */
typedef _Atomic(struct listener_stats *) listener_link;

static bool is_of(const struct listener_stats *stats, const struct endpoint *endpoint)
{
    return strcmp(stats->label, endpoint_label(endpoint)) == 0 &&
           stats->is_of_datagrams == (endpoint->kind == ENDPOINT_DATAGRAM);
}

/* Return what is counted of an endpoint's listener, from this one on, or NULL. */
static struct listener_stats *find(struct listener_stats *stats, const struct endpoint *endpoint)
{
    while (stats != NULL && !is_of(stats, endpoint))
        stats = stats->next;
    return stats;
}

/* Return the place behind the last listener. */
static listener_link *end_of(listener_link *link)
{
    while (*link != NULL)
        link = &((struct listener_stats *)*link)->next;
    return link;
}

/* Make what lets clients in. Return NULL with errno. */
static struct admission *make_admission(void)
{
    struct source_seed seed;

    if (getentropy(seed.words, sizeof seed.words) < 0)
        return NULL;
    return admission_new(&seed);
}

/*
 * Begin to count an endpoint's listener: add it behind `added`. Return NULL with errno.
 */
static struct listener_stats *add(listener_link *added, size_t worker_count,
                                  const struct endpoint *endpoint)
{
    /* A multiple of the alignment, as aligned_alloc wants it, since struct counters is one. */
    const size_t size = sizeof(struct listener_stats) + worker_count * sizeof(struct counters);
    struct listener_stats *stats = aligned_alloc(alignof(struct listener_stats), size);

    if (stats == NULL)
        return NULL;
    memset(stats, 0, size);
    (void)snprintf(stats->label, sizeof stats->label, "%s", endpoint_label(endpoint));
    stats->is_of_datagrams = endpoint->kind == ENDPOINT_DATAGRAM;
    if (!stats->is_of_datagrams && (stats->admission = make_admission()) == NULL) {
        free(stats);
        return NULL;
    }
    *end_of(added) = stats;
    return stats;
}

static void free_places(struct listener_place *place)
{
    while (place != NULL) {
        struct listener_place *before = place->before;

        free(place);
        place = before;
    }
}

static void free_from(struct listener_stats *stats)
{
    while (stats != NULL) {
        struct listener_stats *next = stats->next;

        admission_free(stats->admission);
        free_places(stats->place);
        free(stats);
        stats = next;
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
static int prepare(const struct listener_stats_list *list, listener_link *added,
                   const struct endpoint *endpoint)
{
    struct listener_stats *stats = find(list->first, endpoint);

    if (stats == NULL)
        stats = find(*added, endpoint);
    if (stats == NULL)
        stats = add(added, list->worker_count, endpoint);
    return stats == NULL ? -1 : reserve(stats, endpoint);
}

/* Return the listener of the other kind that has the same label, or NULL. */
static struct listener_stats *find_namesake(struct listener_stats *first,
                                            const struct listener_stats *stats)
{
    while (first != NULL && (first == stats || strcmp(first->label, stats->label) != 0))
        first = first->next;
    return first;
}

/*
 * A pause belongs to a name, whatever comes by it. Operators may pause it meanwhile: they tell the
 * listeners in the order of the list, of which this one is the later.
 */
static void follow_namesake(struct listener_stats *first, struct listener_stats *stats)
{
    struct listener_stats *namesake = find_namesake(first, stats);
    bool is_paused;

    if (namesake == NULL)
        return;
    do {
        is_paused = atomic_load(&namesake->is_paused);
        atomic_store(&stats->is_paused, is_paused);
    } while (atomic_load(&namesake->is_paused) != is_paused);
}

int listener_stats_find(struct listener_stats_list *list, struct endpoint_list *endpoints)
{
    listener_link added = NULL; /* nobody sees these before all are there */

    for (size_t i = 0; i < endpoints->count; i++) {
        if (prepare(list, &added, &endpoints->items[i]) < 0) {
            const int failure = errno;

            free_from(added); /* of a listener that never comes there is nothing to tell */
            errno = failure;
            return -1;
        }
    }
    *end_of(&list->first) = added;
    for (struct listener_stats *stats = added; stats != NULL; stats = stats->next)
        follow_namesake(list->first, stats);
    for (size_t i = 0; i < endpoints->count; i++)
        endpoints->items[i].stats = find(list->first, &endpoints->items[i]);
    return 0;
}

/* --- Certificates ---------------------------------------------------------------------------- */

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

/* --- Places ---------------------------------------------------------------------------------- */

/* Tell whether an endpoint is a listener's, and stays. */
static bool is_place_of(const struct endpoint *endpoint, const struct listener_stats *stats)
{
    return endpoint->stats == stats && !endpoint->is_leaving;
}

static struct listener_place *new_place(size_t address_size)
{
    return calloc(1, sizeof(struct listener_place) + address_size);
}

/* Make the place of a listener that is gone: people still want to know where it was. */
static struct listener_place *make_last_place(const struct listener_place *before)
{
    const size_t size = strlen(before->addresses) + 1;
    struct listener_place *place = new_place(size);

    if (place == NULL)
        return NULL;
    place->is_tls = before->is_tls;
    memcpy(place->addresses, before->addresses, size);
    return place;
}

/* Make the place of a listener that has so many endpoints. Return NULL without memory. */
static struct listener_place *make_place(const struct listener_stats *stats, size_t count,
                                         const struct endpoint_list *endpoints)
{
    struct listener_place *place = new_place(count * (ADDRESS_TEXT_SIZE + sizeof ", "));
    char *end = place == NULL ? NULL : place->addresses;

    for (size_t i = 0; end != NULL && i < endpoints->count; i++) {
        const struct endpoint *endpoint = &endpoints->items[i];

        if (!is_place_of(endpoint, stats))
            continue;
        if (place->is_open)
            end = stpcpy(end, ", ");
        end = stpcpy(end, endpoint->name);
        place->is_open = true;
        place->is_client = endpoint->kind == ENDPOINT_CLIENT;
        place->is_tls = endpoint->address.is_tls;
    }
    return place;
}

static bool is_same_place(const struct listener_place *place, const struct listener_place *other)
{
    return place->is_open == other->is_open && place->is_tls == other->is_tls &&
           strcmp(place->addresses, other->addresses) == 0;
}

static void note_place(struct listener_stats *stats, const struct endpoint_list *endpoints)
{
    struct listener_place *before = stats->place, *place;
    size_t count = 0;

    for (size_t i = 0; i < endpoints->count; i++)
        count += is_place_of(&endpoints->items[i], stats);
    if (count == 0 && (before == NULL || !before->is_open))
        return;
    place = count == 0 && before != NULL ? make_last_place(before)
                                         : make_place(stats, count, endpoints);
    if (place == NULL || (before != NULL && is_same_place(before, place))) {
        free(place);
        return;
    }
    place->before = before;
    stats->place = place;
}

void listener_stats_note_places(const struct listener_stats_list *list,
                                const struct endpoint_list *endpoints)
{
    for (struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        note_place(stats, endpoints);
}

bool listener_stats_is_way_in(const struct listener_stats *stats)
{
    const struct listener_place *place = stats->place;

    return place != NULL && place->is_open && !place->is_client;
}

bool listener_stats_pause_failed(const struct listener_stats_list *list)
{
    bool is_any = false;

    for (struct listener_stats *stats = list->first; stats != NULL; stats = stats->next) {
        if (atomic_load(&stats->resume_errno) == 0 || atomic_load(&stats->is_paused))
            continue;
        atomic_store(&stats->is_paused, true);
        is_any = true;
    }
    return is_any;
}

/* --- Sums ------------------------------------------------------------------------------------ */

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
    free_from(list->first);
    list->first = NULL;
}
