#include <config.h>

#include "echod/admin_address.h"

#include "echod/listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define OPTIONS "mode, owner and group of a Unix socket, v6only, device, mark and freebind of TCP"

/* The options of a listener that say something about its socket alone. */
static const char *const known[] = {"mode",   "owner", "group",    "v6only",
                                    "device", "mark",  "freebind", NULL};

/* Return how many of these options an address has. */
static size_t count_known(const struct listener_options *options)
{
    size_t count = 0;

    for (size_t i = 0; known[i] != NULL; i++)
        count += listener_options_has(options, known[i]);
    return count;
}

/* Tell whether an address has other options than these. */
static bool has_other_options(const struct listener_options *options)
{
    size_t given = 0;

    for (uint64_t bits = options->given; bits != 0; bits &= bits - 1)
        given++;
    return given > count_known(options);
}

/* Return what is wrong with an address, or NULL. */
static const char *find_fault(const struct listen *listen)
{
    const struct address *address = &listen->address;

    if (address->is_tls || (address->scheme != ADDRESS_TCP && address->scheme != ADDRESS_UNIX))
        return "operators are answered at tcp://HOST:PORT, HOST:PORT and unix:///PATH; write one "
               "of these";
    if (address->scheme == ADDRESS_UNIX && address_is_abstract(address))
        return "an abstract name has no permissions, which say who may act; write unix:///PATH";
    return has_other_options(&listen->options) ? "its options are: " OPTIONS : NULL;
}

static void set_defaults(struct listener_options *options)
{
    struct listener_options defaults = {.backlog = ADMIN_ADDRESS_BACKLOG};

    listener_options_set_defaults(&defaults);
    defaults.mode = ADMIN_ADDRESS_MODE;
    listener_options_inherit(options, &defaults);
}

void admin_address_init(void *list)
{
    listen_list_init(list);
    ((struct listen_list *)list)->setting = "admin";
}

int admin_address_add(const char *text, const struct origin *origin, void *list,
                      struct error *error)
{
    struct listen_list *admins = list;
    const char *fault;

    if (listen_list_add(text, origin, list, error) < 0)
        return -1;
    fault = find_fault(&admins->items[admins->count - 1]);
    if (fault != NULL) {
        admins->count--;
        error_set(error, "\"%s\": %s", text, fault);
        errno = EINVAL;
        return -1;
    }
    set_defaults(&admins->items[admins->count - 1].options);
    return 0;
}
