#include <config.h>

#include "echoprobe/tls_facts.h"

#include <stdio.h>
#include <time.h>

enum { DAY_SECONDS = 24 * 3600 };

double tls_facts_days_left(const struct tls_certificate *certificate)
{
    return (double)(certificate->ends - (int64_t)time(NULL)) / DAY_SECONDS;
}

bool tls_facts_is_ending(const struct tls_certificate *certificate, uint64_t days)
{
    return days > 0 && tls_facts_days_left(certificate) < (double)days;
}

void tls_facts_format_time(int64_t time, char text[TLS_TIME_SIZE])
{
    const time_t seconds = (time_t)time;
    struct tm utc;

    if (gmtime_r(&seconds, &utc) == NULL || strftime(text, TLS_TIME_SIZE, "%FT%TZ", &utc) == 0)
        (void)snprintf(text, TLS_TIME_SIZE, "unknown");
}
