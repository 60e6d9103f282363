/*
 * pem_file: what a file of certificates or keys holds, read whole, and who else may read it.
 * Knows nothing of what stands in it.
 * Called by certificate.
 */
#ifndef BASE_PEM_FILE_H
#define BASE_PEM_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { PEM_FILE_SIZE = 1 << 20 }; /* no file is larger, such as the CAs of a whole system */

struct pem_file {
    char *memory;     /* owned, all that was read */
    const char *text; /* in it, without the mark that some editors begin a file with */
    size_t length;    /* of the text */
    bool is_exposed;  /* others than its owner and its group may read or write it */
};

/*
 * Read a regular file, so that nothing can hang. `what` is what the sentence calls it: "key".
 * Return 0; or -1 with errno and a sentence in `error`, which names the user if he may not read it.
 */
int pem_file_read(struct pem_file *file, const char *what, const char *path, struct error *error)
    __attribute__((warn_unused_result));

/* Wipe it out of memory and free it. */
void pem_file_free(struct pem_file *file);

#endif
