/*
 * mtu: searches the largest datagram that returns, and the largest that goes there in one piece.
 * Leaves to datagram what an answer is worth, and to bisect the order of the search.
 * Called by start for check, which runs it.
 */
#ifndef ECHOPROBE_MTU_H
#define ECHOPROBE_MTU_H

#include "echoprobe/check.h"

/* Return the kind; static. */
const struct check_kind *mtu_check(void);

#endif
