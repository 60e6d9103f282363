/*
 * passed: the sockets that systemd passed: which there are, under which names, and who has them.
 * Serves none of them; sockets takes those that were asked for.
 * Called by daemon, before anything else opens a descriptor, by inherited, kept and store.
 */
#ifndef ECHOD_PASSED_H
#define ECHOD_PASSED_H

#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>

/* How the names begin of those that were handed to systemd by echod itself; see kept. */
#define PASSED_KEPT_PREFIX "echod,"

struct passed_socket {
    int fd;           /* close-on-exec; nobody owns it before it is taken */
    const char *name; /* "unknown" where systemd gave none */
    bool is_kept;     /* echod bound it in an earlier process, and takes it where it binds */
    bool is_taken;    /* something serves it, or it was closed */
};

/* All zero: nothing was passed. */
struct passed {
    struct passed_socket *sockets;
    size_t count;
    char *names;          /* what the sockets' names point into */
    struct error absence; /* why there are none, as "nothing was passed: ..." goes on */
};

/*
 * Take LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES (sd_listen_fds(3)) out of the environment, and
 * make the sockets close-on-exec. What is wrong with them is a warning, unless they are another
 * process's, and then there are none.
 */
void passed_init(struct passed *passed, struct log *log);

/* Forget the sockets, and close none. */
void passed_fini(struct passed *passed);

/*
 * Return the next socket of this name, or of any name if it is empty; or NULL. Begin with a cursor
 * of 0. Those that were kept are none of these, nor of the following.
 */
struct passed_socket *passed_next(const struct passed *passed, const char *name, size_t *cursor);

/* Return the socket with this descriptor, or NULL. */
struct passed_socket *passed_find(const struct passed *passed, int fd);

/* Say why passed_next found nothing for systemd://NAME, and what would be right. */
void passed_explain(const struct passed *passed, const char *name, struct error *error);

/* Warn of each socket that nobody took. */
void passed_warn_of_rest(const struct passed *passed, struct log *log);

#endif
