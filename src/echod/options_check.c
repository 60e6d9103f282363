#include <config.h>

#include "echod/options_check.h"

#include "base/http_server.h"
#include "echod/options_table.h"
#include "echod/tls_options.h"

#include <inttypes.h>
#include <string.h>

/* What is checked, and who is told what is wrong with it. */
struct checking {
    const struct options *options;
    options_error_callback *on_error;
    void *argument;
};

/* Begin a sentence about the value of a setting. */
void options_name_value(const char *name, const struct origin *origin, struct error *text)
{
    if (origin->kind == ORIGIN_FILE)
        error_set(text, "%s: %s", origin->place, name);
    else
        error_set(text, "--%s", name);
}

/* Name a setting within a sentence, and where its value came from. */
static void mention_value(const char *name, const struct origin *origin, struct error *text)
{
    if (origin->kind == ORIGIN_FILE)
        error_set(text, "%s (%s)", name, origin->place);
    else
        error_set(text, "--%s%s", name, origin->kind == ORIGIN_DEFAULT ? " (default)" : "");
}

/* Return the exit status for two values that do not fit: a file is to blame if it has one. */
int options_status_of(const struct origin *one, const struct origin *other)
{
    return one->kind == ORIGIN_FILE || other->kind == ORIGIN_FILE ? EXIT_STATUS_CONFIG
                                                                  : EXIT_STATUS_USAGE;
}

int options_worse(int status, int other)
{
    return status > other ? status : other;
}

/* Return what listeners have of the global settings. */
struct listener_options options_listener_defaults(const struct options *options)
{
    struct listener_options defaults = {
        .idle_timeout_ms = options->idle_timeout_ms,
        .lifetime_ms = options->lifetime_ms,
        .write_timeout_ms = options->write_timeout_ms,
        .rate_limit = options->rate_limit,
        .high_water_bytes = options->high_water_bytes,
        .low_water_bytes = options->low_water_bytes,
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .backlog = options->backlog,
        .admission = options->admission,
        .receive_buffer_bytes = options->udp_receive_buffer_bytes,
        .tls = options->tls,
    };

    listener_options_set_defaults(&defaults);
    return defaults;
}

static int check_marks(const struct checking *checking)
{
    const struct options *options = checking->options;
    const struct listener_options marks = options_listener_defaults(options);
    const struct origin *low = options_origin(options, "low-water");
    const struct origin *high = options_origin(options, "high-water");
    struct error low_name = {""}, high_name = {""}, error = {""};

    if (low->is_refused || high->is_refused ||
        listener_options_low_water_bytes(&marks) <= options->high_water_bytes)
        return 0;
    options_name_value("low-water", low, &low_name);
    mention_value("high-water", high, &high_name);
    error_set(&error, "%s: %" PRIu64 " bytes lie above %s, %" PRIu64 " bytes; write less, or auto",
              low_name.text, options->low_water_bytes, high_name.text, options->high_water_bytes);
    checking->on_error(&error, checking->argument);
    return options_status_of(low, high);
}

/* The same for a listener, one of whose marks may be the global one. */
static int check_marks_of(const struct checking *checking, const struct listen *listen)
{
    const struct listener_options *options = &listen->options;
    const struct listener_options defaults = options_listener_defaults(checking->options);
    char address[ADDRESS_TEXT_SIZE];
    struct error name = {""}, error = {""};

    if (listener_options_low_water_bytes(options) <= options->high_water_bytes ||
        listener_options_low_water_bytes(&defaults) > defaults.high_water_bytes)
        return 0;
    address_format(&listen->address, address);
    options_name_value("listen", &listen->origin, &name);
    error_set(&error,
              "%s: %s: low-water, %" PRIu64 " bytes, lies above high-water, %" PRIu64
              " bytes; write low-water=auto, or both",
              name.text, address, options->low_water_bytes, options->high_water_bytes);
    checking->on_error(&error, checking->argument);
    return options_status_of(&listen->origin, &listen->origin);
}

/* Report what is wrong with a listener. Return the exit status. */
static int refuse_listener(const struct checking *checking, const struct listen *listen,
                           const char *sentence)
{
    char address[ADDRESS_TEXT_SIZE];
    struct error name = {""}, error = {""};

    address_format(&listen->address, address);
    options_name_value("listen", &listen->origin, &name);
    error_set(&error, "%s: %s: %s", name.text, address, sentence);
    checking->on_error(&error, checking->argument);
    return options_status_of(&listen->origin, &listen->origin);
}

/* Check that nobody is named who may send a header that nobody may send. */
static int check_proxy(const struct checking *checking, const struct listen *listen)
{
    if (listen->options.proxy != LISTENER_PROXY_OFF ||
        !listener_options_has(&listen->options, "proxy-from"))
        return 0;
    return refuse_listener(checking, listen,
                           "proxy-from goes with proxy=v1, proxy=v2 or proxy=any");
}

/* Check that there is what a listener needs that speaks TLS; its files are read later. */
static int check_tls(const struct checking *checking, const struct listen *listen)
{
    const struct tls_options *tls = &listen->options.tls;
    const size_t key_count = tls_list_count(tls->key);

    if (!listen->address.is_tls)
        return 0;
#ifndef HAVE_OPENSSL
    return refuse_listener(checking, listen,
                           "this echod was built without OpenSSL, and speaks no TLS; install one "
                           "that does, or listen without TLS");
#endif
    if (tls->cert[0] == '\0')
        return refuse_listener(checking, listen,
                               "it has no certificate; add cert=FILE,key=FILE, or cert=FILE with a "
                               "file that holds both");
    if (key_count > 0 && key_count != tls_list_count(tls->cert))
        return refuse_listener(checking, listen,
                               "there are not as many keys as certificates; name one key for each, "
                               "in the same order, or none where each certificate's file has it");
    if (tls->client_ca[0] == '\0' && tls->client_auth > TLS_CLIENT_AUTH_OFF)
        return refuse_listener(checking, listen,
                               "client-auth goes with client-ca, which says whose certificates are "
                               "right; add client-ca=FILE");
    return 0;
}

/* Check that what a listener does wrong fits together. */
static int check_impair(const struct checking *checking, const struct listen *listen)
{
    const struct listener_options *options = &listen->options;
    const bool is_endless = options->idle_timeout_ms == 0 && options->lifetime_ms == 0;
    const char *conflict = impair_find_conflict(&options->impair, is_endless);

    return conflict == NULL ? 0 : refuse_listener(checking, listen, conflict);
}

/* A user whom the system does not know has no group that could be found out. */
static int check_user(const struct checking *checking)
{
    const struct options *options = checking->options;
    const struct origin *origin = options_origin(options, "user");
    struct error name = {""}, error = {""};

    if (origin->is_refused || !options->user.is_given || options->user.is_known ||
        options->group.is_given)
        return 0;
    options_name_value("user", origin, &name);
    error_set(&error, "%s: this system does not know %lu, and so not his group; add --group",
              name.text, (unsigned long)options->user.uid);
    checking->on_error(&error, checking->argument);
    return options_status_of(origin, origin);
}

/*
 * Standard input and output are descriptors 0 and 1, and systemd:// is every socket that systemd
 * passed, whatever its name; a descriptor can be served once.
 */
static bool is_same_descriptor(const struct address *address, const struct address *other)
{
    if (address->scheme == ADDRESS_STDIO)
        return other->scheme == ADDRESS_STDIO || (other->scheme == ADDRESS_FD && other->fd <= 1);
    if (other->scheme == ADDRESS_STDIO)
        return is_same_descriptor(other, address);
    if (address->scheme == ADDRESS_SYSTEMD && other->scheme == ADDRESS_SYSTEMD)
        return address->name[0] == '\0' || other->name[0] == '\0' ||
               strcmp(address->name, other->name) == 0;
    return address->scheme == ADDRESS_FD && other->scheme == ADDRESS_FD && address->fd == other->fd;
}

/* Tell whether two addresses differ at most in whether they speak TLS. */
static bool is_equal_beneath_tls(const struct address *address, const struct address *other)
{
    struct address beneath = *address;

    beneath.is_tls = other->is_tls;
    return address_is_equal(&beneath, other);
}

/* Tell whether only one of them can be served; of port 0 the system chooses another each time. */
static bool is_same_place(const struct address *address, const struct address *other)
{
    if (address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UDP)
        return address->port != 0 && is_equal_beneath_tls(address, other);
    return is_same_descriptor(address, other) || is_equal_beneath_tls(address, other);
}

/*
 * Check that an address of a setting is none of the first `count` of another, or of the same.
 */
static int check_address(const struct checking *checking, const char *name,
                         const struct listen *listen, const char *other_name,
                         const struct listen *others, size_t count)
{
    char text[ADDRESS_TEXT_SIZE];
    struct error this = {""}, other = {""}, error = {""};

    for (size_t i = 0; i < count; i++) {
        if (!is_same_place(&listen->address, &others[i].address))
            continue;
        address_format(&listen->address, text);
        options_name_value(name, &listen->origin, &this);
        mention_value(other_name, &others[i].origin, &other);
        error_set(&error, "%s: %s is served already by another %s; give it once", this.text, text,
                  other.text);
        checking->on_error(&error, checking->argument);
        return options_status_of(&listen->origin, &others[i].origin);
    }
    return 0;
}

/* Check that no address of operators is one of a listener's, or another of theirs. */
static int check_admin_addresses(const struct checking *checking)
{
    const struct listen_list *admins = &checking->options->admin;
    const struct listen_list *listens = &checking->options->listen;
    int status = 0;

    for (size_t i = 0; i < admins->count; i++) {
        const struct listen *admin = &admins->items[i];

        status = options_worse(status, check_address(checking, "admin", admin, "listen",
                                                     listens->items, listens->count));
        status = options_worse(status,
                               check_address(checking, "admin", admin, "admin", admins->items, i));
    }
    return status;
}

/* Check that this echod can answer operators where it was asked to. */
static int check_admin(const struct checking *checking)
{
    const struct listen_list *list = &checking->options->admin;
    struct error name = {""}, error = {""};

    if (list->count == 0 || http_server_is_available())
        return check_admin_addresses(checking);
    options_name_value("admin", &list->items[0].origin, &name);
    error_set(
        &error,
        "%s: this echod was built without libmicrohttpd, and answers no operator; install one "
        "that does, or leave it out",
        name.text);
    checking->on_error(&error, checking->argument);
    return options_status_of(&list->items[0].origin, &list->items[0].origin);
}

/* Check that no listener before it has the name of this one. */
static int check_name(const struct checking *checking, size_t index)
{
    const struct listen *items = checking->options->listen.items;
    const char *name = items[index].options.name;
    struct error this = {""}, other = {""}, error = {""};

    for (size_t i = 0; i < index && name[0] != '\0'; i++) {
        if (strcmp(name, items[i].options.name) != 0)
            continue;
        options_name_value("listen", &items[index].origin, &this);
        mention_value("listen", &items[i].origin, &other);
        error_set(&error, "%s: name=%s is another %s's already; choose another name", this.text,
                  name, other.text);
        checking->on_error(&error, checking->argument);
        return options_status_of(&items[index].origin, &items[i].origin);
    }
    return 0;
}

/* Check that the values fit together. Return 0, or the exit status after a report. */
int options_check(const struct options *options, options_error_callback *on_error, void *argument)
{
    const struct checking checking = {options, on_error, argument};
    const struct listen_list *list = &options->listen;
    int status = options_worse(check_marks(&checking), check_user(&checking));

    status = options_worse(status, check_admin(&checking));
    for (size_t i = 0; i < list->count; i++) {
        status = options_worse(
            status, check_address(&checking, "listen", &list->items[i], "listen", list->items, i));
        status = options_worse(status, check_marks_of(&checking, &list->items[i]));
        status = options_worse(status, check_proxy(&checking, &list->items[i]));
        status = options_worse(status, check_impair(&checking, &list->items[i]));
        status = options_worse(status, check_tls(&checking, &list->items[i]));
        status = options_worse(status, check_name(&checking, i));
    }
    return status;
}
