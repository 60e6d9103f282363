/*
 * endpoint: one address that was bound or taken over, with its descriptors, and a list of them.
 * Opens nothing; there is a room for each kind of address.
 * Called by these rooms and by sockets; listeners, clients and datagrams take the
 * descriptors out.
 */
#ifndef ECHOD_ENDPOINT_H
#define ECHOD_ENDPOINT_H

#include "base/address.h"
#include "base/error.h"
#include "base/log.h"
#include "echod/listener_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct listener_stats; /* echod/listener_stats.h */
struct tls_context;    /* echod/tls_context.h */

enum endpoint_kind {
    ENDPOINT_LISTENER, /* accepts clients */
    ENDPOINT_DATAGRAM, /* receives datagrams */
    ENDPOINT_CLIENT,   /* is one connected client */
};

/* Its descriptors are non-blocking and close-on-exec. */
struct endpoint {
    enum endpoint_kind kind;
    unsigned long number;   /* no other endpoint has had it */
    struct address address; /* that was asked for; a name may have given several endpoints */
    size_t occurrence;      /* how many equal addresses stood before it in the list */
    struct listener_options options;
    struct listener_options next_options; /* during a reload; otherwise the same */
    struct tls_context *tls;              /* held; NULL: what is spoken is plain */
    struct tls_context *next_tls;         /* the same as with the options; held for itself */
    struct listener_stats *stats;         /* not owned */
    bool is_leaving;              /* it is no longer asked for, and closed at the end of a reload */
    char name[ADDRESS_TEXT_SIZE]; /* the real address: "tcp://127.0.0.1:13265" */

    int *worker_fds; /* of a listener or a datagram socket: one for each worker, sockets of a
                        SO_REUSEPORT group or duplicates of one; -1 once the worker owns it */
    bool is_passed;  /* somebody else opened it, and it keeps its backlog */
    bool is_group;   /* they are a SO_REUSEPORT group of ours */
    bool is_kept;    /* a service manager keeps them: at the end they stay with it */
    struct sockaddr_storage bound; /* what we bound, or all zero */
    char
        bound_path[ADDRESS_PATH_SIZE]; /* of a Unix socket that we bound, or empty; it is removed */
    dev_t bound_device;                /* at the end if it is this one still */
    ino_t bound_inode;

    int input_fd, output_fd; /* of a client: equal for a socket; -1 once a connection owns them */
    bool is_file;            /* of a client: epoll does not take one of them */
};

struct endpoint_list {
    struct endpoint *items;
    size_t count;
    size_t worker_count;
    unsigned long next_number;
};

/*
 * Add an endpoint without descriptors. It moves when another one is added.
 * Return NULL with errno ENOMEM.
 */
struct endpoint *endpoint_add(struct endpoint_list *list, enum endpoint_kind kind);

/*
 * Add an endpoint whose first worker has this socket, which belongs to the endpoint from here on;
 * on failure it is closed. Return NULL with errno.
 */
struct endpoint *endpoint_add_socket(struct endpoint_list *list, enum endpoint_kind kind, int fd);

/*
 * Give every worker that has no socket of its own a duplicate of the first worker's.
 * Return 0, or -1 with errno.
 */
int endpoint_share_socket(struct endpoint *endpoint, size_t worker_count)
    __attribute__((warn_unused_result));

/* Tell whether this is the socket that was bound: another process may have put its own there. */
bool endpoint_is_bound(const struct endpoint *endpoint, const struct stat *now);

/* Tell whether the path of a Unix socket is there, and still its own. */
bool endpoint_has_path(const struct endpoint *endpoint);

/* Tell whether somebody removed the path of a Unix socket, or put something else there. */
bool endpoint_has_lost_path(const struct endpoint *endpoint);

/*
 * Remove the path of a Unix socket, if it is still its own and no service manager keeps the socket
 * any longer than we do. Who has connected stays so. Call it while the socket is open: once it is
 * closed, what somebody else binds there may get its inode, and would be taken for it.
 */
void endpoint_remove_path(struct endpoint *endpoint);

/* Let its next context, besides its next options, be this one, which is held here, too. */
void endpoint_set_next_tls(struct endpoint *endpoint, struct tls_context *tls);

/* Let the next options and context be those in effect; or let those in effect be the next ones. */
void endpoint_take_next(struct endpoint *endpoint);
void endpoint_drop_next(struct endpoint *endpoint);

/* Switch Nagle's algorithm off; accepted sockets inherit it on Linux (tcp(7)). */
void endpoint_set_no_delay(int fd);

/*
 * Let a socket that somebody passed report neither errors nor times of what was sent by it, and
 * forget those that wait (IP_RECVERR, SO_TIMESTAMPING; accepted sockets inherit that). Nobody reads
 * them here, and while one waits the socket always has an event.
 */
void endpoint_decline_reports(int fd);

/*
 * Close the endpoints from the `count`-th on, and remove the paths of their Unix sockets, except of
 * those that a service manager keeps.
 */
void endpoint_list_close_from(struct endpoint_list *list, size_t count);

/* Close those that are leaving in the same way. */
void endpoint_list_close_leaving(struct endpoint_list *list);

/*
 * Return what the log and the totals call an endpoint: its name, during a reload its next one, or
 * else its address.
 */
const char *endpoint_label(const struct endpoint *endpoint);

/* Return that as the fact "listener" of a line in the log. */
struct log_field endpoint_fact(const struct endpoint *endpoint);

/* Write a line that names the endpoint: "WHAT tcp://127.0.0.1:7 listener=public". */
void endpoint_log(const struct endpoint *endpoint, const char *what, struct log *log);

/* Write a line if clients are told by what they are served, which is worth a look. */
void endpoint_log_identify(const struct endpoint *endpoint, struct log *log);

/* Warn of what it does wrong on purpose, under its next options. */
void endpoint_warn_of_impair(const struct endpoint *endpoint, struct log *log);

/* Write what there is to know of its certificates, during a reload of its next ones. */
void endpoint_log_tls(const struct endpoint *endpoint, struct log *log);

/* Warn of those that end soon at this time, or have ended. */
void endpoint_warn_of_tls_ends(const struct endpoint *endpoint, time_t now, struct log *log);

/* Say what the system answered for an address, and what may help. Saves and restores errno. */
void endpoint_explain(struct error *error, const char *name, const char *advice);

/* Say in the same way that the system refuses an option of a listener. */
void endpoint_explain_option(struct error *error, const char *name, const char *option);

/* What helps where the system refuses what the address has no part in. */
#define ENDPOINT_ADVICE_ON_REFUSAL "let the system, or the sandbox that echod runs in, allow it"

/*
 * Return what helps against an error for which no address is to blame: a shortage, or a call that
 * is not allowed. Of other errors it is what the caller says.
 */
const char *endpoint_advice(int failure, const char *otherwise);

#endif
