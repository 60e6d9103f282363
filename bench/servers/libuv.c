/*
 * libuv: the echo server of libuv's user guide: a buffer and a write request for each read.
 * Leaves out limits, time-outs and a way to stop.
 * Run as: libuv PORT
 */
#include <config.h>

#include "listen.h"

#include <stdlib.h>
#include <uv.h>

/* A write under way, and the bytes that it writes. */
struct echo {
    uv_write_t request; /* first, so that a request is its echo */
    uv_buf_t bytes;
};

static void on_closed(uv_handle_t *client)
{
    free(client);
}

static void on_buffer_wanted(uv_handle_t *client, size_t suggested, uv_buf_t *buffer)
{
    (void)client;
    buffer->base = malloc(suggested);
    buffer->len = buffer->base != NULL ? suggested : 0;
}

static void on_written(uv_write_t *request, int status)
{
    struct echo *echo = (struct echo *)request;

    (void)status;
    free(echo->bytes.base);
    free(echo);
}

static void on_read(uv_stream_t *client, ssize_t length, const uv_buf_t *buffer)
{
    struct echo *echo;

    if (length <= 0) {
        free(buffer->base);
        if (length < 0)
            uv_close((uv_handle_t *)client, on_closed);
        return;
    }
    echo = must_have(malloc(sizeof(*echo)), "malloc");
    echo->bytes = uv_buf_init(buffer->base, (unsigned)length);
    must(uv_write(&echo->request, client, &echo->bytes, 1, on_written), "uv_write");
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = must_have(malloc(sizeof(*client)), "malloc");

    must(status, "accept");
    must(uv_tcp_init(listener->loop, client), "uv_tcp_init");
    must(uv_accept(listener, (uv_stream_t *)client), "uv_accept");
    must(uv_read_start((uv_stream_t *)client, on_buffer_wanted, on_read), "uv_read_start");
}

int main(int argument_count, char *arguments[])
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;

    must(uv_tcp_init(loop, &listener), "uv_tcp_init");
    must(uv_tcp_open(&listener, listen_on_argument(argument_count, arguments)), "uv_tcp_open");
    must(uv_listen((uv_stream_t *)&listener, 4096, on_connection), "uv_listen");
    return uv_run(loop, UV_RUN_DEFAULT);
}
