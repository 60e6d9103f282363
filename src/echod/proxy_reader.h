/*
 * proxy_reader: takes the header of the PROXY protocol from a socket, and not a byte more.
 * Has no deadline, and trusts anybody; handshake does not.
 * Called by handshake.
 */
#ifndef ECHOD_PROXY_READER_H
#define ECHOD_PROXY_READER_H

#include "base/error.h"
#include "base/proxy_header.h"

#include <stddef.h>

enum { PROXY_READER_LEAST_SIZE = 256 }; /* all but headers with many extensions fit */

/* What came of a header. All zeros: nothing yet. */
struct proxy_reader {
    unsigned char *bytes; /* owned */
    size_t length;
    size_t size; /* of the memory, PROXY_HEADER_MAX_SIZE at most */
};

enum proxy_reading {
    PROXY_READING_DONE,
    PROXY_READING_INCOMPLETE, /* what is there was taken; read again when there is more */
    PROXY_READING_INVALID,    /* `error` says what is wrong; nothing was taken */
    PROXY_READING_ENDED,      /* the socket says FIN */
    PROXY_READING_FAILED,     /* errno says why: an error of the socket, or ENOMEM */
};

/*
 * Read from a socket, which does not block, a header of one of these versions (PROXY_ANY: either),
 * as far as it is there: a deadline may be due next.
 * When it is done, `header` is set; its texts lie in the reader.
 */
enum proxy_reading proxy_reader_read(struct proxy_reader *reader, int fd,
                                     enum proxy_version versions, struct proxy_header *header,
                                     struct error *error);

/* Free its memory. It is all zeros again. */
void proxy_reader_fini(struct proxy_reader *reader);

#endif
