/*
 * sockets: binds the addresses that were asked for, or takes over what a parent passed.
 * Accepts nothing and reads nothing; listener and connection do.
 * Called by daemon before any thread or loop exists, by main for a check, and by reload when the
 * addresses change; worker serves what was opened.
 */
#ifndef ECHOD_SOCKETS_H
#define ECHOD_SOCKETS_H

#include "base/error.h"
#include "base/log.h"
#include "echod/endpoint.h"
#include "echod/listen.h"
#include "echod/lookup.h"
#include "echod/passed.h"
#include "echod/standard.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sockets {
    struct endpoint_list endpoints;
    struct standard standard;
};

/*
 * Called for each address that cannot be had, with a sentence that says where it stands and what
 * would be right.
 */
typedef void sockets_error_callback(const struct error *error, void *argument);

/*
 * Check what can be known of an address of a list without opening it: that its host has an address,
 * or its path a directory. Return 0, or -1 with such a sentence in `error`; errno is ENOMEM if that
 * could not be found out.
 */
int sockets_check(const struct listen_list *addresses, size_t index, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Make what the connections of an address of a list share if it speaks TLS; the caller holds it.
 * Otherwise it is NULL. Return 0; or -1 with errno and a sentence about what is wrong with its
 * files.
 */
int sockets_make_tls(const struct listen_list *addresses, size_t index, struct tls_context **tls,
                     struct error *error) __attribute__((warn_unused_result));

/*
 * Open every address. A name that has several addresses gives an endpoint for each; those that
 * this machine does not have are left out with a warning while one can be bound. An address that
 * another process listens on is an error, even where SO_REUSEPORT would let both have it. Of
 * `passed`, what an address asks for is taken.
 * Return 0; or -1 after a report of all that cannot be had, and nothing left open.
 */
int sockets_open(struct sockets *sockets, const struct listen_list *addresses, size_t worker_count,
                 const struct passed *passed, struct log *log, sockets_error_callback *on_error,
                 void *argument) __attribute__((warn_unused_result));

/*
 * Hand the Unix sockets that were bound over to a user and a group, of which -1 leaves what is, as
 * in chown(2). What was put in its place since, even by that user, is not touched. One that the
 * system does not hand over is a warning.
 */
void sockets_hand_over(const struct sockets *sockets, uid_t uid, gid_t gid, struct log *log);

/*
 * Check that every Unix socket is still where it was bound, after the root of all paths has
 * changed: otherwise nobody could tell whether it was replaced. Return 0, or -1 with a sentence in
 * `error`.
 */
int sockets_check_paths(const struct sockets *sockets, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Open those of the addresses for which nothing is open yet, and mark the endpoints that are no
 * longer among them as leaving; what a client is connected to stays. A Unix socket whose path
 * somebody removed leaves, and is opened anew. The list may have an address
 * twice, such as one with port 0, which then is opened twice. Hosts are taken from `lookup`, so
 * that nothing blocks. Return 0; or -1 after a report of all that cannot be had, and nothing has
 * changed. What a parent passes can be had at the start only.
 */
int sockets_change(struct sockets *sockets, const struct listen_list *addresses,
                   struct lookup *lookup, struct log *log, sockets_error_callback *on_error,
                   void *argument) __attribute__((warn_unused_result));

/*
 * Take a change back that no worker knows of: close the endpoints with this number and above, which
 * it added, and let nothing leave.
 */
void sockets_undo_change(struct sockets *sockets, unsigned long first_new_number);

/* Return how many endpoints there are without those that are leaving. */
size_t sockets_count_staying(const struct sockets *sockets);

/*
 * Remove the paths of the Unix sockets that were bound, or of those of them that are leaving,
 * before the workers close these: see endpoint_remove_path.
 */
void sockets_remove_paths(struct sockets *sockets);
void sockets_remove_leaving_paths(struct sockets *sockets);

/*
 * All workers have changed: close what is leaving, and let the next options and TLS of what stays
 * be those in effect.
 */
void sockets_finish_change(struct sockets *sockets);

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
