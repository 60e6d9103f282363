/*
 * openssl_reason: why OpenSSL refused something, in a word or two of its own, and sentences of
 * that. Decides nothing. Called by certificate, and by whoever makes an SSL_CTX: tls_context.
 */
#ifndef BASE_OPENSSL_REASON_H
#define BASE_OPENSSL_REASON_H

#include "base/error.h"

/*
 * Return the reason of the first error in this thread's queue, "no start line", which is valid for
 * ever, and empty the queue. errno becomes ENOMEM if that is among them or memory has lacked, and
 * otherwise EINVAL.
 */
const char *openssl_take_reason(void);

/*
 * Write what OpenSSL refused and why, "WHAT: EXPLANATION: REASON; ADVICE", where there may be no
 * explanation (NULL); or that memory is short, where that is the reason. The rest is as above.
 */
void openssl_explain(struct error *error, const char *what, const char *explanation,
                     const char *advice);

#endif
