/*
 * uring: io_uring with one accept for all clients, one receive for all of a client's messages, and
 * buffers that the kernel picks. A client's buffers are sent in order, one at a time.
 * Leaves out limits, time-outs and a way to stop.
 * Run as: uring PORT
 */
#include <config.h>

#include "listen.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    QUEUE = 4096,
    COMPLETIONS = 16384,
    BUFFERS = 2048, /* a power of two */
    BUFFER_BYTES = 16384,
    GROUP = 0,
    NONE = -1,
};

/* A completion is labelled with whom it belongs to, plus one of these. */
enum operation { ACCEPT, RECEIVE, SEND, CLOSE, OPERATIONS };

struct client {
    int fd;
    bool is_receiving;
    int first; /* buffer to be sent, NONE if there is none; it is under way */
    int last;
    struct client *next_waiting;
};

struct buffer {
    int next; /* of the same client */
    unsigned length;
    unsigned sent;
};

struct server {
    struct io_uring ring;
    struct io_uring_buf_ring *provided;
    char *memory;
    struct buffer buffers[BUFFERS];
    struct client *waiting; /* for a buffer */
};

static struct io_uring_sqe *request(struct server *server)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&server->ring);

    if (sqe == NULL) {
        must(io_uring_submit(&server->ring), "io_uring_submit");
        sqe = io_uring_get_sqe(&server->ring);
        must(sqe != NULL ? 0 : -1, "io_uring_get_sqe");
    }
    return sqe;
}

static void label(struct io_uring_sqe *sqe, void *owner, enum operation operation)
{
    io_uring_sqe_set_data(sqe, (char *)owner + operation);
}

static void accept_all(struct server *server, int listener_fd)
{
    struct io_uring_sqe *sqe = request(server);

    io_uring_prep_multishot_accept(sqe, listener_fd, NULL, NULL, SOCK_CLOEXEC);
    label(sqe, server, ACCEPT);
}

static void receive_all(struct server *server, struct client *client)
{
    struct io_uring_sqe *sqe = request(server);

    io_uring_prep_recv_multishot(sqe, client->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    label(sqe, client, RECEIVE);
    client->is_receiving = true;
}

static void send_first(struct server *server, struct client *client)
{
    const struct buffer *buffer = &server->buffers[client->first];
    const char *bytes = server->memory + (size_t)client->first * BUFFER_BYTES + buffer->sent;
    struct io_uring_sqe *sqe = request(server);

    io_uring_prep_send(sqe, client->fd, bytes, buffer->length - buffer->sent,
                       MSG_WAITALL | MSG_NOSIGNAL);
    label(sqe, client, SEND);
}

static void provide(struct server *server, int index)
{
    io_uring_buf_ring_add(server->provided, server->memory + (size_t)index * BUFFER_BYTES,
                          BUFFER_BYTES, (unsigned short)index, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(server->provided, 1);
}

/* Give the client's first buffer back, and let whoever waits for one receive again. */
static void drop_first(struct server *server, struct client *client)
{
    const int index = client->first;
    struct client *waiting = server->waiting;

    client->first = server->buffers[index].next;
    provide(server, index);
    if (waiting != NULL) {
        server->waiting = waiting->next_waiting;
        receive_all(server, waiting);
    }
}

static void close_if_done(struct server *server, struct client *client)
{
    struct io_uring_sqe *sqe;

    if (client->is_receiving || client->first != NONE)
        return;
    sqe = request(server);
    io_uring_prep_close(sqe, client->fd);
    label(sqe, server, CLOSE);
    free(client);
}

static void on_accepted(struct server *server, int fd)
{
    struct client *client = must_have(calloc(1, sizeof(*client)), "calloc");

    client->fd = fd;
    client->first = NONE;
    receive_all(server, client);
}

static void on_received(struct server *server, struct client *client,
                        const struct io_uring_cqe *cqe)
{
    const int index = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    struct buffer *buffer = &server->buffers[index];

    if (cqe->res > 0) {
        *buffer = (struct buffer){.next = NONE, .length = (unsigned)cqe->res};
        if (client->first != NONE) {
            server->buffers[client->last].next = index;
            client->last = index;
        } else {
            client->first = client->last = index;
            send_first(server, client);
        }
    }
    if ((cqe->flags & IORING_CQE_F_MORE) != 0)
        return;
    if (cqe->res == -ENOBUFS) {
        client->next_waiting = server->waiting;
        server->waiting = client;
    } else if (cqe->res > 0) {
        receive_all(server, client);
    } else {
        client->is_receiving = false;
        close_if_done(server, client);
    }
}

static void on_sent(struct server *server, struct client *client, int result)
{
    struct buffer *buffer = &server->buffers[client->first];

    if (result < 0) {
        (void)shutdown(client->fd, SHUT_RDWR); /* which ends the receive, too */
        while (client->first != NONE)
            drop_first(server, client);
    } else {
        buffer->sent += (unsigned)result;
        if (buffer->sent == buffer->length)
            drop_first(server, client);
    }
    if (client->first != NONE)
        send_first(server, client);
    else
        close_if_done(server, client);
}

static void on_completion(struct server *server, const struct io_uring_cqe *cqe, int listener_fd)
{
    char *data = io_uring_cqe_get_data(cqe);
    const enum operation operation = (enum operation)((uintptr_t)data % OPERATIONS);
    void *client = data - operation;

    switch (operation) {
    case ACCEPT:
        if (cqe->res >= 0)
            on_accepted(server, cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            accept_all(server, listener_fd);
        break;
    case RECEIVE:
        on_received(server, client, cqe);
        break;
    case SEND:
        on_sent(server, client, cqe->res);
        break;
    case CLOSE:
    case OPERATIONS:
        break;
    }
}

static void start(struct server *server)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    struct io_uring_buf_reg group = {.ring_entries = BUFFERS, .bgid = GROUP};
    void *provided = NULL;

    errno = -io_uring_queue_init_params(QUEUE, &server->ring, &params);
    must(-errno, "io_uring_queue_init_params");
    errno = posix_memalign(&provided, 4096, BUFFERS * sizeof(struct io_uring_buf));
    must(-errno, "posix_memalign");
    server->provided = provided;
    server->memory = must_have(malloc((size_t)BUFFERS * BUFFER_BYTES), "malloc");
    group.ring_addr = (uint64_t)(uintptr_t)provided;
    errno = -io_uring_register_buf_ring(&server->ring, &group, 0);
    must(-errno, "io_uring_register_buf_ring");
    io_uring_buf_ring_init(server->provided);
    for (int i = 0; i < BUFFERS; i++)
        provide(server, i);
}

int main(int argument_count, char *arguments[])
{
    static struct server server;
    const int listener_fd = listen_on_argument(argument_count, arguments);

    start(&server);
    accept_all(&server, listener_fd);
    for (;;) {
        const int result = io_uring_submit_and_wait(&server.ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;

        must(result < 0 && result != -EINTR ? -1 : 0, "io_uring_submit_and_wait");
        io_uring_for_each_cqe(&server.ring, head, cqe)
        {
            on_completion(&server, cqe, listener_fd);
            seen++;
        }
        io_uring_cq_advance(&server.ring, seen);
    }
}
