#include <config.h>

#include "echod/names.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct name {
    struct address address;
    int status;             /* of getaddrinfo */
    struct addrinfo *found; /* NULL once somebody has it */
};

/* Owned by the caller and the thread together; the last of them frees it. */
struct names {
    pthread_mutex_t mutex; /* guards what follows up to the list */
    bool is_abandoned;     /* the caller has freed it */
    bool is_over;          /* the thread is done */
    names_callback *on_found;
    void *argument;
    size_t count;
    struct name list[];
};

static int look_up(const struct address *address, struct addrinfo **found)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | AI_PASSIVE,
    };
    char port[sizeof "65535"];

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    return getaddrinfo(address->host, port, &hints, found);
}

static void destroy(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->list[i].found != NULL)
            freeaddrinfo(names->list[i].found);
    }
    (void)pthread_mutex_destroy(&names->mutex);
    free(names);
}

static void *run(void *argument)
{
    struct names *names = argument;
    bool is_abandoned;

    for (size_t i = 0; i < names->count; i++)
        names->list[i].status = look_up(&names->list[i].address, &names->list[i].found);
    pthread_mutex_lock(&names->mutex);
    names->is_over = true;
    is_abandoned = names->is_abandoned;
    if (!is_abandoned)
        names->on_found(names->argument);
    pthread_mutex_unlock(&names->mutex);
    if (is_abandoned)
        destroy(names);
    return NULL;
}

/* Start the thread, which nobody waits for; signals are for others. */
static int start(struct names *names)
{
    sigset_t all, before;
    pthread_t thread;
    int failure;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, NULL, run, names);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0)
        failure = pthread_detach(thread);
    return failure;
}

struct names *names_look_up(const struct listen_list *addresses, names_callback *on_found,
                            void *argument)
{
    struct names *names = calloc(1, sizeof *names + addresses->count * sizeof(struct name));
    int failure;

    if (names == NULL)
        return NULL;
    (void)pthread_mutex_init(&names->mutex, NULL);
    names->on_found = on_found;
    names->argument = argument;
    for (size_t i = 0; i < addresses->count; i++) {
        if (addresses->items[i].address.scheme == ADDRESS_TCP)
            names->list[names->count++].address = addresses->items[i].address;
    }
    failure = start(names);
    if (failure == 0)
        return names;
    destroy(names);
    errno = failure;
    return NULL;
}

void names_free(struct names *names)
{
    bool is_over;

    if (names == NULL)
        return;
    pthread_mutex_lock(&names->mutex);
    names->is_abandoned = true;
    is_over = names->is_over;
    pthread_mutex_unlock(&names->mutex);
    if (is_over)
        destroy(names);
}

int names_find(struct names *names, const struct address *address, struct addrinfo **found)
{
    for (size_t i = 0; names != NULL && i < names->count; i++) {
        struct name *name = &names->list[i];

        if (!address_is_equal(&name->address, address) ||
            (name->status == 0 && name->found == NULL))
            continue;
        *found = name->found;
        name->found = NULL;
        return name->status;
    }
    return look_up(address, found);
}
