/*
 * fuzz: what a fuzz target is, and how it says that something is not true.
 * Chooses no input.
 * Called by every fuzz_*.c.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Try one input, and abort if what must be true is not. Return 0. The name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length);

/* End with the place where something is not true. */
#define fuzz_require(expression)                                                                   \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #expression);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Return an input as a string; free it. It is a block of its own, so that a read beyond is seen. */
static inline char *fuzz_text(const unsigned char *input, size_t length)
{
    char *text = calloc(length + 1, 1);

    fuzz_require(text != NULL);
    if (length > 0)
        memcpy(text, input, length);
    return text;
}

#endif
