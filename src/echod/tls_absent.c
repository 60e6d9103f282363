/*
 * tls_absent: what an echod that was built without OpenSSL has instead of TLS. options_check lets
 * nobody ask for it.
 */
#include <config.h>

#include "echod/tls_context.h"
#include "echod/tls_notes.h"

#include <errno.h>

struct tls_context *tls_context_new(const struct listener_options *options, struct error *error)
{
    (void)options;
    error_set(error, "this echod was built without OpenSSL; install one that has TLS, or listen "
                     "without it");
    errno = ENOSYS;
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    (void)context;
}

struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context)
{
    (void)context;
    return NULL;
}

void tls_notes_tell(const struct tls_context *context, const char *listener,
                    tls_note_callback *on_note, void *argument)
{
    (void)context;
    (void)listener;
    (void)on_note;
    (void)argument;
}
