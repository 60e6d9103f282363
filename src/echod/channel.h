/*
 * channel: the way between echod and a client: its descriptors, and how they are read, written,
 * shut and closed.
 * Knows no state and no limit of a connection, and looks at no byte.
 * Called by transfer, which has one, and by connection.
 *
 * A bufferevent has each descriptor. A socket may be read by the shortcut's event instead; then the
 * bufferevent only writes, of a plain channel until channel_shut.
 */
#ifndef ECHOD_CHANNEL_H
#define ECHOD_CHANNEL_H

#include "echod/tls_session.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>

struct channel {
    struct bufferevent *input;     /* reads */
    struct bufferevent *output;    /* writes; the same one for a socket */
    struct event *socket_readable; /* of the shortcut; NULL: the bufferevent reads */
    struct event *socket_event;    /* the socket's own, of TLS: that one, if there is one */
    struct tls_session *tls;       /* NULL: it is plain */
    bool is_fed; /* what that event reads goes to input, as if the bufferevent had read it */
};

/* What a channel reports from the loop; all get the argument that it was opened with. */
struct channel_events {
    bufferevent_data_cb on_readable;      /* input holds something */
    bufferevent_data_cb on_writable;      /* some output was sent */
    bufferevent_event_cb on_event;        /* the client's FIN, or an error, which errno names */
    event_callback_fn on_socket_readable; /* of the shortcut; NULL: it is not taken */
};

/*
 * Take two descriptors, which may be one. Both must be non-blocking; they are the channel's from
 * here on, on failure still the caller's. It reads nothing before channel_start_reading.
 * Return 0, or -1 with errno ENOMEM and nothing left to undo.
 */
int channel_open(struct channel *channel, struct event_base *base, int input_fd, int output_fd,
                 const struct channel_events *events, void *argument)
    __attribute__((warn_unused_result));

/* Free it, which closes the descriptors when the loop turns next. */
void channel_close(struct channel *channel);

/* Return 0, or -1 if the loop has no memory for it. */
int channel_start_reading(struct channel *channel) __attribute__((warn_unused_result));

void channel_stop_reading(struct channel *channel);

bool channel_is_reading(const struct channel *channel);

/*
 * Let output leave. A buffer asks the loop for that by itself, but cannot tell if there was no
 * memory. Return 0, or -1 if there is none.
 */
int channel_send_output(struct channel *channel) __attribute__((warn_unused_result));

/*
 * Say FIN. From then on the bufferevent reads what still comes.
 * Return 0; or -1 where that means nothing, on a pipe or a terminal, or does not work any more.
 */
int channel_shut(struct channel *channel) __attribute__((warn_unused_result));

/* Return the descriptor that it reads from. */
int channel_socket(const struct channel *channel);

/* Tell whether the kernel has something that can be read. */
bool channel_has_input_waiting(const struct channel *channel);

/*
 * Return how much there is to be read, or 0 if only the end is; at least, and of TLS with what its
 * records have besides.
 */
size_t channel_waiting_bytes(const struct channel *channel);

/* Receive as tls_session_read does, or as recv. */
ssize_t channel_receive(const struct channel *channel, void *bytes, size_t size);

/* Tell whether TLS has something that was received and not read, be it part of a record. */
bool channel_has_input_inside(const struct channel *channel);

/* Tell whether the client has reset the connection, which a loop that waits for nothing misses. */
bool channel_is_broken(const struct channel *channel);

/* Return how many bytes the kernel has taken from us and the client has not yet from the kernel. */
int channel_unacknowledged_bytes(const struct channel *channel);

/* Return how many of them it has not even sent yet, or 0 where it does not tell. */
int channel_unsent_bytes(const struct channel *channel);

/* Let a reset be what the client sees when the channel is closed, where there is such a thing. */
void channel_reset_when_closed(struct channel *channel);

/* --- TLS ------------------------------------------------------------------------------------- */

/*
 * Open a channel of one socket that will speak TLS. on_socket_readable is called whether the
 * shortcut is taken or not: see the other functions.
 */
int channel_open_tls(struct channel *channel, struct event_base *base, struct tls_context *context,
                     struct tls_reserve *reserve, int fd, bool has_shortcut,
                     const struct channel_events *events, void *argument)
    __attribute__((warn_unused_result));

/*
 * Let the handshake begin: on_socket_readable comes when there is something to do for it, and then
 * channel_shake_tls does it. Return 0, or -1 if the loop has no memory for it.
 */
int channel_start_tls(struct channel *channel) __attribute__((warn_unused_result));

/*
 * Go on with the handshake. Return 0 when it is over; or -1 with errno: EAGAIN if
 * on_socket_readable will come again, ENOMEM, or as tls_session_shake says. Once it is over,
 * on_socket_readable may still come before channel_start_reading: channel_stop_reading then.
 */
int channel_shake_tls(struct channel *channel) __attribute__((warn_unused_result));

/*
 * Of what waits, nothing may be data, and no callback would tell: let on_socket_readable come soon,
 * and again and again, until one of the next two is called. Of a plain channel nothing is needed.
 */
void channel_look_soon(struct channel *channel);

/*
 * Say close_notify, once all output has left. Return 0; or -1 with errno: EAGAIN if the socket is
 * full, and on_socket_readable comes once it is not, to call this again.
 */
int channel_close_notify(struct channel *channel) __attribute__((warn_unused_result));

/*
 * Say nothing more, but FIN unless it is withheld. From then on on_socket_readable tells of what
 * still comes, which channel_discard throws away. Return 0, or -1 if that does not work any more.
 */
int channel_shut_tls(struct channel *channel, bool says_fin) __attribute__((warn_unused_result));

/* Return whether the socket's end is still to come. */
bool channel_discard(const struct channel *channel) __attribute__((warn_unused_result));

static inline struct evbuffer *channel_input(const struct channel *channel)
{
    return bufferevent_get_input(channel->input);
}

static inline struct evbuffer *channel_output(const struct channel *channel)
{
    return bufferevent_get_output(channel->output);
}

#endif
