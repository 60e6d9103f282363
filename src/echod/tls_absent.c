/*
 * tls_absent: what an echod that was built without OpenSSL has instead of TLS: no context can be
 * had, and so nobody ever has a session. options_check lets nobody ask for it.
 */
#include <config.h>

#include "echod/tls_context.h"
#include "echod/tls_notes.h"
#include "echod/tls_session.h"

#include <errno.h>
#include <stdlib.h>

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

const char *tls_context_library_version(void)
{
    return "";
}

void tls_notes_tell(const struct tls_context *context, const char *listener,
                    tls_note_callback *on_note, void *argument)
{
    (void)context;
    (void)listener;
    (void)on_note;
    (void)argument;
}

void tls_notes_tell_ends(const struct tls_context *context, const char *listener, time_t now,
                         tls_note_callback *on_note, void *argument)
{
    (void)context;
    (void)listener;
    (void)now;
    (void)on_note;
    (void)argument;
}

uint64_t tls_notes_first_end(const struct tls_context *context)
{
    (void)context;
    abort();
}

void tls_reserve_fini(struct tls_reserve *reserve)
{
    (void)reserve;
}

struct bufferevent *tls_session_new(struct tls_session **session, struct tls_reserve *reserve,
                                    struct tls_context *context, struct event_base *base, int fd,
                                    bool reads_ahead)
{
    (void)session, (void)reserve, (void)context, (void)base, (void)fd, (void)reads_ahead;
    abort();
}

enum tls_shaking tls_session_shake(struct tls_session *session)
{
    (void)session;
    abort();
}

ssize_t tls_session_read(struct tls_session *session, void *bytes, size_t size)
{
    (void)session, (void)bytes, (void)size;
    abort();
}

ssize_t tls_session_write(struct tls_session *session, const void *bytes, size_t length,
                          bool more_follows)
{
    (void)session, (void)bytes, (void)length, (void)more_follows;
    abort();
}

bool tls_session_may_have_more(struct tls_session *session)
{
    (void)session;
    abort();
}

bool tls_session_has_pending(const struct tls_session *session)
{
    (void)session;
    abort();
}

int tls_session_close(struct tls_session *session)
{
    (void)session;
    abort();
}

int tls_session_errno(struct tls_session *session, struct bufferevent *bufferevent)
{
    (void)session, (void)bufferevent;
    abort();
}

const char *tls_session_failure(const struct tls_session *session)
{
    (void)session;
    abort();
}

bool tls_session_is_truncated(const struct tls_session *session)
{
    (void)session;
    abort();
}

bool tls_session_has_received(const struct tls_session *session)
{
    (void)session;
    abort();
}

bool tls_session_is_resumed(const struct tls_session *session)
{
    (void)session;
    abort();
}

bool tls_session_describe(const struct tls_session *session, struct tls_facts *facts)
{
    (void)session, (void)facts;
    abort();
}
