/*
 * lookup: looks up the hosts of addresses in a thread of its own, since nobody can say how long
 * that takes and nothing can interrupt it.
 * Opens nothing; sockets does.
 * Called by reload before the addresses change, by sockets, and by inet for what was found.
 */
#ifndef ECHOD_LOOKUP_H
#define ECHOD_LOOKUP_H

#include "echod/listen.h"

#include <netdb.h>
#include <stdbool.h>

struct lookup;

/* Called once, from the thread, when everything was looked up. */
typedef void lookup_callback(void *argument);

/*
 * Begin to look up the hosts of a list, which is not needed any more when this returns. The caller
 * frees the lookup. Return NULL with errno.
 */
struct lookup *lookup_start(const struct listen_list *addresses, lookup_callback *on_found,
                            void *argument);

/* Tell whether everything was looked up, and `on_found` was called. */
bool lookup_is_over(struct lookup *lookup);

/*
 * Free the lookup. If the thread is still at work it goes on by itself, and calls nobody: when this
 * returns, `on_found` was called or never will be. NULL is fine.
 */
void lookup_free(struct lookup *lookup);

/*
 * Look up the host of an address, in `lookup` if it stands there, which must have been found. NULL
 * asks the system. The caller frees what is found with freeaddrinfo.
 * Return 0 or the EAI_* of getaddrinfo(3).
 */
int lookup_find(struct lookup *lookup, const struct address *address, struct addrinfo **found)
    __attribute__((warn_unused_result));

#endif
