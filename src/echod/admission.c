#include <config.h>

#include "echod/admission.h"

#include "echod/token_bucket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* Of the table that sources are looked up in: on average no more than one stands at a place. */
enum { HEADS = ADMISSION_SOURCES };

/*
 * One that nobody uses is all zero. The others are found from a head of the table by `next`. Those
 * without clients lie in a list as well, in the order in which their last client left. Links are
 * numbers of sources, counted from 1; 0: none.
 */
struct admission_source {
    struct source_key key;
    struct token_bucket bucket;
    uint32_t open; /* clients that are in */
    uint32_t next;
    uint32_t before, behind; /* in the list */
};

struct admission {
    pthread_mutex_t mutex; /* of all below that is no constant */
    atomic_bool is_limiting;
    struct source_seed seed;
    struct admission_limits limits;
    struct token_rate rate, rate_per_source; /* those that are limited */
    struct token_bucket bucket;

    struct admission_source *sources; /* NULL: none was asked for */
    uint32_t *heads;
    uint32_t used;        /* how many sources were taken, the first ones */
    uint32_t first, last; /* of the list */
};

/* --- Words ----------------------------------------------------------------------------------- */

const char *admission_verdict_text(enum admission_verdict verdict)
{
    switch (verdict) {
    case ADMISSION_GRANTED:
        return "granted";
    case ADMISSION_UNKNOWN:
        return "more sources are connected than echod can count";
    case ADMISSION_DENIED:
        return "its address is not allowed";
    case ADMISSION_SOURCE_FULL:
        return "its source has as many connections as max-connections-per-source allows";
    case ADMISSION_SOURCE_RATE:
        return "its source comes more often than accept-rate-per-source allows";
    case ADMISSION_RATE:
        return "more clients come than accept-rate allows";
    }
    abort(); /* no such verdict */
}

bool admission_is_granted(enum admission_verdict verdict)
{
    return verdict == ADMISSION_GRANTED || verdict == ADMISSION_UNKNOWN;
}

/* --- Networks -------------------------------------------------------------------------------- */

static bool is_of_ip(const struct sockaddr *source)
{
    return source != NULL && (source->sa_family == AF_INET || source->sa_family == AF_INET6);
}

bool admission_allows(const struct network_list *allowed, const struct network_list *denied,
                      const struct sockaddr *source)
{
    if (!is_of_ip(source))
        return true;
    return !network_list_contains(denied, source) &&
           (allowed->count == 0 || network_list_contains(allowed, source));
}

/* --- List of sources without clients --------------------------------------------------------- */

static uint32_t number_of(const struct admission *admission, const struct admission_source *source)
{
    return (uint32_t)(source - admission->sources) + 1;
}

static struct admission_source *source_of(const struct admission *admission, uint32_t number)
{
    return &admission->sources[number - 1];
}

static void append(struct admission *admission, struct admission_source *source)
{
    const uint32_t number = number_of(admission, source);

    source->before = admission->last;
    source->behind = 0;
    if (admission->last == 0)
        admission->first = number;
    else
        source_of(admission, admission->last)->behind = number;
    admission->last = number;
}

static void take_out(struct admission *admission, struct admission_source *source)
{
    if (source->before == 0)
        admission->first = source->behind;
    else
        source_of(admission, source->before)->behind = source->behind;
    if (source->behind == 0)
        admission->last = source->before;
    else
        source_of(admission, source->behind)->before = source->before;
}

/* --- Table ----------------------------------------------------------------------------------- */

static uint32_t *head_of(const struct admission *admission, const struct source_key *key)
{
    return &admission->heads[source_key_hash(key, &admission->seed) % HEADS];
}

/* Return the source of a key, or NULL if it is not known. */
static struct admission_source *find(const struct admission *admission,
                                     const struct source_key *key)
{
    uint32_t number = *head_of(admission, key);

    while (number != 0 && !source_key_is_equal(&source_of(admission, number)->key, key))
        number = source_of(admission, number)->next;
    return number == 0 ? NULL : source_of(admission, number);
}

/* Forget the source without clients that is first in the list, and return it. */
static struct admission_source *evict(struct admission *admission)
{
    struct admission_source *source = source_of(admission, admission->first);
    const uint32_t number = number_of(admission, source);
    uint32_t *link = head_of(admission, &source->key);

    take_out(admission, source);
    while (*link != number)
        link = &source_of(admission, *link)->next;
    *link = source->next;
    return source;
}

/* Begin to know a source; a client of it is about to be counted. Return NULL if there is no place.
 */
static struct admission_source *add(struct admission *admission, const struct source_key *key)
{
    struct admission_source *source = NULL;
    uint32_t *head = head_of(admission, key);

    if (admission->used < ADMISSION_SOURCES)
        source = &admission->sources[admission->used++];
    else if (admission->first != 0)
        source = evict(admission);
    if (source == NULL)
        return NULL;
    *source = (struct admission_source){.key = *key, .next = *head};
    *head = number_of(admission, source);
    return source;
}

/* Count a client of a source, which is NULL if it is not known yet. Return it, or NULL. */
static struct admission_source *count_in(struct admission *admission, const struct source_key *key,
                                         struct admission_source *source)
{
    if (source == NULL)
        source = add(admission, key);
    else if (source->open == 0)
        take_out(admission, source);
    if (source != NULL)
        source->open++;
    return source;
}

static void count_out(struct admission *admission, struct admission_source *source)
{
    if (--source->open == 0)
        append(admission, source);
}

/* --- Limits ---------------------------------------------------------------------------------- */

bool admission_limits_sources(const struct admission_limits *limits)
{
    return limits->rate_per_source > 0 || limits->connections_per_source > 0;
}

void admission_set_limits(struct admission *admission, const struct admission_limits *limits)
{
    (void)pthread_mutex_lock(&admission->mutex);
    admission->limits = *limits;
    if (limits->rate > 0)
        admission->rate = token_rate_make(limits->rate);
    if (limits->rate_per_source > 0)
        admission->rate_per_source = token_rate_make(limits->rate_per_source);
    atomic_store_explicit(&admission->is_limiting,
                          limits->rate > 0 || admission_limits_sources(limits),
                          memory_order_relaxed);
    (void)pthread_mutex_unlock(&admission->mutex);
}

bool admission_is_limiting(const struct admission *admission)
{
    return atomic_load_explicit(&admission->is_limiting, memory_order_relaxed);
}

/* Judge a client whose source may be known, NULL if it is not, by the limits of each source. */
static enum admission_verdict judge_source(const struct admission *admission,
                                           const struct admission_source *source, uint64_t now_ns)
{
    const struct admission_limits *limits = &admission->limits;

    if (source == NULL)
        return ADMISSION_GRANTED;
    if (limits->connections_per_source > 0 && source->open >= limits->connections_per_source)
        return ADMISSION_SOURCE_FULL;
    if (limits->rate_per_source > 0 &&
        token_bucket_count(&source->bucket, &admission->rate_per_source, now_ns) == 0)
        return ADMISSION_SOURCE_RATE;
    return ADMISSION_GRANTED;
}

/* Let it in if the rate from everywhere has room: what a source is refused for takes none of it. */
static enum admission_verdict judge_rate(struct admission *admission, uint64_t now_ns)
{
    return admission->limits.rate == 0 ||
                   token_bucket_take(&admission->bucket, &admission->rate, 1, now_ns) == 1
               ? ADMISSION_GRANTED
               : ADMISSION_RATE;
}

/* Tell whether a client is counted for its source. */
static bool is_counted(const struct admission *admission, const struct sockaddr *source)
{
    return admission_limits_sources(&admission->limits) && is_of_ip(source);
}

static enum admission_verdict enter_counted(struct admission *admission,
                                            const struct sockaddr *address, uint64_t now_ns,
                                            struct admission_source **known)
{
    const struct source_key key = source_key_make(address, admission->limits.prefixes);
    struct admission_source *source = find(admission, &key);
    enum admission_verdict verdict = judge_source(admission, source, now_ns);

    if (verdict == ADMISSION_GRANTED)
        verdict = judge_rate(admission, now_ns);
    if (verdict != ADMISSION_GRANTED)
        return verdict;
    source = count_in(admission, &key, source);
    *known = source;
    if (source == NULL)
        return ADMISSION_UNKNOWN;
    if (admission->limits.rate_per_source > 0)
        (void)token_bucket_take(&source->bucket, &admission->rate_per_source, 1, now_ns);
    return ADMISSION_GRANTED;
}

enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *source,
                                       uint64_t now_ms, struct admission_source **known)
{
    const uint64_t now_ns = now_ms * 1000000;
    enum admission_verdict verdict;

    *known = NULL;
    (void)pthread_mutex_lock(&admission->mutex);
    verdict = is_counted(admission, source) ? enter_counted(admission, source, now_ns, known)
                                            : judge_rate(admission, now_ns);
    (void)pthread_mutex_unlock(&admission->mutex);
    return verdict;
}

void admission_leave(struct admission *admission, struct admission_source *known)
{
    if (known == NULL)
        return;
    (void)pthread_mutex_lock(&admission->mutex);
    count_out(admission, known);
    (void)pthread_mutex_unlock(&admission->mutex);
}

static void recount(struct admission *admission, const struct sockaddr *address,
                    struct admission_source **known)
{
    const struct source_key key = source_key_make(address, admission->limits.prefixes);

    if (*known != NULL && source_key_is_equal(&(*known)->key, &key))
        return;
    if (*known != NULL)
        count_out(admission, *known);
    *known = count_in(admission, &key, find(admission, &key));
}

void admission_recount(struct admission *admission, const struct sockaddr *source,
                       struct admission_source **known)
{
    (void)pthread_mutex_lock(&admission->mutex);
    if (is_counted(admission, source))
        recount(admission, source, known);
    (void)pthread_mutex_unlock(&admission->mutex);
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct admission *admission_new(const struct source_seed *seed)
{
    struct admission *admission = calloc(1, sizeof *admission);
    int failure;

    if (admission == NULL)
        return NULL;
    admission->seed = *seed;
    failure = pthread_mutex_init(&admission->mutex, NULL);
    if (failure == 0)
        return admission;
    free(admission);
    errno = failure;
    return NULL;
}

void admission_free(struct admission *admission)
{
    if (admission == NULL)
        return;
    (void)pthread_mutex_destroy(&admission->mutex);
    free(admission->sources);
    free(admission->heads);
    free(admission);
}

int admission_reserve(struct admission *admission)
{
    struct admission_source *sources;
    uint32_t *heads;

    if (admission->sources != NULL)
        return 0;
    sources = calloc(ADMISSION_SOURCES, sizeof *sources);
    heads = calloc(HEADS, sizeof *heads);
    if (sources == NULL || heads == NULL) {
        free(sources);
        free(heads);
        errno = ENOMEM;
        return -1;
    }
    (void)pthread_mutex_lock(&admission->mutex);
    admission->sources = sources;
    admission->heads = heads;
    (void)pthread_mutex_unlock(&admission->mutex);
    return 0;
}
