/*
 * openssl_reason: why OpenSSL refused something, in a word or two of its own.
 * Decides nothing, and writes no sentence.
 * Called by certificate, and by whoever makes an SSL_CTX: tls_context.
 */
#ifndef BASE_OPENSSL_REASON_H
#define BASE_OPENSSL_REASON_H

/*
 * Return the reason of the first error in this thread's queue, "no start line", which is valid for
 * ever, and empty the queue. errno becomes ENOMEM if that is the reason, and otherwise EINVAL.
 */
const char *openssl_take_reason(void);

#endif
