/*
 * sockets: binds the addresses that were asked for, or takes over what a parent passed.
 * Accepts nothing and reads nothing; listener and connection do.
 * Called by main before any thread or loop exists, and by server when the addresses change; worker
 * serves what was opened.
 */
#ifndef ECHOD_SOCKETS_H
#define ECHOD_SOCKETS_H

#include "base/address.h"
#include "base/error.h"
#include "base/log.h"
#include "echod/listen.h"
#include "echod/names.h"
#include "echod/passed.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum endpoint_kind {
    ENDPOINT_LISTENER, /* accepts clients */
    ENDPOINT_CLIENT,   /* is one connected client */
};

/* One thing that was bound or taken over. Its descriptors are non-blocking and close-on-exec. */
struct endpoint {
    enum endpoint_kind kind;
    unsigned long number;   /* no other endpoint has had it */
    struct address address; /* that was asked for; a name may have given several endpoints */
    size_t occurrence;      /* how many equal addresses stood before it in the list */
    bool is_leaving;        /* it is no longer asked for: to be closed by sockets_close_leaving */
    char name[ADDRESS_TEXT_SIZE]; /* the real address: "tcp://127.0.0.1:13265" */

    int *listener_fds; /* of a listener: one for each worker, sockets of a SO_REUSEPORT group or
                          duplicates of one socket; -1 once a listener owns it */
    bool is_passed;    /* somebody else opened it, and it keeps its backlog */
    bool is_group;     /* of a listener: they are a SO_REUSEPORT group of ours */
    struct sockaddr_storage bound;      /* of a TCP listener that we bound, or all zero */
    char bound_path[ADDRESS_PATH_SIZE]; /* of a Unix socket that we bound, or empty; */
    dev_t bound_device;                 /* sockets_close removes it if it is this one still */
    ino_t bound_inode;

    int input_fd, output_fd; /* of a client: equal for a socket; -1 once a connection owns them */
    bool is_file;            /* of a client: epoll does not take one of them */
};

struct sockets {
    struct endpoint *endpoints;
    size_t count;
    size_t worker_count;
    unsigned long next_number;
    struct names *names; /* hosts that were looked up already; NULL: none, the system is asked */
    bool has_standard;   /* standard input and output are served; before, they had these flags: */
    int standard_flags[2];
};

/*
 * Called for each address that cannot be had, with a sentence that says where it stands and what
 * would be right.
 */
typedef void sockets_error_callback(const struct error *error, void *argument);

/*
 * Check what can be known of an address of a list without opening it: that its host has an address,
 * or its path a directory. Return 0, or -1 with such a sentence in `error`.
 */
int sockets_check(const struct listen_list *addresses, size_t index, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Open every address. A name that has several addresses gives an endpoint for each; those that
 * this machine does not have are left out with a warning while one can be bound. An address that
 * another process listens on is an error, even where SO_REUSEPORT would let both have it. Of
 * `passed`, what an address asks for is taken.
 * Return 0; or -1 after a report of all that cannot be had, and nothing left open.
 */
int sockets_open(struct sockets *sockets, const struct listen_list *addresses, int backlog,
                 size_t worker_count, const struct passed *passed, struct log *log,
                 sockets_error_callback *on_error, void *argument)
    __attribute__((warn_unused_result));

/*
 * Hand the Unix sockets that were bound over to a user and a group, of which -1 leaves what is, as
 * in chown(2). What was put in its place since, even by that user, is not touched. One that the
 * system does not hand over is a warning.
 */
void sockets_hand_over(const struct sockets *sockets, uid_t uid, gid_t gid, struct log *log);

/*
 * Open those of the addresses for which nothing is open yet, and mark the endpoints that are no
 * longer among them as leaving; what a client is connected to stays. A Unix socket whose path
 * somebody removed leaves, and is opened anew. The list may have an address
 * twice, such as one with port 0, which then is opened twice. Hosts are taken from `names`, so that
 * nothing blocks. Return 0; or -1 after a report of all that cannot be had, and nothing has
 * changed. What a parent passes can be had at the start only.
 */
int sockets_change(struct sockets *sockets, const struct listen_list *addresses,
                   struct names *names, int backlog, struct log *log,
                   sockets_error_callback *on_error, void *argument)
    __attribute__((warn_unused_result));

/*
 * Take a change back that no worker knows of: close the endpoints with this number and above, which
 * it added, and let nothing leave.
 */
void sockets_undo_change(struct sockets *sockets, unsigned long first_new_number);

/* Return how many endpoints there are without those that are leaving. */
size_t sockets_count_staying(const struct sockets *sockets);

/* Close what is leaving, once no worker serves it any more, and remove its Unix sockets. */
void sockets_close_leaving(struct sockets *sockets);

/*
 * Close what is still open, remove the Unix sockets that were bound, and give standard input and
 * output back as they were. Zeroed sockets are fine, and so is a second call.
 */
void sockets_close(struct sockets *sockets);

/*
 * Tell whether standard error is the very socket that one of these addresses serves, as under
 * inetd, so that a log line would reach the client as a part of its echo.
 */
bool sockets_include_standard_error(const struct listen_list *addresses);

#endif
