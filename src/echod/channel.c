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

/* What one write takes of a long output; libevent's own bound is 16 KiB (bufferevent-internal.h).
 */
enum { WRITE_SIZE = 256 << 10 };

/* --- Reading and writing --------------------------------------------------------------------- */

int channel_start_reading(struct channel *channel)
{
    if (channel->socket_readable != NULL)
        return event_add(channel->socket_readable, NULL);
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
        channel->socket_readable =
            event_new(base, input_fd, EV_READ | EV_PERSIST, events->on_socket_readable, argument);
        if (channel->socket_readable == NULL)
            goto free_input;
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
    if (channel->socket_readable != NULL)
        event_free(channel->socket_readable);
    if (channel->output != channel->input)
        bufferevent_free(channel->output);
    bufferevent_free(channel->input);
}
