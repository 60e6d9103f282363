/*
 * openssl_memory: notes when OpenSSL finds no memory: the reasons that it gives then are often
 * those of what came of it, such as "unsupported" (3.0). Keeps nothing in reserve. Called by
 * openssl_reason, openssl_methods, and by whoever uses OpenSSL first: tls_context and tls_setup.
 */
#ifndef BASE_OPENSSL_MEMORY_H
#define BASE_OPENSSL_MEMORY_H

#include <stdbool.h>

/*
 * Begin to note it, or anew in this thread. The first call has to come before OpenSSL is used
 * (OPENSSL_malloc(3), CRYPTO_set_mem_functions).
 */
void openssl_memory_watch(void);

/* Tell whether memory has lacked in this thread since that, or since this was last asked. */
bool openssl_memory_has_lacked(void);

#endif
