#include <config.h>

#include "echod/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#ifdef HAVE_LINUX_SOCKIOS_H
#include <linux/sockios.h>
#endif

enum {
    WRITE_SIZE = 256 << 10, /* of a long output; libevent's own bound is 16 KiB
                               (bufferevent-internal.h) */
    INSIDE_SIZE = 64 << 10, /* of TLS, which reads as much ahead */
    LOOK_MS = 10,
};

/* --- Reading and writing --------------------------------------------------------------------- */

/* What is inside already, the loop cannot see. (It adds no event that is active.) */
static int start_shortcut(struct channel *channel)
{
    if (event_add(channel->socket_readable, NULL) < 0)
        return -1;
    if (channel->tls != NULL && tls_session_has_pending(channel->tls))
        event_active(channel->socket_readable, EV_READ, 1);
    return 0;
}

int channel_start_reading(struct channel *channel)
{
    if (channel->socket_readable != NULL)
        return start_shortcut(channel);
    return bufferevent_enable(channel->input, EV_READ);
}

/* Only forgets an event. */
void channel_stop_reading(struct channel *channel)
{
    if (channel->socket_readable != NULL)
        (void)event_del(channel->socket_readable);
    else
        (void)bufferevent_disable(channel->input, EV_READ);
}

bool channel_is_reading(const struct channel *channel)
{
    if (channel->socket_readable != NULL)
        return event_pending(channel->socket_readable, EV_READ, NULL) != 0;
    return (bufferevent_get_enabled(channel->input) & EV_READ) != 0;
}

int channel_send_output(struct channel *channel)
{
    return bufferevent_enable(channel->output, EV_WRITE);
}

int channel_shut(struct channel *channel)
{
    if (channel->input != channel->output ||
        shutdown(bufferevent_getfd(channel->output), SHUT_WR) < 0)
        return -1;
    return bufferevent_enable(channel->input, EV_READ);
}

int channel_socket(const struct channel *channel)
{
    return bufferevent_getfd(channel->input);
}

bool channel_has_input_waiting(const struct channel *channel)
{
    struct pollfd input = {.fd = bufferevent_getfd(channel->input), .events = POLLIN};

    return poll(&input, 1, 0) > 0;
}

/* How much is inside, TLS does not tell: as much as is read at once may be. */
size_t channel_waiting_bytes(const struct channel *channel)
{
    int bytes = 0;

    if (channel_has_input_inside(channel))
        return INSIDE_SIZE;
    (void)ioctl(bufferevent_getfd(channel->input), FIONREAD, &bytes);
    return bytes > 0 ? (size_t)bytes : 0;
}

ssize_t channel_receive(const struct channel *channel, void *bytes, size_t size)
{
    if (channel->tls != NULL)
        return tls_session_read(channel->tls, bytes, size);
    return recv(bufferevent_getfd(channel->input), bytes, size, MSG_DONTWAIT);
}

bool channel_has_input_inside(const struct channel *channel)
{
    return channel->tls != NULL && tls_session_has_pending(channel->tls);
}

bool channel_is_broken(const struct channel *channel)
{
    struct pollfd output = {.fd = bufferevent_getfd(channel->output), .events = 0};

    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

int channel_unacknowledged_bytes(const struct channel *channel)
{
    int bytes = 0;

    (void)ioctl(bufferevent_getfd(channel->output), TIOCOUTQ, &bytes); /* tcp(7), unix(7) */
    return bytes;
}

int channel_unsent_bytes(const struct channel *channel)
{
    int bytes = 0;

#ifdef SIOCOUTQNSD /* tcp(7), Linux 2.6.39; of other sockets it is an error */
    (void)ioctl(bufferevent_getfd(channel->output), SIOCOUTQNSD, &bytes);
#else
    (void)channel;
#endif
    return bytes;
}

/* socket(7): what has not left then is thrown away. */
void channel_reset_when_closed(struct channel *channel)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(bufferevent_getfd(channel->output), SOL_SOCKET, SO_LINGER, &at_once,
                     sizeof at_once);
}

/* --- Construction and destruction ------------------------------------------------------------ */

/* Make a bufferevent that closes `fd` when it is freed. */
static struct bufferevent *new_bufferevent(struct event_base *base, int fd)
{
    return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
}

/* Free a bufferevent, but leave its descriptor open. */
static void free_bufferevent_only(struct bufferevent *bufferevent)
{
    (void)bufferevent_setfd(bufferevent, -1);
    bufferevent_free(bufferevent);
}

static void set_callbacks(struct channel *channel, const struct channel_events *events,
                          void *argument)
{
    struct bufferevent *input = channel->input, *output = channel->output;

    if (input == output) {
        bufferevent_setcb(input, events->on_readable, events->on_writable, events->on_event,
                          argument);
    } else {
        bufferevent_setcb(input, events->on_readable, NULL, events->on_event, argument);
        bufferevent_setcb(output, NULL, events->on_writable, events->on_event, argument);
    }
    /* A mark that output never exceeds: the write callback comes after each write. */
    bufferevent_setwatermark(output, EV_WRITE, SIZE_MAX, 0);
    (void)bufferevent_set_max_single_write(output, WRITE_SIZE);
}

int channel_open(struct channel *channel, struct event_base *base, int input_fd, int output_fd,
                 const struct channel_events *events, void *argument)
{
    *channel = (struct channel){.input = new_bufferevent(base, input_fd)};
    if (channel->input == NULL)
        goto fail;
    channel->output = output_fd == input_fd ? channel->input : new_bufferevent(base, output_fd);
    if (channel->output == NULL)
        goto free_input;
    if (events->on_socket_readable != NULL && input_fd == output_fd) {
        channel->socket_event =
            event_new(base, input_fd, EV_READ | EV_PERSIST, events->on_socket_readable, argument);
        if (channel->socket_event == NULL)
            goto free_input;
        channel->socket_readable = channel->socket_event;
    }
    set_callbacks(channel, events, argument);
    return 0;

free_input:
    free_bufferevent_only(channel->input);
fail:
    errno = ENOMEM;
    return -1;
}

void channel_close(struct channel *channel)
{
    if (channel->socket_event != NULL)
        event_free(channel->socket_event);
    if (channel->output != channel->input)
        bufferevent_free(channel->output);
    bufferevent_free(channel->input);
}

/* --- TLS ------------------------------------------------------------------------------------- */

int channel_open_tls(struct channel *channel, struct event_base *base, struct tls_context *context,
                     struct tls_reserve *reserve, int fd, bool has_shortcut,
                     const struct channel_events *events, void *argument)
{
    struct event *event =
        event_new(base, fd, EV_READ | EV_PERSIST, events->on_socket_readable, argument);

    if (event == NULL)
        goto fail;
    *channel = (struct channel){.socket_event = event};
    channel->input = tls_session_new(&channel->tls, reserve, context, base, fd, has_shortcut);
    if (channel->input == NULL)
        goto free_event;
    channel->output = channel->input;
    if (has_shortcut)
        channel->socket_readable = event;
    set_callbacks(channel, events, argument);
    return 0;

free_event:
    event_free(event);
fail:
    errno = ENOMEM;
    return -1;
}

/* Let the socket's event tell of something else. */
static int wait_for(struct channel *channel, short what)
{
    struct event *event = channel->socket_event;

    (void)event_del(event);
    (void)event_assign(event, event_get_base(event), event_get_fd(event),
                       (short)(what | EV_PERSIST), event_get_callback(event),
                       event_get_callback_arg(event));
    return event_add(event, NULL);
}

/* The timer may miss: where there is no memory for it, the caller's deadline has to do. */
void channel_look_soon(struct channel *channel)
{
    const struct timeval soon = {.tv_usec = LOOK_MS * 1000};
    struct event *event = channel->socket_event;

    if (channel->tls == NULL)
        return;
    if (channel->socket_readable != NULL) {
        event_active(event, EV_READ, 1);
        return;
    }
    (void)event_del(event);
    (void)event_assign(event, event_get_base(event), event_get_fd(event), EV_PERSIST,
                       event_get_callback(event), event_get_callback_arg(event));
    (void)event_add(event, &soon);
}

int channel_start_tls(struct channel *channel)
{
    return event_add(channel->socket_event, NULL);
}

/* The handshake is over: leave the socket to who reads. The shortcut's event is that one. */
static int finish_shaking(struct channel *channel)
{
    if (channel->socket_readable == NULL)
        return event_del(channel->socket_event);
    if (event_get_events(channel->socket_event) & EV_READ)
        return 0;
    return wait_for(channel, EV_READ);
}

/* Go on when the socket can be read, or written. */
static int go_on_shaking(struct channel *channel, short what)
{
    const bool waits = (event_get_events(channel->socket_event) & what) != 0;

    errno = waits || wait_for(channel, what) == 0 ? EAGAIN : ENOMEM;
    return -1;
}

int channel_shake_tls(struct channel *channel)
{
    switch (tls_session_shake(channel->tls)) {
    case TLS_SHAKING_DONE:
        return finish_shaking(channel);
    case TLS_SHAKING_READS:
        return go_on_shaking(channel, EV_READ);
    case TLS_SHAKING_WRITES:
        return go_on_shaking(channel, EV_WRITE);
    case TLS_SHAKING_FAILED:
        return -1;
    }
    abort(); /* no such outcome */
}

int channel_close_notify(struct channel *channel)
{
    if (tls_session_close(channel->tls) == 0)
        return 0;
    if (errno != EAGAIN)
        return -1;
    errno = wait_for(channel, EV_WRITE) < 0 ? ENOMEM : EAGAIN;
    return -1;
}

int channel_shut_tls(struct channel *channel, bool says_fin)
{
    if ((says_fin && shutdown(event_get_fd(channel->socket_event), SHUT_WR) < 0) ||
        bufferevent_disable(channel->input, EV_READ | EV_WRITE) < 0)
        return -1;
    return wait_for(channel, EV_READ);
}

bool channel_discard(const struct channel *channel)
{
    char bytes[4096];
    const ssize_t received =
        recv(event_get_fd(channel->socket_event), bytes, sizeof bytes, MSG_DONTWAIT);

    return received > 0 || (received < 0 && (errno == EAGAIN || errno == EINTR));
}
