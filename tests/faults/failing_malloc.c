/*
 * failing_malloc: a library for LD_PRELOAD that lets chosen allocations fail, as without memory.
 * Chooses nothing itself: a test writes into a file, shared in memory, which of them fail.
 * Loaded into the programs under test by tests/system/failing_malloc.py, which knows the same file.
 */
#include <config.h>

#include "plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bufferevent;
struct event_base;
struct ssl_st;

/* The file, named by the environment variable FAILING_MALLOC. All numbers count from 1. */
struct plan {
    _Atomic uint64_t count;  /* allocations since the test set it to 0 */
    _Atomic uint64_t first;  /* the first that fails; 0: none does */
    _Atomic uint64_t last;   /* the last that fails */
    _Atomic uint64_t failed; /* how many have failed */
};

static struct plan *plan;

/* Called before main; what is allocated before that neither counts nor fails. */
__attribute__((constructor)) static void find_plan(void)
{
    plan = plan_map("FAILING_MALLOC", sizeof *plan);
}

static _Thread_local bool is_exempt;

/* Count an allocation, and tell whether it fails. */
static bool fails(void)
{
    uint64_t number;

    if (plan == NULL || is_exempt)
        return false;
    number = atomic_fetch_add(&plan->count, 1) + 1;
    if (number < atomic_load(&plan->first) || number > atomic_load(&plan->last) ||
        atomic_load(&plan->first) == 0)
        return false;
    (void)atomic_fetch_add(&plan->failed, 1);
    errno = ENOMEM;
    return true;
}

/* Find the function that a name had without this library; ISO C has no cast for it. */
static void find(const char *name, void *function)
{
    void *const symbol = dlsym(RTLD_NEXT, name);

    memcpy(function, &symbol, sizeof symbol);
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);

    if (next == NULL)
        find("malloc", &next);
    return fails() ? NULL : next(size);
}

void *calloc(size_t nmemb, size_t size)
{
    static void *(*next)(size_t, size_t);

    if (next == NULL)
        find("calloc", &next);
    return fails() ? NULL : next(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    static void *(*next)(void *, size_t);

    if (next == NULL)
        find("realloc", &next);
    return fails() ? NULL : next(ptr, size);
}

/* libevent 2.1.12 crashes where memory lacks for one of these, and none of its callers can help it.
 */
struct bufferevent *bufferevent_openssl_socket_new(struct event_base *base, int fd,
                                                   struct ssl_st *ssl, int state, int options);

struct bufferevent *bufferevent_openssl_socket_new(struct event_base *base, int fd,
                                                   struct ssl_st *ssl, int state, int options)
{
    static struct bufferevent *(*next)(struct event_base *, int, struct ssl_st *, int, int);
    struct bufferevent *made;

    if (next == NULL)
        find("bufferevent_openssl_socket_new", &next);
    is_exempt = true;
    made = next(base, fd, ssl, state, options);
    is_exempt = false;
    return made;
}

int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    static int (*next)(void **, size_t, size_t);

    if (next == NULL)
        find("posix_memalign", &next);
    return fails() ? ENOMEM : next(memptr, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    static void *(*next)(size_t, size_t);

    if (next == NULL)
        find("aligned_alloc", &next);
    return fails() ? NULL : next(alignment, size);
}
