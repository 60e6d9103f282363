#include <config.h>

#include "echoprobe/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[BACKENDS_NAMES] = {"host", "pod", "supervisor_process", "local"};

static int compare_names(const struct backend *one, const struct backend *other)
{
    for (size_t i = 0; i < BACKENDS_NAMES; i++) {
        const int order = strcmp(one->names[i].text, other->names[i].text);

        if (order != 0)
            return order;
    }
    return 0;
}

/* Return where a backend is counted, or NULL if there is no room for another one. */
static struct backend *find(struct backends *backends, const struct backend *wanted)
{
    size_t i = 0;

    while (i < backends->count && compare_names(&backends->items[i], wanted) != 0)
        i++;
    if (i == BACKENDS_LIMIT)
        return NULL;
    if (i == backends->count)
        backends->items[backends->count++] = *wanted;
    return &backends->items[i];
}

void backends_add(struct backends *backends, const char *identity)
{
    struct backend wanted = {.count = 0}, *backend;

    for (size_t i = 0; i < BACKENDS_NAMES; i++)
        wanted.names[i].name = names[i];
    if (identity_read(identity, wanted.names, BACKENDS_NAMES) < 0)
        return;
    if (backends->total++ == 0)
        (void)snprintf(backends->first, sizeof backends->first, "%s", identity);
    backend = find(backends, &wanted);
    if (backend == NULL)
        backends->others++;
    else
        backend->count++;
}

static int compare(const void *left, const void *right)
{
    const struct backend *one = left, *other = right;

    if (one->count != other->count)
        return one->count > other->count ? -1 : 1;
    return compare_names(one, other);
}

void backends_sort(struct backends *backends)
{
    qsort(backends->items, backends->count, sizeof backends->items[0], compare);
}
