#include <config.h>

#include "echod/mailbox.h"

#include <errno.h>
#include <event2/util.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct message {
    mailbox_function *function;
    void *argument;
};

/* A ring of messages, and a pipe whose reader is in the loop: a byte in it says "look". */
struct mailbox {
    int fds[2]; /* the pipe: read, write */
    struct event *readable;
    pthread_mutex_t mutex; /* guards what follows */
    size_t capacity, start, count;
    struct message messages[];
};

/* Take out the first message. */
static bool take_message(struct mailbox *mailbox, struct message *message)
{
    bool is_taken = false;

    (void)pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->count > 0) {
        *message = mailbox->messages[mailbox->start];
        mailbox->start = (mailbox->start + 1) % mailbox->capacity;
        mailbox->count--;
        is_taken = true;
    }
    (void)pthread_mutex_unlock(&mailbox->mutex);
    return is_taken;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct message message;
    char bytes[64];

    (void)what;
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
    while (take_message(argument, &message))
        message.function(message.argument);
}

static void close_pipe(const int fds[2])
{
    const int saved_errno = errno;

    (void)close(fds[0]);
    (void)close(fds[1]);
    errno = saved_errno;
}

static int open_pipe(int fds[2])
{
    if (pipe(fds) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (evutil_make_socket_nonblocking(fds[i]) < 0 ||
            evutil_make_socket_closeonexec(fds[i]) < 0) {
            close_pipe(fds);
            return -1;
        }
    }
    return 0;
}

struct mailbox *mailbox_new(struct event_base *base, size_t capacity)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox + capacity * sizeof *mailbox->messages);

    if (mailbox == NULL)
        return NULL;
    mailbox->capacity = capacity;
    if (open_pipe(mailbox->fds) < 0)
        goto free_mailbox;
    mailbox->readable =
        event_new(base, mailbox->fds[0], EV_READ | EV_PERSIST, on_readable, mailbox);
    if (mailbox->readable == NULL)
        goto close_pipe;
    if (event_add(mailbox->readable, NULL) < 0)
        goto free_event;
    (void)pthread_mutex_init(&mailbox->mutex, NULL);
    return mailbox;

free_event:
    event_free(mailbox->readable);
close_pipe:
    close_pipe(mailbox->fds);
free_mailbox:
    free(mailbox);
    return NULL;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    event_free(mailbox->readable);
    close_pipe(mailbox->fds);
    (void)pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox);
}

int mailbox_post(struct mailbox *mailbox, mailbox_function *function, void *argument)
{
    bool is_full;

    (void)pthread_mutex_lock(&mailbox->mutex);
    is_full = mailbox->count == mailbox->capacity;
    if (!is_full) {
        const size_t end = (mailbox->start + mailbox->count++) % mailbox->capacity;

        mailbox->messages[end] = (struct message){.function = function, .argument = argument};
    }
    (void)pthread_mutex_unlock(&mailbox->mutex);
    if (is_full) {
        errno = EAGAIN;
        return -1;
    }
    /* A full pipe is as good: its reader has yet to look. */
    while (write(mailbox->fds[1], "", 1) < 0 && errno == EINTR)
        continue;
    return 0;
}
