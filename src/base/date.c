#include <config.h>

#include "base/date.h"

struct timespec date_now(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return (struct timespec){0};
    return now;
}
