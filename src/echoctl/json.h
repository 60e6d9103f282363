/*
 * json: values out of a JSON text (RFC 8259), where they stand: nothing is copied or built.
 * Knows no object by its name, and prints nothing.
 * Called by answers, and by whatever shows one.
 */
#ifndef ECHOCTL_JSON_H
#define ECHOCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH = 32 }; /* arrays and objects within each other, at most */

/*
 * Check a whole text, and return its value; or NULL if it is no JSON, or nested too deep. A value
 * is the place where it begins, and valid as long as the text is. Each function takes NULL as well,
 * for a value that is not there.
 */
const char *json_begin(const char *text);

/* Return the place behind a value. */
const char *json_end(const char *value);

/* Return a member of an object, or NULL. Names are compared as they are written. */
const char *json_member(const char *object, const char *name);

/* Return the first element of an array, or NULL; and the one behind an element, or NULL. */
const char *json_first(const char *array);
const char *json_next(const char *element);

/*
 * Copy a string, decoded and NUL-terminated, into `size` bytes, at least 4; what does not fit is
 * cut behind a whole character and ends in "...". Return false, with an empty text, if it is no
 * string.
 */
bool json_text(const char *value, char *text, size_t size);

/* Return a number without its fraction, or 0 if it is none, negative, or too large. */
uint64_t json_number(const char *value);

/* Return a number, or 0 if it is none. */
double json_real(const char *value);

bool json_is_true(const char *value);

#endif
