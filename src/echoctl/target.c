#include <config.h>

#include "echoctl/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void append(struct target *target, const char *text)
{
    const size_t room = sizeof target->text - target->length;
    const int length = snprintf(target->text + target->length, room, "%s", text);

    target->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* Append text with all but the unreserved characters encoded (RFC 3986, 2.3). */
static void append_encoded(struct target *target, const char *text)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._~";

    for (; *text != '\0'; text++) {
        char encoded[4] = {*text, '\0'};

        if (strchr(unreserved, *text) == NULL)
            (void)snprintf(encoded, sizeof encoded, "%%%02X", (unsigned char)*text);
        append(target, encoded);
    }
}

void target_begin(struct target *target, const char *path)
{
    target->length = 0;
    append(target, path);
}

void target_add_segment(struct target *target, const char *segment)
{
    append(target, "/");
    append_encoded(target, segment);
}

void target_add_text(struct target *target, const char *name, const char *value)
{
    if (value == NULL)
        return;
    append(target, strchr(target->text, '?') == NULL ? "?" : "&");
    append(target, name);
    append(target, "=");
    append_encoded(target, value);
}

void target_add_number(struct target *target, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    target_add_text(target, name, text);
}
