/*
 * udp_libuv: an echo of datagrams on libuv: each is sent back in its callback, without a queue.
 * Leaves out the address that was asked, guards against loops, and a way to stop.
 * Run as: udp_libuv PORT
 */
#include <config.h>

#include "listen.h"

#include <uv.h>

enum { BUFFER_BYTES = 65536 };

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[BUFFER_BYTES];

    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof(bytes));
}

static void on_datagram(uv_udp_t *udp, ssize_t length, const uv_buf_t *buffer,
                        const struct sockaddr *client, unsigned flags)
{
    (void)flags;
    if (length >= 0 && client != NULL) { /* otherwise nothing is there any more */
        const uv_buf_t bytes = uv_buf_init(buffer->base, (unsigned)length);

        (void)uv_udp_try_send(udp, &bytes, 1, client);
    }
}

int main(int argument_count, char *arguments[])
{
    uv_loop_t *loop = uv_default_loop();
    uv_udp_t udp;

    must(uv_udp_init(loop, &udp), "uv_udp_init");
    must(uv_udp_open(&udp, bind_on_argument(argument_count, arguments)), "uv_udp_open");
    must(uv_udp_recv_start(&udp, on_buffer_wanted, on_datagram), "uv_udp_recv_start");
    return uv_run(loop, UV_RUN_DEFAULT);
}
