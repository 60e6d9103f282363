#include <config.h>

#include "echoprobe/transport.h"

#include "echoprobe/tls_client.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int transport_begin_tls(struct transport *transport, struct tls_setup *setup)
{
    transport->tls = tls_client_new(setup, transport->fd);
    return transport->tls == NULL ? -1 : 0;
}

int transport_shake_hands(struct transport *transport)
{
    return tls_client_shake_hands(transport->tls);
}

void transport_close(struct transport *transport)
{
    if (transport->tls != NULL)
        tls_client_free(transport->tls);
    if (transport->fd >= 0)
        (void)close(transport->fd);
    *transport = (struct transport){.fd = -1};
}

ssize_t transport_send(struct transport *transport, const void *bytes, size_t length)
{
    if (transport->tls != NULL)
        return tls_client_send(transport->tls, bytes, length);
    return send(transport->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t transport_receive(struct transport *transport, void *bytes, size_t size)
{
    if (transport->tls != NULL)
        return tls_client_receive(transport->tls, bytes, size);
    return recv(transport->fd, bytes, size, MSG_DONTWAIT);
}

bool transport_has_more(const struct transport *transport)
{
    return transport->tls != NULL && tls_client_has_more(transport->tls);
}

bool transport_is_crossed(const struct transport *transport)
{
    return transport->tls != NULL && tls_client_is_crossed(transport->tls);
}

int transport_finish(struct transport *transport)
{
    if (transport->tls != NULL)
        return tls_client_finish(transport->tls);
    return shutdown(transport->fd, SHUT_WR); /* fails only if the other end reset */
}

void transport_explain(const struct transport *transport, int failure, struct fault *fault)
{
    if (transport->tls != NULL)
        tls_client_explain(transport->tls, failure, fault);
    else
        fault_set(fault, FAULT_RESET, 0, 0, "%s", strerror(failure));
}
