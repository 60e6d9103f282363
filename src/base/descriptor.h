/*
 * descriptor: what is done with file descriptors of any kind.
 * Owns none.
 * Called by whatever opens or is handed one.
 */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#include <stdbool.h>

/* Close a descriptor, unless it is negative, and leave errno as it is. */
void descriptor_close(int fd);

/* Make a descriptor non-blocking and close-on-exec. Return 0, or -1 with errno. */
int descriptor_prepare(int fd) __attribute__((warn_unused_result));

/* Tell whether two descriptors refer to one socket. */
bool descriptor_is_same_socket(int fd, int other_fd);

#endif
