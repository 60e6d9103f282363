/*
 * listener: accepts clients on one socket, and backs off when the system is short of something.
 * Decides nothing about a client: the worker does, in the callback.
 * Called by listeners.
 */
#ifndef ECHOD_LISTENER_H
#define ECHOD_LISTENER_H

#include "base/log.h"
#include "echod/counters.h"

#include <event2/event.h>
#include <event2/util.h>
#include <stdbool.h>
#include <sys/socket.h>

struct listener;

/*
 * Called for each client, with a non-blocking close-on-exec descriptor that belongs to the callee
 * from here on. `address` is valid during the call.
 */
typedef void listener_callback(evutil_socket_t fd, const struct sockaddr *address, void *argument);

/*
 * Make a listener on a listening, non-blocking socket, which belongs to it from here on; on failure
 * it is still the caller's. It is paused until listener_resume. The name is for the log; it and the
 * counters stay the caller's and outlive the listener, or are changed by listener_set_name.
 * Return NULL with errno ENOMEM.
 */
struct listener *listener_new(struct event_base *base, evutil_socket_t fd, const char *name,
                              struct log *log, struct counters *counters,
                              listener_callback *on_accept, void *argument);

/* Stop accepting, close the socket and free the listener. NULL is fine. */
void listener_free(struct listener *listener);

/* Accept no more until listener_resume. May be called from the callback. */
void listener_pause(struct listener *listener);

enum { LISTENER_RETRY_MS = 100 };

/*
 * Pause for LISTENER_RETRY_MS, or until listener_resume, because of this errno. It does so by
 * itself when accepting fails with ENFILE, EMFILE, ENOBUFS, ENOMEM or another error that does not
 * pass at once.
 */
void listener_back_off(struct listener *listener, int error);

/*
 * A client has left: accept again if a shortage of descriptors or memory made it back off. What
 * else did, no client can mend.
 */
void listener_note_room(struct listener *listener);

/* Accept again. */
void listener_resume(struct listener *listener);

/*
 * Let the system refuse clients, of which none may wait any more, until listener_listen: for a TCP
 * socket that nobody shares. It is paused. Return 0, or -1 where the system does not do that, and
 * clients go on to wait.
 */
int listener_shut(struct listener *listener) __attribute__((warn_unused_result));

/* Undo that, and let so many clients wait. It is still paused. Return 0, or -1 with errno. */
int listener_listen(struct listener *listener, int backlog) __attribute__((warn_unused_result));

/*
 * Let so many clients wait to be accepted from now on, if the system lets us. Those that wait go on
 * to do so.
 */
void listener_set_backlog(struct listener *listener, int backlog);

/* Go by another name from now on, and count elsewhere. */
void listener_set_name(struct listener *listener, const char *name, struct counters *counters);

/* Return the socket, which stays the listener's. */
evutil_socket_t listener_fd(const struct listener *listener);

/*
 * Accept a client at once, if one waits, whether the listener is paused or not: to leave nobody
 * behind before listener_free. A turn of the loop accepts a bounded number only.
 * Return false with errno, EAGAIN if nobody waits.
 */
bool listener_accept_one(struct listener *listener);

#endif
