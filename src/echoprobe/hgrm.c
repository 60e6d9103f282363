#include <config.h>

#include "echoprobe/hgrm.h"

#include <inttypes.h>
#include <math.h>

/* Lines for each half of the way from a percentile to 1, as HdrHistogram has them by default. */
enum { TICKS_PER_HALF = 5 };

static double ms(double ns)
{
    return ns / 1e6;
}

/* Return the share for which a line stands: the nearer to 1, the smaller the steps. */
static double share_of(int line)
{
    const double left = ldexp(1, -(line / TICKS_PER_HALF)); /* to 1, where its half begins */

    return 1 - left + left / 2 * (line % TICKS_PER_HALF) / TICKS_PER_HALF;
}

static void print_percentiles(FILE *stream, const struct histogram *histogram)
{
    uint64_t below = 0;

    for (int line = 0; below < histogram->count; line++) {
        const double share = share_of(line);
        const uint64_t value = histogram_quantile(histogram, share);

        below = histogram_count_through(histogram, value);
        (void)fprintf(stream, "%12.6f %14.12f %10" PRIu64 " %14.2f\n", ms((double)value), share,
                      below, 1 / (1 - share));
    }
    if (histogram->count > 0)
        (void)fprintf(stream, "%12.6f %14.12f %10" PRIu64 "\n", ms((double)histogram->largest), 1.0,
                      histogram->count);
}

void hgrm_print(FILE *stream, const struct tally *tally)
{
    const struct histogram *histogram = &tally->rtt_ns;

    (void)fprintf(stream, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                  "1/(1-Percentile)");
    print_percentiles(stream, histogram);
    (void)fprintf(stream, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n",
                  ms(tally_mean_ns(tally)), ms(tally_deviation_ns(tally)));
    (void)fprintf(stream, "#[Max     = %12.6f, Total count    = %12" PRIu64 "]\n",
                  ms((double)histogram->largest), histogram->count);
    (void)fprintf(stream, "#[Buckets = %12d, SubBuckets     = %12d]\n", HISTOGRAM_OCTAVES + 1,
                  HISTOGRAM_STEPS);
}
