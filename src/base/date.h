/*
 * date: the time of the wall clock.
 * Measures nothing, since that clock may be set; clock does. Writes no date; log_format does.
 * Called by whatever tells when something was, or judges a certificate.
 */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <time.h>

/*
 * Return the time since 1970. It is 0 where the system cannot tell it, as from 2038 on where time_t
 * has 32 bits (EOVERFLOW in glibc 2.36).
 */
struct timespec date_now(void);

#endif
