#include <config.h>

#include "echod/mailbox.h"

#include "base/descriptor.h"

#include <errno.h>
#include <event2/util.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A list of messages, and a pipe whose reader is in the loop: a byte in it says "look". */
struct mailbox {
    int fds[2]; /* the pipe: read, write */
    struct event *readable;
    pthread_mutex_t mutex; /* guards what follows, and the messages that wait */
    struct mailbox_message *first;
    struct mailbox_message **end; /* where the next one is put */
    bool is_closed;
};

/* Take out the first message, of which function and argument are copied. */
static bool take_message(struct mailbox *mailbox, struct mailbox_message *taken)
{
    struct mailbox_message *message;

    (void)pthread_mutex_lock(&mailbox->mutex);
    message = mailbox->first;
    if (message != NULL) {
        *taken = *message;
        message->is_waiting = false;
        mailbox->first = message->next;
        if (mailbox->first == NULL)
            mailbox->end = &mailbox->first;
    }
    (void)pthread_mutex_unlock(&mailbox->mutex);
    return message != NULL;
}

static void run_messages(struct mailbox *mailbox)
{
    struct mailbox_message message;

    while (take_message(mailbox, &message))
        message.function(message.argument);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    char bytes[64];

    (void)what;
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
    run_messages(argument);
}

static void close_pipe(const int fds[2])
{
    descriptor_close(fds[0]);
    descriptor_close(fds[1]);
}

static int open_pipe(int fds[2])
{
    if (pipe(fds) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (descriptor_prepare(fds[i]) < 0) {
            close_pipe(fds);
            return -1;
        }
    }
    return 0;
}

struct mailbox *mailbox_new(struct event_base *base)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (mailbox == NULL)
        return NULL;
    mailbox->end = &mailbox->first;
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

/* Put a message at the end, unless it waits already. Return false if the mailbox is closed. */
static bool append(struct mailbox *mailbox, struct mailbox_message *message)
{
    bool is_closed;

    (void)pthread_mutex_lock(&mailbox->mutex);
    is_closed = mailbox->is_closed;
    if (!is_closed && !message->is_waiting) {
        message->is_waiting = true;
        message->next = NULL;
        *mailbox->end = message;
        mailbox->end = &message->next;
    }
    (void)pthread_mutex_unlock(&mailbox->mutex);
    return !is_closed;
}

/* A full pipe is as good: its reader has yet to look. Any other failure must pass, or who posts
 * would wait for ever for what is never done. */
static void wake(const struct mailbox *mailbox)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    while (write(mailbox->fds[1], "", 1) < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        if (errno != EINTR)
            (void)nanosleep(&pause, NULL);
    }
}

bool mailbox_post(struct mailbox *mailbox, struct mailbox_message *message)
{
    if (!append(mailbox, message))
        return false;
    wake(mailbox);
    return true;
}

void mailbox_close(struct mailbox *mailbox)
{
    (void)pthread_mutex_lock(&mailbox->mutex);
    mailbox->is_closed = true;
    (void)pthread_mutex_unlock(&mailbox->mutex);
    run_messages(mailbox);
}
