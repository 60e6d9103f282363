#include <config.h>

#include "echod/greet.h"

#include "echod/connection_state.h"
#include "echod/identify.h"

#include <stdlib.h>

static bool is_identity_all(const struct connection *connection)
{
    const unsigned mode = connection->group->identify.mode;

    return mode == LISTENER_IDENTIFY_ONLY || mode == LISTENER_IDENTIFY_ONLY_JSON;
}

/* No FIN is to end it: it stays as it is, and what comes is thrown away. */
static void stay(struct connection *connection)
{
    connection_begin_draining(connection, CLOSE_IDENTIFIED);
    if (transfer_start(&connection->transfer) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
}

/* The identity has left: go on with the echo, or end. */
static void finish(struct connection *connection)
{
    if (!is_identity_all(connection)) {
        connection_begin_late(connection, connection_open);
    } else if (connection->group->impair.is_fin_withheld && !connection->is_leaving) {
        stay(connection);
    } else {
        channel_stop_reading(&connection->transfer.channel); /* nothing is echoed any more */
        connection->state = CONNECTION_OPEN;
        connection_leave(connection, CLOSE_IDENTIFIED);
    }
}

void greet_on_sent(struct connection *connection)
{
    if (transfer_note_greeted(&connection->transfer))
        finish(connection);
}

/* Return who is connected, be it a proxy. */
static const union peer *nearest_peer(const struct connection *connection)
{
    const struct handshake *handshake = connection->handshake;
    const union peer *via = handshake == NULL ? NULL : handshake_via(handshake);

    return via == NULL ? &connection->peer : via;
}

/* Return what was agreed with TLS; the texts lie in `facts`. */
static struct identity_tls describe_tls(const struct handshake *handshake, struct tls_facts *facts)
{
    if (handshake == NULL || handshake_tls(handshake, facts) == NULL)
        return (struct identity_tls){.version = NULL};
    return (struct identity_tls){
        .version = facts->version,
        .cipher = facts->cipher,
        .alpn = facts->protocol,
        .name = facts->server_name,
        .subject = facts->subject,
    };
}

static size_t write_identity(const struct connection *connection, struct proxy_facts *proxy,
                             char bytes[IDENTITY_SIZE])
{
    char client[ADDRESS_TEXT_SIZE], local[ADDRESS_TEXT_SIZE];
    struct tls_facts facts;
    const struct identify_subject subject = {
        .id = connection->id,
        .client = client,
        .local = local,
        .proxy = proxy,
        .tls = describe_tls(connection->handshake, &facts),
    };

    peer_format(nearest_peer(connection), client);
    identify_format_local(channel_socket(&connection->transfer.channel), local);
    return identify_write(&connection->group->identify, &subject, bytes, IDENTITY_SIZE);
}

int greet_begin(struct connection *connection)
{
    struct handshake *handshake = connection->handshake;
    struct proxy_facts *proxy = handshake == NULL ? NULL : handshake_take_facts(handshake);
    char bytes[IDENTITY_SIZE];
    const size_t length = write_identity(connection, proxy, bytes);

    free(proxy);
    connection->state = CONNECTION_GREETING;
    return transfer_greet(&connection->transfer, bytes, length);
}
