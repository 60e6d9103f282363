/*
 * target: whom echoprobe speaks to: an address resolved, sockets to it, and what is said first.
 * Sends nothing.
 * Called by start and resolver to resolve, by stream and datagram for sockets.
 */
#ifndef ECHOPROBE_TARGET_H
#define ECHOPROBE_TARGET_H

#include "base/address.h"
#include "base/error.h"
#include "echoprobe/preface.h"
#include "echoprobe/socket_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct tls_setup;

enum { TARGET_ADDRESSES = 8 };

struct target {
    char name[ADDRESS_TEXT_SIZE]; /* as it was asked for */
    bool is_datagram;
    struct socket_plan sockets;  /* what every socket is told */
    struct preface_plan preface; /* what stands before a connection's first byte */
    struct tls_setup *tls;       /* NULL: its connections are plain; not the target's own */
    bool is_identified;          /* it says who it is: a connection begins so, a datagram is that */
    unsigned port;               /* 0: a Unix socket */
    char problem[ERROR_TEXT_SIZE]; /* why the name stands for nothing, as a sentence */
    size_t count; /* of what the name stands for; 0: nothing, where that may change */
    struct {
        struct sockaddr_storage address;
        socklen_t length;
        char text[ADDRESS_TEXT_SIZE];
    } places[TARGET_ADDRESSES]; /* in the order in which to try them */
};

/* Begin a target that is not resolved yet: its name stands for nothing. */
void target_init(struct target *target, const struct address *address);

/* Tell whether a name has to be looked up, which may take long. */
bool target_needs_lookup(const struct address *address);

/*
 * Look up what the name of a target stands for, and put that in the place of what it stood for.
 * Returns as target_resolve does, and where it fails leaves the target as it was.
 */
int target_look_up(struct target *target, const struct address *address, int family,
                   struct error *error) __attribute__((warn_unused_result));

/* Tell whether a target has a place of this text; whether two have the same, in any order. */
bool target_has_place(const struct target *target, const char *text);
bool target_has_same_places(const struct target *target, const struct target *other);

/*
 * Resolve an address; `family` is AF_UNSPEC, AF_INET or AF_INET6. Blocks while names are looked up.
 * Return 0; or -1 with a sentence in `error`, and with errno, ENOMEM if the system lacks memory.
 */
int target_resolve(struct target *target, const struct address *address, int family,
                   struct error *error) __attribute__((warn_unused_result));

/*
 * Return what helps with a refusal of the system's, as a sentence goes on, or "": where echod
 * listens, if nobody does on port 7; what EADDRNOTAVAIL means here; what to do about EMFILE; that a
 * link-local address lacks its interface.
 */
const char *target_hint(const struct target *target, int failure);

/*
 * Where anything is asked of sockets, make one for the first place, and close it: does the system
 * let us have that? Return 0, or -1 with a sentence in `error`.
 */
int target_try_socket(const struct target *target, struct error *error)
    __attribute__((warn_unused_result));

/* Make a non-blocking, close-on-exec socket for a place. The caller's. Return -1 with errno. */
int target_socket(const struct target *target, size_t place) __attribute__((warn_unused_result));

#endif
