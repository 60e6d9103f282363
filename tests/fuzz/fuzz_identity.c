/*
 * fuzz_identity: what must be true of the reader of identities, whatever a service sends.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/identity_reader.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = IDENTITY_VALUE_SIZE / 6 }; /* no escape makes it too long to be written whole */

/* Whatever was read can be written, and read again. */
static void check_again(const char *host, enum identity_form form)
{
    const struct identity identity = {.version = "1", .host = host};
    struct identity_value again = {.name = "host"};
    char bytes[IDENTITY_SIZE];
    const size_t length = identity_write(&identity, form, bytes, sizeof bytes);

    fuzz_require(length > 0 && bytes[length - 1] == '\n');
    bytes[length - 1] = '\0';
    fuzz_require(strlen(bytes) == length - 1);
    fuzz_require(identity_may_begin(bytes, length - 1));
    fuzz_require(identity_read(bytes, &again, 1) == 0);
    if (form == IDENTITY_LINE) /* JSON has no bytes that are no UTF-8 */
        fuzz_require(strcmp(again.text, host) == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    struct identity_value values[] = {{.name = "host"}, {.name = "echod"}};
    char *text = fuzz_text(input, length);
    int status;

    status = identity_read(text, values, 2);
    for (size_t i = 0; i < strlen(text) && status == 0; i++)
        fuzz_require(identity_may_begin(text, i));
    free(text);
    for (size_t i = 0; i < 2; i++)
        fuzz_require(strlen(values[i].text) <= IDENTITY_VALUE_SIZE);
    if (status == 0 && strlen(values[0].text) <= SHORT) {
        check_again(values[0].text, IDENTITY_LINE);
        check_again(values[0].text, IDENTITY_JSON);
    }
    return 0;
}
