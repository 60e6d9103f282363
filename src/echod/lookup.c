#include <config.h>

#include "echod/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct name {
    struct address address;
    int status;             /* of getaddrinfo */
    struct addrinfo *found; /* NULL once somebody has it */
};

/* Owned by the caller and the thread together; the last of them frees it. */
struct lookup {
    pthread_mutex_t mutex; /* guards what follows up to the list */
    bool is_abandoned;     /* the caller has freed it */
    bool is_over;          /* the thread is done */
    lookup_callback *on_found;
    void *argument;
    size_t count;
    struct name list[];
};

static int look_up(const struct address *address, struct addrinfo **found)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = address->scheme == ADDRESS_UDP ? SOCK_DGRAM : SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | AI_PASSIVE,
    };
    char port[sizeof "65535"];

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    return getaddrinfo(address->host, port, &hints, found);
}

static void destroy(struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++) {
        if (lookup->list[i].found != NULL)
            freeaddrinfo(lookup->list[i].found);
    }
    (void)pthread_mutex_destroy(&lookup->mutex);
    free(lookup);
}

static void *run(void *argument)
{
    struct lookup *lookup = argument;
    bool is_abandoned;

    for (size_t i = 0; i < lookup->count; i++)
        lookup->list[i].status = look_up(&lookup->list[i].address, &lookup->list[i].found);
    pthread_mutex_lock(&lookup->mutex);
    lookup->is_over = true;
    is_abandoned = lookup->is_abandoned;
    if (!is_abandoned)
        lookup->on_found(lookup->argument);
    pthread_mutex_unlock(&lookup->mutex);
    if (is_abandoned)
        destroy(lookup);
    return NULL;
}

/* Start the thread, which nobody waits for; signals are for others. */
static int start(struct lookup *lookup)
{
    sigset_t all, before;
    pthread_t thread;
    int failure;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, NULL, run, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0)
        failure = pthread_detach(thread);
    return failure;
}

struct lookup *lookup_start(const struct listen_list *addresses, lookup_callback *on_found,
                            void *argument)
{
    struct lookup *lookup = calloc(1, sizeof *lookup + addresses->count * sizeof(struct name));
    int failure;

    if (lookup == NULL)
        return NULL;
    (void)pthread_mutex_init(&lookup->mutex, NULL);
    lookup->on_found = on_found;
    lookup->argument = argument;
    for (size_t i = 0; i < addresses->count; i++) {
        const struct address *address = &addresses->items[i].address;

        if (address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UDP)
            lookup->list[lookup->count++].address = *address;
    }
    failure = start(lookup);
    if (failure == 0)
        return lookup;
    destroy(lookup);
    errno = failure;
    return NULL;
}

bool lookup_is_over(struct lookup *lookup)
{
    bool is_over;

    pthread_mutex_lock(&lookup->mutex);
    is_over = lookup->is_over;
    pthread_mutex_unlock(&lookup->mutex);
    return is_over;
}

void lookup_free(struct lookup *lookup)
{
    bool is_over;

    if (lookup == NULL)
        return;
    pthread_mutex_lock(&lookup->mutex);
    lookup->is_abandoned = true;
    is_over = lookup->is_over;
    pthread_mutex_unlock(&lookup->mutex);
    if (is_over)
        destroy(lookup);
}

int lookup_find(struct lookup *lookup, const struct address *address, struct addrinfo **found)
{
    for (size_t i = 0; lookup != NULL && i < lookup->count; i++) {
        struct name *name = &lookup->list[i];

        if (!address_is_equal(&name->address, address) ||
            (name->status == 0 && name->found == NULL))
            continue;
        *found = name->found;
        name->found = NULL;
        return name->status;
    }
    return look_up(address, found);
}
