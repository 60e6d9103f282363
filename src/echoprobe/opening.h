/*
 * opening: what is known of a connection when it opens, as plain data.
 * Lives as long as the call that hands it over.
 * Called by stream to fill it in, and by flow_stream, load, check and report to pass it on and tell
 * it.
 */
#ifndef ECHOPROBE_OPENING_H
#define ECHOPROBE_OPENING_H

#include "echoprobe/tls_facts.h"

#include <stddef.h>

struct opening {
    const char *peer;            /* lives as long as the target */
    const struct tls_facts *tls; /* NULL: plain */
};

#endif
