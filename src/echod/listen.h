/*
 * listen: the addresses to listen on, each with its options and with where it was written.
 * Opens nothing; sockets does.
 * Called by options and admin_address, which fill lists; read by sockets, kept, store, lookup and
 * main.
 */
#ifndef ECHOD_LISTEN_H
#define ECHOD_LISTEN_H

#include "base/address.h"
#include "base/origin.h"
#include "base/setting.h"
#include "echod/listener_options.h"

enum { LISTEN_OPTIONS_SIZE = 2048 };

/* Plain data. */
struct listen {
    struct address address;
    char options_text[LISTEN_OPTIONS_SIZE]; /* as they were written, without the first comma */
    struct listener_options options;        /* complete once listen_list_resolve was called */
    struct origin origin;
};

/* All zeros: empty. */
struct listen_list {
    struct listen *items; /* owned; NULL while there is room for none */
    size_t count, room;
    bool is_provisional; /* the next one that is added replaces all of these */
    const char *setting; /* whose value it is, for errors; NULL: listen */
};

/*
 * What settings does with a list of the program's: see struct setting_list. `list` is a struct
 * listen_list; a line of it reads "tcp://[::1]:7,idle-timeout=1h".
 */
void listen_list_init(void *list);
int listen_list_add(const char *text, const struct origin *origin, void *list, struct error *error)
    __attribute__((warn_unused_result));
void listen_list_make_provisional(void *list);
const struct origin *listen_list_format(const void *list, size_t index,
                                        char text[SETTING_VALUE_SIZE]);
void listen_list_free(void *list);

/* Tell whether two lists were written alike. */
bool listen_list_is_equal(const struct listen_list *list, const struct listen_list *other);

/* Let a list be a copy of another. Return 0, or -1 with errno ENOMEM, and it is as it was. */
int listen_list_copy(struct listen_list *list, const struct listen_list *other)
    __attribute__((warn_unused_result));

/* Return how many equal addresses stand before one of a list. */
size_t listen_list_occurrence(const struct listen_list *list, size_t index);

/* Give each listener, where its own options say nothing, these. */
void listen_list_resolve(struct listen_list *list, const struct listener_options *defaults);

#endif
