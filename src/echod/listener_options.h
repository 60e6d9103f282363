/*
 * listener_options: what a listener may be told beside its address.
 * Opens nothing, and knows no global setting but by the defaults that it is handed.
 * Called by listen, which reads them; the plain data goes on to sockets, worker and connection.
 */
#ifndef ECHOD_LISTENER_OPTIONS_H
#define ECHOD_LISTENER_OPTIONS_H

#include "base/address.h"
#include "base/error.h"
#include "base/network.h"
#include "echod/admission_options.h"
#include "echod/impair.h"
#include "echod/privileges.h"
#include "echod/tls_options.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    LISTENER_NAME_SIZE = 64,
    LISTENER_ANY_MODE = -1, /* that which the process's umask leaves */
};

/* Which lines about connections are written; warnings and errors always are. */
enum listener_log { LISTENER_LOG_OFF, LISTENER_LOG_CLOSED, LISTENER_LOG_ALL };

/* Plain data, and no pointer in it: it may be copied. A duration of 0 ms means "never". */
struct listener_options {
    uint64_t given; /* which of them the address has, as bits; the others are defaults */

    char name[LISTENER_NAME_SIZE]; /* for the log and the totals; empty: none */
    unsigned log;                  /* enum listener_log */

    /* Connections. */
    unsigned proxy;                 /* enum listener_proxy */
    struct network_list proxy_from; /* empty: anybody */
    uint64_t handshake_timeout_ms;
    unsigned identify; /* enum listener_identify */
    uint64_t idle_timeout_ms;
    uint64_t lifetime_ms;
    uint64_t write_timeout_ms;
    uint64_t high_water_bytes;
    uint64_t low_water_bytes;  /* SETTING_AUTO: see listener_options_low_water_bytes */
    uint64_t rate_limit;       /* bytes a second of each connection; 0: no limit */
    uint64_t rate_limit_total; /* of all of this listener */
    uint64_t max_connections;  /* of this listener; SETTING_AUTO: only the global limit counts */

    struct admission_options admission; /* who may come in */
    struct tls_options tls;             /* of one that speaks TLS */

    /* Sockets. */
    uint64_t backlog;
    uint64_t keepalive_ms;    /* silence before the first keep-alive probe; 0: none is sent */
    uint64_t user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the system's */
    uint64_t fastopen;        /* how many may wait with data in their SYN; 0: off */
    uint64_t mark;            /* SO_MARK; 0: none */
    bool nodelay;             /* TCP_NODELAY */
    bool v6only;              /* IPV6_V6ONLY; false: [::] serves IPv4, too */
    bool freebind;            /* IP_FREEBIND: the address need not be there yet */
    char device[IFNAMSIZ];    /* SO_BINDTODEVICE; empty: any */

    /* The path of a Unix socket. */
    int mode; /* permissions, or LISTENER_ANY_MODE */
    struct privileges_user owner;
    struct privileges_group group;

    /* Datagrams. */
    unsigned low_ports;            /* enum listener_low_ports */
    double rate;                   /* answers a second for each source; 0: without limit */
    uint64_t receive_buffer_bytes; /* SETTING_AUTO: up to 4 MiB, as far as the system allows */

    struct impair impair; /* what is done wrong on purpose */
};

/* The versions of the PROXY protocol whose header is asked for, as bits: enum proxy_version. */
enum listener_proxy {
    LISTENER_PROXY_OFF,
    LISTENER_PROXY_V1,
    LISTENER_PROXY_V2,
    LISTENER_PROXY_ANY
};

/* What a client is told first: nothing, or who serves it, in which form; and whether it is all. */
enum listener_identify {
    LISTENER_IDENTIFY_OFF,
    LISTENER_IDENTIFY_LINE,
    LISTENER_IDENTIFY_JSON,
    LISTENER_IDENTIFY_ONLY,
    LISTENER_IDENTIFY_ONLY_JSON
};

/* What becomes of datagrams from a source port below 1024. */
enum listener_low_ports { LISTENER_LOW_PORTS_DROP, LISTENER_LOW_PORTS_ALLOW };

/*
 * Read options, "idle-timeout=1h,name=public", over those that are there; a later one wins.
 * `address` is the one before them. An empty text is fine.
 * Return 0; or -1 with errno, ENOMEM if that is the reason, and a sentence in `error` that names
 * the option and what would be right.
 */
int listener_options_parse(const char *text, const struct address *address,
                           struct listener_options *options, struct error *error)
    __attribute__((warn_unused_result));

/* Set what is no global setting to its default, and leave the other members as they are. */
void listener_options_set_defaults(struct listener_options *options);

/* Give the options that were not given the values that they have in `defaults`. */
void listener_options_inherit(struct listener_options *options,
                              const struct listener_options *defaults);

/* Tell whether an option of this name was given, and is no default. */
bool listener_options_has(const struct listener_options *options, const char *name);

/* Return how much output may be left when reading goes on; auto: a quarter of the high mark. */
uint64_t listener_options_low_water_bytes(const struct listener_options *options);

/* Print the options, as --help=listen shows them. */
void listener_options_print_help(FILE *stream);

#endif
