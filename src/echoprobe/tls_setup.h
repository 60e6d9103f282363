/*
 * tls_setup: how echoprobe speaks TLS in this run: whom it trusts, who it is, whom it expects.
 * Speaks to nobody; tls_client does, with what is made here.
 * Called by start to make it, and by tls_client for each connection, from several threads.
 */
#ifndef ECHOPROBE_TLS_SETUP_H
#define ECHOPROBE_TLS_SETUP_H

#include "base/address.h"
#include "base/error.h"
#include "echoprobe/tls_plan.h"

struct ssl_st;
struct tls_setup;

/*
 * Read the files that the plan names and make what connections to this address share. The caller
 * frees it. The plan must outlive it.
 * Return NULL with errno, ENOMEM if that is the reason, and with a sentence in `error`: a file
 * cannot be used, nobody is named whom to expect, or there is no TLS in this build.
 */
struct tls_setup *tls_setup_new(const struct tls_plan *plan, const struct address *address,
                                struct error *error) __attribute__((warn_unused_result));

/* NULL is fine. */
void tls_setup_free(struct tls_setup *setup);

/*
 * Make OpenSSL's object for a connected socket, of a client that knows whom it expects. The caller
 * frees it. Return NULL without memory.
 */
struct ssl_st *tls_setup_open(struct tls_setup *setup, int fd);

/* Return whom the certificate has to name. */
const char *tls_setup_expected(const struct tls_setup *setup);

/* Return what it was made of. */
const struct tls_plan *tls_setup_plan(const struct tls_setup *setup);

#endif
