/*
 * fuzz_json: what must be true of JSON that was taken, and of the head of an answer.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "echoctl/http_message.h"
#include "echoctl/json.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Whatever lies in a value lies within it, in order. */
static void check_value(const char *value)
{
    char text[16];

    fuzz_require(json_end(value) > value);
    fuzz_require(json_text(value, text, sizeof text) == (*value == '"'));
    fuzz_require(strlen(text) < sizeof text);
    fuzz_require(json_real(value) >= 0 || *value == '-');
    for (const char *each = json_first(value); each != NULL; each = json_next(each)) {
        fuzz_require(each > value && json_end(each) < json_end(value));
        check_value(each);
    }
    if (json_member(value, "a") != NULL) {
        fuzz_require(json_member(value, "a") > value);
        check_value(json_member(value, "a"));
    }
}

/* What a head says does not change with what comes behind it. */
static void check_head(const char *bytes, size_t length)
{
    struct http_head head, again;

    if (http_message_read_head(bytes, length, &head) != HTTP_HEAD_WHOLE)
        return;
    fuzz_require(head.size <= length);
    fuzz_require(http_message_read_head(bytes, head.size, &again) == HTTP_HEAD_WHOLE);
    fuzz_require(again.size == head.size && again.status == head.status);
    fuzz_require(http_message_read_head(bytes, head.size - 1, &again) == HTTP_HEAD_PARTIAL);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);
    const char *value;

    value = json_begin(text);
    if (value != NULL)
        check_value(value);
    check_head(text, length);
    free(text);
    return 0;
}
