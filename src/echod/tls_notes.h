/*
 * tls_notes: what an operator is to know of a listener's certificates: whose they are, when they
 * end, and what looks wrong with them though they can be used.
 * Refuses nothing; tls_context does.
 * Called by endpoint, for the log, and by main, for a check.
 */
#ifndef ECHOD_TLS_NOTES_H
#define ECHOD_TLS_NOTES_H

#include "base/log_format.h"
#include "echod/tls_context.h"

#include <stdint.h>
#include <time.h>

enum { TLS_NOTE_FIELDS = 6 };

/* It is valid during the call. */
struct tls_note {
    enum log_level level; /* info, or warning if somebody ought to do something */
    const char *text;
    struct log_field fields[TLS_NOTE_FIELDS];
    size_t field_count;
};

typedef void tls_note_callback(const struct tls_note *note, void *argument);

/* Tell all there is to know now of a listener of this name, "tls://127.0.0.1:7". */
void tls_notes_tell(const struct tls_context *context, const char *listener,
                    tls_note_callback *on_note, void *argument);

/* Warn of no more than what ends soon at this time, or has ended. */
void tls_notes_tell_ends(const struct tls_context *context, const char *listener, time_t now,
                         tls_note_callback *on_note, void *argument);

/*
 * Return when the first of its certificates ends, or of the issuers that are shown with them, in
 * seconds since 1970.
 */
uint64_t tls_notes_first_end(const struct tls_context *context);

#endif
