#include <config.h>

#include "echoprobe/greeting.h"

#include <string.h>

static enum greeting_outcome judge_beginning(const struct greeting *greeting)
{
    if (!identity_may_begin(greeting->text, greeting->length) || greeting->length == IDENTITY_SIZE)
        return GREETING_STRANGE;
    return GREETING_INCOMPLETE;
}

enum greeting_outcome greeting_take(struct greeting *greeting, const unsigned char *bytes,
                                    size_t length, size_t *taken)
{
    const size_t room = IDENTITY_SIZE - greeting->length;
    const size_t most = length < room ? length : room;
    const unsigned char *end = memchr(bytes, '\n', most);

    *taken = end == NULL ? most : (size_t)(end - bytes);
    memcpy(greeting->text + greeting->length, bytes, *taken);
    greeting->length += *taken;
    greeting->text[greeting->length] = '\0';
    if (end == NULL)
        return judge_beginning(greeting);
    ++*taken;
    return strlen(greeting->text) == greeting->length && identity_read(greeting->text, NULL, 0) == 0
               ? GREETING_WHOLE
               : GREETING_STRANGE;
}

bool greeting_is_unasked(const unsigned char *bytes, size_t length)
{
    enum { PROOF = 6 }; /* the name of the first word: no coincidence */

    return length >= PROOF && identity_may_begin((const char *)bytes, length);
}

/* Tell whether what came is what was sent. Of a line feed alone, `text` is empty. */
static bool is_echo(const struct greeting *greeting, const struct pattern *pattern, uint64_t number)
{
    const char *bytes = greeting->length > 0 ? greeting->text : "\n";
    const size_t length = greeting->length > 0 ? greeting->length : 1;

    return pattern_match(pattern, number, 0, bytes, length) == length;
}

void greeting_judge(const struct greeting *greeting, const struct pattern *pattern, uint64_t number,
                    struct fault *fault)
{
    if (identity_may_begin(greeting->text, greeting->length) && greeting->length == IDENTITY_SIZE)
        fault_set(fault, FAULT_UNIDENTIFIED, 0, 0, "the identity is longer than %d bytes",
                  IDENTITY_SIZE);
    else if (is_echo(greeting, pattern, number))
        fault_set(fault, FAULT_UNIDENTIFIED, 0, 0,
                  "the service echoes, and does not say who it is");
    else
        fault_set(fault, FAULT_UNIDENTIFIED, 0, 0,
                  "the connection begins with something else than an identity: %.80s",
                  greeting->length > 0 ? greeting->text : "an empty line");
}
