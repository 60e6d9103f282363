#include <config.h>

#include "echod/sockets.h"

#include "base/descriptor.h"
#include "echod/inet.h"
#include "echod/inherited.h"
#include "echod/kept.h"
#include "echod/tls_context.h"
#include "echod/unix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Put in front of a sentence about an address where that was asked for. */
static void locate(const struct listen_list *addresses, size_t index, const struct error *cause,
                   struct error *error)
{
    const char *setting = addresses->setting == NULL ? "listen" : addresses->setting;
    const struct origin *origin = &addresses->items[index].origin;

    if (origin->kind == ORIGIN_FILE)
        error_set(error, "%s: %s %s", origin->place, setting, cause->text);
    else
        error_set(error, "--%s %s", setting, cause->text);
}

/* --- The list -------------------------------------------------------------------------------- */

static int open_address(struct sockets *sockets, const struct listen_list *addresses, size_t index,
                        struct lookup *lookup, const struct passed *passed, struct log *log,
                        struct error *error)
{
    struct endpoint_list *list = &sockets->endpoints;
    const struct listen *listen = &addresses->items[index];
    const struct address *address = &listen->address;
    const struct kept kept = kept_for(passed, addresses, index);
    char name[ADDRESS_TEXT_SIZE];

    address_format(address, name);
    switch (address->scheme) {
    case ADDRESS_TCP:
    case ADDRESS_UDP:
        return inet_open(list, listen, name, &kept, lookup, log, error);
    case ADDRESS_UNIX:
        return unix_open(list, listen, name, &kept, error);
    case ADDRESS_FD:
        return inherited_take_fd(list, passed, address->fd, name, error);
    case ADDRESS_SYSTEMD:
        return inherited_take_systemd(list, passed, address, error);
    case ADDRESS_STDIO:
        return standard_take(&sockets->standard, list, name, error);
    }
    abort(); /* no such scheme */
}

static bool is_passed(const struct address *address)
{
    return address->scheme == ADDRESS_FD || address->scheme == ADDRESS_SYSTEMD ||
           address->scheme == ADDRESS_STDIO;
}

/* Tell whether an endpoint was opened for an address of a list. */
static bool is_endpoint_of(const struct endpoint *endpoint, const struct listen_list *addresses,
                           size_t index)
{
    return address_is_equal(&endpoint->address, &addresses->items[index].address) &&
           endpoint->occurrence == listen_list_occurrence(addresses, index);
}

/* Tell whether one of the first `count` endpoints serves an address of a list, and stays. */
static bool is_open(const struct sockets *sockets, size_t count,
                    const struct listen_list *addresses, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (!sockets->endpoints.items[i].is_leaving &&
            is_endpoint_of(&sockets->endpoints.items[i], addresses, index))
            return true;
    }
    return false;
}

/* Return what a listener was told that no endpoint of this kind can do, or NULL. */
static const char *find_misfit(const struct endpoint *endpoint,
                               const struct listener_options *options)
{
    if (endpoint->kind != ENDPOINT_DATAGRAM)
        return impair_has_datagram_faults(&options->impair)
                   ? "drop, duplicate, reorder and truncate go with datagrams, and this one is a "
                     "stream socket"
                   : NULL;
    if (endpoint->address.is_tls)
        return "TLS goes with stream sockets, and this one has datagrams";
    if (options->proxy != LISTENER_PROXY_OFF)
        return "proxy goes with stream sockets, and this one has datagrams";
    return impair_has_stream_faults(&options->impair)
               ? "bandwidth, chunk, stall-after, close-after, reset-after, truncate-fin, "
                 "accept-delay and refuse go with stream sockets, and this one has datagrams"
               : NULL;
}

/* Refuse it, where its scheme does not tell which kind it is. */
static int check_kind(const struct endpoint *endpoint, const struct listen *listen,
                      struct error *error)
{
    const char *misfit = find_misfit(endpoint, &listen->options);

    if (misfit == NULL)
        return 0;
    error_set(error, "%s: %s; leave it out", endpoint->name, misfit);
    return -1;
}

/*
 * Make what the connections of a listener share that speaks TLS: an address has one context,
 * whatever endpoints it gives. Of another listener it is NULL. Return 0, or -1 with a sentence.
 */
static int make_tls(const struct listen *listen, struct tls_context **tls, struct error *error)
{
    struct error cause = {""};
    char name[ADDRESS_TEXT_SIZE];

    *tls = listen->address.is_tls ? tls_context_new(&listen->options, &cause) : NULL;
    if (*tls != NULL || !listen->address.is_tls)
        return 0;
    address_format(&listen->address, name);
    error_set(error, "%s: %s", name, cause.text);
    return -1;
}

/* Give those of the first `count` endpoints that serve an address already its next context. */
static int change_open(struct sockets *sockets, size_t count, const struct listen_list *addresses,
                       size_t index, struct error *error)
{
    struct tls_context *tls;
    int status = make_tls(&addresses->items[index], &tls, error);

    for (size_t i = 0; i < count && status == 0; i++) {
        struct endpoint *endpoint = &sockets->endpoints.items[i];

        if (!is_endpoint_of(endpoint, addresses, index))
            continue;
        status = check_kind(endpoint, &addresses->items[index], error);
        endpoint_set_next_tls(endpoint, tls);
    }
    tls_context_unref(tls);
    return status;
}

/* Note which address of a list the endpoints from the `before`-th on are for, and its options. */
static int note_listed(struct sockets *sockets, size_t before, const struct listen_list *addresses,
                       size_t index, struct tls_context *tls, struct error *error)
{
    const struct listen *listen = &addresses->items[index];

    for (size_t i = before; i < sockets->endpoints.count; i++) {
        struct endpoint *endpoint = &sockets->endpoints.items[i];

        endpoint->address = listen->address;
        endpoint->occurrence = listen_list_occurrence(addresses, index);
        endpoint->next_options = listen->options;
        endpoint_set_next_tls(endpoint, tls);
        endpoint_take_next(endpoint);
        if (check_kind(endpoint, listen, error) < 0)
            return -1;
    }
    return 0;
}

/* Open an address of a list. */
static int open_listed(struct sockets *sockets, const struct listen_list *addresses, size_t index,
                       struct lookup *lookup, const struct passed *passed, struct log *log,
                       struct error *error)
{
    const size_t before = sockets->endpoints.count;
    struct tls_context *tls;
    int status = make_tls(&addresses->items[index], &tls, error);

    if (status == 0)
        status = open_address(sockets, addresses, index, lookup, passed, log, error);
    if (status == 0)
        status = note_listed(sockets, before, addresses, index, tls, error);
    tls_context_unref(tls);
    return status;
}

/* Say what is wrong with an address of a list. */
static void report(const struct listen_list *addresses, size_t index, const struct error *cause,
                   sockets_error_callback *on_error, void *argument)
{
    struct error error = {""};

    locate(addresses, index, cause, &error);
    on_error(&error, argument);
}

/* Open those addresses that were passed, or those that were not. Report all that fail. */
static int open_addresses(struct sockets *sockets, const struct listen_list *addresses,
                          bool are_passed, const struct passed *passed, struct log *log,
                          sockets_error_callback *on_error, void *argument)
{
    int status = 0;

    for (size_t i = 0; i < addresses->count; i++) {
        struct error cause = {""};

        if (is_passed(&addresses->items[i].address) != are_passed ||
            open_listed(sockets, addresses, i, NULL, passed, log, &cause) == 0)
            continue;
        report(addresses, i, &cause, on_error, argument);
        status = -1;
    }
    return status;
}

int sockets_open(struct sockets *sockets, const struct listen_list *addresses, size_t worker_count,
                 const struct passed *passed, struct log *log, sockets_error_callback *on_error,
                 void *argument)
{
    int status;

    *sockets = (struct sockets){.endpoints.worker_count = worker_count};
    /* What was passed comes first, while no descriptor is our own that could be taken for it. */
    status = open_addresses(sockets, addresses, true, passed, log, on_error, argument);
    if (open_addresses(sockets, addresses, false, passed, log, on_error, argument) < 0)
        status = -1;
    if (status < 0)
        sockets_close(sockets);
    return status;
}

/* What a listener was told of its owner counts more. */
static int hand_over(const struct endpoint *endpoint, uid_t uid, gid_t gid)
{
    const struct listener_options *options = &endpoint->options;

    return unix_change_owner(endpoint, options->owner.is_given ? (uid_t)-1 : uid,
                             options->group.is_given ? (gid_t)-1 : gid);
}

void sockets_hand_over(const struct sockets *sockets, uid_t uid, gid_t gid, struct log *log)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &sockets->endpoints.items[i];
        const struct log_field fact = endpoint_fact(endpoint);

        if (endpoint->bound_path[0] != '\0' && hand_over(endpoint, uid, gid) < 0)
            log_write_fields(log, LOG_LEVEL_WARNING, &fact, 1, "%s stays with its owner: %s",
                             endpoint->name, strerror(errno));
    }
}

int sockets_check_paths(const struct sockets *sockets, struct error *error)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &sockets->endpoints.items[i];

        if (!endpoint_has_lost_path(endpoint))
            continue;
        error_set(error,
                  "--chroot: %s has another path inside, or none; choose one that is the same "
                  "there, by a link: echod(8), --chroot",
                  endpoint->name);
        return -1;
    }
    return 0;
}

/* Open an address that was not there when echod started. */
static int open_late(struct sockets *sockets, const struct listen_list *addresses, size_t index,
                     struct lookup *lookup, struct log *log, struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];

    if (!is_passed(&addresses->items[index].address))
        return open_listed(sockets, addresses, index, lookup, NULL, log, error);
    address_format(&addresses->items[index].address, name);
    error_set(error, "%s: it can be passed at the start only; restart echod for it", name);
    return -1;
}

/* Return what asks for an endpoint, or NULL. */
static const struct listen *find_listen(const struct endpoint *endpoint,
                                        const struct listen_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (is_endpoint_of(endpoint, addresses, i))
            return &addresses->items[i];
    }
    return NULL;
}

/* Note whether an endpoint stays, and with which options. */
static void begin_change(struct endpoint *endpoint, const struct listen_list *addresses)
{
    const struct listen *listen = find_listen(endpoint, addresses);

    if (endpoint->kind == ENDPOINT_CLIENT)
        return;
    endpoint->is_leaving = listen == NULL || endpoint_has_lost_path(endpoint);
    if (!endpoint->is_leaving)
        endpoint->next_options = listen->options;
}

/* An endpoint stays: with its next options, or with those that it had. */
static void end_change(struct endpoint *endpoint, bool is_done)
{
    if (is_done)
        endpoint_take_next(endpoint);
    else
        endpoint_drop_next(endpoint);
    endpoint->is_leaving = false;
}

/* Close the endpoints behind the first `before`, which all stay. */
static void undo_change(struct sockets *sockets, size_t before)
{
    for (size_t i = 0; i < before; i++)
        end_change(&sockets->endpoints.items[i], false);
    endpoint_list_close_from(&sockets->endpoints, before);
}

int sockets_change(struct sockets *sockets, const struct listen_list *addresses,
                   struct lookup *lookup, struct log *log, sockets_error_callback *on_error,
                   void *argument)
{
    const size_t before = sockets->endpoints.count;
    int status = 0;

    for (size_t i = 0; i < before; i++)
        begin_change(&sockets->endpoints.items[i], addresses);
    for (size_t i = 0; i < addresses->count; i++) {
        struct error cause = {""};

        if (is_open(sockets, before, addresses, i)
                ? change_open(sockets, before, addresses, i, &cause) == 0
                : open_late(sockets, addresses, i, lookup, log, &cause) == 0)
            continue;
        report(addresses, i, &cause, on_error, argument);
        status = -1;
    }
    if (status < 0)
        undo_change(sockets, before);
    return status;
}

void sockets_undo_change(struct sockets *sockets, unsigned long first_new_number)
{
    size_t before = 0;

    while (before < sockets->endpoints.count &&
           sockets->endpoints.items[before].number < first_new_number)
        before++;
    undo_change(sockets, before);
}

size_t sockets_count_staying(const struct sockets *sockets)
{
    size_t count = 0;

    for (size_t i = 0; i < sockets->endpoints.count; i++)
        count += !sockets->endpoints.items[i].is_leaving;
    return count;
}

void sockets_remove_paths(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++)
        endpoint_remove_path(&sockets->endpoints.items[i]);
}

void sockets_remove_leaving_paths(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        if (sockets->endpoints.items[i].is_leaving)
            endpoint_remove_path(&sockets->endpoints.items[i]);
    }
}

void sockets_finish_change(struct sockets *sockets)
{
    endpoint_list_close_leaving(&sockets->endpoints);
    for (size_t i = 0; i < sockets->endpoints.count; i++)
        end_change(&sockets->endpoints.items[i], true);
}

void sockets_close(struct sockets *sockets)
{
    endpoint_list_close_from(&sockets->endpoints, 0);
    free(sockets->endpoints.items);
    standard_give_back(&sockets->standard);
    *sockets = (struct sockets){0};
}

int sockets_check(const struct listen_list *addresses, size_t index, struct error *error)
{
    const struct address *address = &addresses->items[index].address;
    char name[ADDRESS_TEXT_SIZE];
    struct error cause = {""};
    int status = 0;

    address_format(address, name);
    if (address->scheme == ADDRESS_UNIX)
        status = unix_check(&addresses->items[index], name, &cause);
    else if (address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UDP)
        status = inet_check(address, name, &cause);
    if (status < 0)
        locate(addresses, index, &cause, error);
    return status;
}

int sockets_make_tls(const struct listen_list *addresses, size_t index, struct tls_context **tls,
                     struct error *error)
{
    struct error cause = {""};
    const int status = make_tls(&addresses->items[index], tls, &cause);

    if (status < 0)
        locate(addresses, index, &cause, error);
    return status;
}

bool sockets_include_standard_error(const struct listen_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        const struct address *address = &addresses->items[i].address;

        if (address->scheme == ADDRESS_FD && descriptor_is_same_socket(address->fd, STDERR_FILENO))
            return true;
        if (address->scheme == ADDRESS_STDIO &&
            (descriptor_is_same_socket(STDIN_FILENO, STDERR_FILENO) ||
             descriptor_is_same_socket(STDOUT_FILENO, STDERR_FILENO)))
            return true;
    }
    return false;
}
