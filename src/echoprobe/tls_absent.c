/*
 * tls_absent: what stands for tls_setup and tls_client in a build without OpenSSL.
 * Makes no setup, so nobody comes to the rest.
 * Called as those are.
 */
#include <config.h>

#include "echoprobe/tls_client.h"
#include "echoprobe/tls_setup.h"

#include <errno.h>
#include <stdlib.h>

struct tls_setup *tls_setup_new(const struct tls_plan *plan, const struct address *address,
                                struct error *error)
{
    (void)plan;
    (void)address;
    error_set(error, "this echoprobe was built without OpenSSL; build it with --with-openssl to "
                     "speak TLS");
    errno = EINVAL;
    return NULL;
}

void tls_setup_free(struct tls_setup *setup)
{
    (void)setup;
}

struct tls_client *tls_client_new(struct tls_setup *setup, int fd)
{
    (void)setup;
    (void)fd;
    abort();
}

void tls_client_free(struct tls_client *client)
{
    (void)client;
    abort();
}

int tls_client_shake_hands(struct tls_client *client)
{
    (void)client;
    abort();
}

ssize_t tls_client_send(struct tls_client *client, const void *bytes, size_t length)
{
    (void)client;
    (void)bytes;
    (void)length;
    abort();
}

ssize_t tls_client_receive(struct tls_client *client, void *bytes, size_t size)
{
    (void)client;
    (void)bytes;
    (void)size;
    abort();
}

bool tls_client_has_more(const struct tls_client *client)
{
    (void)client;
    abort();
}

bool tls_client_is_crossed(const struct tls_client *client)
{
    (void)client;
    abort();
}

int tls_client_finish(struct tls_client *client)
{
    (void)client;
    abort();
}

void tls_client_explain(const struct tls_client *client, int failure, struct fault *fault)
{
    (void)client;
    (void)failure;
    (void)fault;
    abort();
}

void tls_client_tell(const struct tls_client *client, struct tls_facts *facts)
{
    (void)client;
    (void)facts;
    abort();
}
