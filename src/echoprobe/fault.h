/*
 * fault: what is wrong with an echo, found out from the bytes that came, in a word and a sentence.
 * Knows no sockets and keeps no count.
 * Called by verifier and datagram to judge bytes, by tally and silence for other faults, by report,
 * report_json and plugin for the word.
 */
#ifndef ECHOPROBE_FAULT_H
#define ECHOPROBE_FAULT_H

#include "echoprobe/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_CONNECT,      /* no connection could be made, */
    FAULT_HANDSHAKE,    /* or no TLS on it, */
    FAULT_UNVERIFIED,   /* or its certificate was not accepted */
    FAULT_UNSENT,       /* a message was due and could not be sent */
    FAULT_REFUSED,      /* the network answered a datagram with an error */
    FAULT_LOST,         /* bytes, or a whole answer, did not come */
    FAULT_DUPLICATED,   /* bytes came once more */
    FAULT_REORDERED,    /* later bytes came before earlier ones */
    FAULT_TRUNCATED,    /* the end came too early */
    FAULT_FOREIGN,      /* bytes that another connection sent */
    FAULT_CORRUPTED,    /* bytes were changed where they stand */
    FAULT_INSERTED,     /* bytes that nobody sent came in between */
    FAULT_RESET,        /* the connection was broken */
    FAULT_MISADDRESSED, /* the answer came from another address than was asked */
    FAULT_UNIDENTIFIED, /* the service does not say who it is */
    FAULT_KINDS
};

enum { FAULT_TEXT_SIZE = 256 };

struct fault {
    enum fault_kind kind;
    uint64_t offset; /* of the first byte that is wrong, in the stream or the datagram */
    uint64_t count;  /* how many bytes are missing, wrong or too many */
    uint64_t extent; /* FAULT_CORRUPTED: from the first wrong byte to behind the last */
    char text[FAULT_TEXT_SIZE];
};

/* Return the kind in one word, as reports and JSON have it. */
const char *fault_name(enum fault_kind kind);

/* Tell whether no connection was made. */
bool fault_is_of_connecting(enum fault_kind kind);

/* Write a fault with a sentence, printf-style. */
void fault_set(struct fault *fault, enum fault_kind kind, uint64_t offset, uint64_t count,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Judge what came on connection `number` instead of the bytes from `position` on, of which those
 * up to `sent` had been sent. There is at least one byte, and the first is wrong.
 * FAULT_CORRUPTED means that the stream goes on in place, `extent` bytes behind the first wrong
 * one.
 */
void fault_judge_stream(const struct pattern *pattern, uint64_t number, uint64_t position,
                        uint64_t sent, const unsigned char *bytes, size_t length,
                        struct fault *fault);

/*
 * Judge a datagram of `length` bytes that is not the one of `size` bytes which `number` sent and
 * whose first byte has this position. FAULT_NONE: it is that one.
 */
void fault_judge_datagram(const struct pattern *pattern, uint64_t number, uint64_t position,
                          size_t size, const unsigned char *bytes, size_t length,
                          struct fault *fault);

#endif
