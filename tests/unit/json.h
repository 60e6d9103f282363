/*
 * json: a small reader of JSON: one line, which is one object of strings and numbers.
 * Is stricter than a reader need be: what it does not know is no JSON.
 * Called by the tests of whatever writes JSON.
 */
#ifndef TESTS_UNIT_JSON_H
#define TESTS_UNIT_JSON_H

#include <stddef.h>
#include <stdint.h>

struct json_member {
    char *name;
    char *text; /* NULL: a number */
    uint64_t number;
};

struct json_line {
    struct json_member members[200];
    size_t count;
};

/*
 * Read an object of one line, without its newline. Return NULL if that is no such JSON; otherwise
 * the caller frees it.
 */
struct json_line *json_read(const char *text);

void json_free(struct json_line *line);

/* End the test unless the member at a place has this name and text, or, if that is NULL, number. */
void json_check_member(const struct json_line *line, size_t place, const char *name,
                       const char *text, uint64_t number);

#endif
