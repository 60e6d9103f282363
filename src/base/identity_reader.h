/*
 * identity_reader: single values out of an identity, as a service wrote it.
 * Pure: receives nothing.
 * Called by echoprobe's greeting and datagram, and by backends.
 */
#ifndef BASE_IDENTITY_READER_H
#define BASE_IDENTITY_READER_H

#include "base/identity.h"

#include <stdbool.h>
#include <stddef.h>

/* Tell whether these bytes are how an identity begins, as far as they go. */
bool identity_may_begin(const char *bytes, size_t length);

/* A value that is looked for. */
struct identity_value {
    const char *name;
    char text[IDENTITY_VALUE_SIZE + 1]; /* without escapes */
};

/*
 * Read an identity of either form, a string without its line feed, and set the values; one that it
 * does not have is empty. U+FFFD stands for a NUL.
 * Return 0, or -1 if it is no identity.
 */
int identity_read(const char *identity, struct identity_value *values, size_t count)
    __attribute__((warn_unused_result));

#endif
