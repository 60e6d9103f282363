/*
 * greeting: the line that a service sends first: the identity, as far as it has come.
 * Receives nothing, and waits for nobody.
 * Called by stream, and by verifier and datagram, which name one that was not asked for.
 */
#ifndef ECHOPROBE_GREETING_H
#define ECHOPROBE_GREETING_H

#include "base/identity_reader.h"
#include "echoprobe/fault.h"
#include "echoprobe/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum greeting_outcome {
    GREETING_INCOMPLETE,
    GREETING_WHOLE,   /* `text` is the identity, without its line feed */
    GREETING_STRANGE, /* it is something else */
};

/* All zeros: nothing came yet. */
struct greeting {
    size_t length;
    char text[IDENTITY_SIZE + 1];
};

/*
 * Take what came, up to the line feed, and set how many bytes that were. Bytes that cannot be an
 * identity are told at once; `text` has them then, and those before them.
 */
enum greeting_outcome greeting_take(struct greeting *greeting, const unsigned char *bytes,
                                    size_t length, size_t *taken);

/* Tell whether bytes that nobody asked for are the beginning of an identity. */
bool greeting_is_unasked(const unsigned char *bytes, size_t length);

/* Say what is wrong with what came on connection `number` and is GREETING_STRANGE. */
void greeting_judge(const struct greeting *greeting, const struct pattern *pattern, uint64_t number,
                    struct fault *fault);

#endif
