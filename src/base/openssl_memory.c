#include <config.h>

#include "base/openssl_memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static _Thread_local bool has_lacked; /* since openssl_memory_has_lacked was asked */

/* Of no bytes, nothing is what malloc may return as well. */
static void *note(void *bytes, size_t size)
{
    if (bytes == NULL && size > 0)
        has_lacked = true;
    return bytes;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return note(malloc(size), size);
}

static void *resize(void *bytes, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return note(realloc(bytes, size), size);
}

static void release(void *bytes, const char *file, int line)
{
    (void)file, (void)line;
    free(bytes);
}

void openssl_memory_watch(void)
{
    (void)CRYPTO_set_mem_functions(allocate, resize, release);
    has_lacked = false;
}

bool openssl_memory_has_lacked(void)
{
    const bool answer = has_lacked;

    has_lacked = false;
    return answer;
}
