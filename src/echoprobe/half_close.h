/*
 * half_close: sends --size bytes and FIN: all of them must return, then the other end's FIN.
 * Stays with one connection; flow has many.
 * Called by start for check, which runs it.
 */
#ifndef ECHOPROBE_HALF_CLOSE_H
#define ECHOPROBE_HALF_CLOSE_H

#include "echoprobe/check.h"

/* Return the kind; static. */
const struct check_kind *half_close_check(void);

#endif
