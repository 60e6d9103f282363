#include <config.h>

#include "echoprobe/tls_facts.h"

#include "base/date.h"

#include <time.h>

enum { DAY_SECONDS = 24 * 3600 };

double tls_facts_days_left(const struct tls_certificate *certificate)
{
    return (double)(certificate->ends - (int64_t)date_now().tv_sec) / DAY_SECONDS;
}

bool tls_facts_is_ending(const struct tls_certificate *certificate, uint64_t days)
{
    return days > 0 && tls_facts_days_left(certificate) < (double)days;
}
