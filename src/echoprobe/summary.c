#include <config.h>

#include "echoprobe/summary.h"

#include "base/units.h"
#include "echoprobe/text.h"

#include <inttypes.h>
#include <unistd.h>

enum { BAR_MIN = 5, BAR_MAX = 50, BAR_REST = 24 /* columns beside a bar */ };

static const double percentiles[] = {50, 90, 95, 99, 99.9, 99.99};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

void summary_format_per_second(double number, const char *unit, char text[SUMMARY_TEXT_SIZE])
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    size_t prefix = 0;

    while (number >= 1000 && prefix + 1 < LENGTH(prefixes)) {
        number /= 1000;
        prefix++;
    }
    (void)snprintf(text, SUMMARY_TEXT_SIZE, "%.3g %s%s/s", number, prefixes[prefix], unit);
}

const char *summary_connections(const struct options *options)
{
    if (options->target.scheme == ADDRESS_UDP)
        return options->connections == 1 ? "socket" : "sockets";
    return options->connections == 1 ? "connection" : "connections";
}

/* --- Counts ---------------------------------------------------------------------------------- */

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void add_if_any(struct text_list *list, uint64_t count, const char *word)
{
    if (count > 0)
        text_list_add(list, "%" PRIu64 " %s", count, word);
}

static void print_counts(FILE *stream, const struct tally *tally)
{
    struct text_list list = text_list_begin(stream);

    text_list_add(&list, "%" PRIu64 " sent", tally->sent);
    text_list_add(&list, "%" PRIu64 " received", tally->received);
    text_list_add(&list, "%" PRIu64 " lost (%.1f%%)", tally->lost, share(tally->lost, tally->sent));
    text_list_add(&list, "%" PRIu64 " corrupted", tally->corrupted);
    add_if_any(&list, tally->unsent, "unsent");
    add_if_any(&list, tally->late, "late");
    add_if_any(&list, tally->duplicated, "duplicated");
    add_if_any(&list, tally->reordered, "reordered");
    text_list_end(&list);
}

static void print_downtime(const struct options *options, const struct tally *tally)
{
    struct text_list list = text_list_begin(stdout);

    if (tally->outages == 0)
        return;
    text_list_add(&list, "%" PRIu64 " %s", tally->outages,
                  tally->outages == 1 ? "outage" : "outages");
    text_list_add(&list, "%.3f s without an answer%s",
                  tally_downtime_seconds(tally, options->connections),
                  options->connections > 1 ? " on average" : "");
    if (tally->outages > 1)
        text_list_add(&list, "the longest %.3f s", seconds(tally->longest_outage_ns));
    text_list_end(&list);
}

static void print_faults(const struct tally *tally)
{
    struct text_list list = text_list_begin(stdout);
    const char *begin = "faults: ";

    for (int kind = FAULT_CONNECT + 1; kind < FAULT_KINDS; kind++) {
        if (tally->faults[kind] == 0)
            continue;
        text_list_add(&list, "%s%" PRIu64 " %s", begin, tally->faults[kind],
                      fault_name((enum fault_kind)kind));
        begin = "";
    }
    text_list_end(&list);
}

static void print_attempts(const struct tally *tally)
{
    if (tally->connects_failed > 0)
        (void)printf("%" PRIu64 " of %" PRIu64 " attempts to connect failed\n",
                     tally->connects_failed, tally->connects + tally->connects_failed);
}

static void print_closed(const struct tally *tally)
{
    if (tally->closed == 0)
        return;
    (void)printf("%" PRIu64 " %s closed by the other end, %safter %" PRIu64 " %s\n", tally->closed,
                 tally->closed == 1 ? "connection was" : "connections were",
                 tally->closed == 1 ? "" : "the first ", tally->closed_after_bytes,
                 units_bytes(tally->closed_after_bytes));
}

/* --- Round trips ----------------------------------------------------------------------------- */

static void print_round_trips(FILE *stream, const struct tally *tally)
{
    const struct histogram *rtt = &tally->rtt_ns;
    struct text_list list = text_list_begin(stream);

    if (rtt->count == 0)
        return;
    text_list_add(&list, "min %.3f ms", ms(rtt->smallest));
    text_list_add(&list, "mean %.3f ms", tally_mean_ns(tally) / 1e6);
    text_list_add(&list, "max %.3f ms", ms(rtt->largest));
    text_list_add(&list, "deviation %.3f ms", tally_deviation_ns(tally) / 1e6);
    text_list_end(&list);
    text_list_add(&list, "median %.3f ms", ms(histogram_quantile(rtt, 0.5)));
    text_list_add(&list, "p95 %.3f ms", ms(histogram_quantile(rtt, 0.95)));
    text_list_add(&list, "p99 %.3f ms", ms(histogram_quantile(rtt, 0.99)));
    text_list_add(&list, "jitter %.3f ms", ms(tally_jitter_ns(tally)));
    text_list_end(&list);
}

/* An answer to one that is lost, or a second one, counts for another that is under way. */
static void print_doubts(FILE *stream, const struct options *options, const struct tally *tally)
{
    if (options_have_no_echo(options) && tally_is_uncertain(tally))
        (void)fputs("identities do not tell what they answer: times and loss are uncertain\n",
                    stream);
}

static void print_handshakes(FILE *stream, const struct tally *tally)
{
    const struct histogram *handshake = &tally->handshake_ns;
    struct text_list list = text_list_begin(stream);

    if (handshake->count == 0)
        return;
    text_list_add(&list, "%" PRIu64 " %s", handshake->count,
                  handshake->count == 1 ? "handshake" : "handshakes");
    add_if_any(&list, tally->resumed, "resumed");
    text_list_add(&list, "min %.3f ms", ms(handshake->smallest));
    text_list_add(&list, "mean %.3f ms", ms(handshake->total) / (double)handshake->count);
    text_list_add(&list, "max %.3f ms", ms(handshake->largest));
    text_list_add(&list, "median %.3f ms", ms(histogram_quantile(handshake, 0.5)));
    text_list_end(&list);
}

static uint64_t first_bound(const struct histogram *histogram)
{
    uint64_t bound = 1000;

    while (tally_next_bound(bound) <= histogram->smallest)
        bound = tally_next_bound(bound);
    return bound;
}

static int bar_width(void)
{
    const size_t columns = text_columns(STDOUT_FILENO);

    if (columns < BAR_MIN + BAR_REST)
        return BAR_MIN;
    return columns > BAR_MAX + BAR_REST ? BAR_MAX : (int)(columns - BAR_REST);
}

static void draw_bar(const struct histogram *histogram, uint64_t from, uint64_t to)
{
    const uint64_t begin = from <= 1000 ? 0 : from;
    const uint64_t count = histogram_count_between(histogram, begin, to);
    const double part = (double)count / (double)histogram->count;
    const int full = bar_width();
    const int width = (int)(part * full + 0.5);

    (void)printf("%10g ms |", ms(to));
    for (int i = 0; i < width; i++)
        (void)putchar('#');
    (void)printf("%*s %6.2f%%\n", full - width, "", 100 * part);
}

static void draw_histogram(const struct histogram *histogram)
{
    struct text_list list = text_list_begin(stdout);
    uint64_t from;

    if (histogram->count == 0)
        return;
    (void)puts("round trips, each bar up to");
    from = first_bound(histogram);
    while (from <= histogram->largest || from == first_bound(histogram)) {
        draw_bar(histogram, from, tally_next_bound(from));
        from = tally_next_bound(from);
    }
    for (size_t i = 0; i < LENGTH(percentiles); i++)
        text_list_add(&list, "p%g %.3f ms", percentiles[i],
                      ms(histogram_quantile(histogram, percentiles[i] / 100)));
    text_list_end(&list);
}

/* --- Backends -------------------------------------------------------------------------------- */

/* Print "      6  60.0%  host=web-1 local=192.0.2.7:7". */
static void print_backend(const struct backend *backend, uint64_t total)
{
    char text[BACKENDS_NAMES * (IDENTITY_VALUE_SIZE + 32)] = "";

    for (size_t i = 0; i < BACKENDS_NAMES; i++) {
        const size_t length = strlen(text);

        if (backend->names[i].text[0] != '\0')
            (void)snprintf(text + length, sizeof text - length, " %s=%s", backend->names[i].name,
                           backend->names[i].text);
    }
    (void)printf("%9" PRIu64 " %5.1f%% ", backend->count, share(backend->count, total));
    text_print_whole(stdout, text);
}

void summary_print_backends(const struct options *options, const struct backends *backends)
{
    const bool is_datagram = options->target.scheme == ADDRESS_UDP;

    (void)printf("%zu %s, %" PRIu64 " %s\n", backends->count,
                 backends->count == 1 ? "backend" : "backends", backends->total,
                 is_datagram ? (backends->total == 1 ? "answer" : "answers")
                             : (backends->total == 1 ? "connection" : "connections"));
    for (size_t i = 0; i < backends->count; i++)
        print_backend(&backends->items[i], backends->total);
    if (backends->others > 0)
        (void)printf("%9" PRIu64 " %5.1f%%  others\n", backends->others,
                     share(backends->others, backends->total));
}

/* --- Summary --------------------------------------------------------------------------------- */

static void print_load(const struct options *options, const struct tally *tally,
                       uint64_t elapsed_ns)
{
    const double per_second = tally_per_second(tally, elapsed_ns);
    const double bytes = per_second * (double)options->size_bytes;
    char byte_rate[SUMMARY_TEXT_SIZE], bit_rate[SUMMARY_TEXT_SIZE];
    struct text_list list = text_list_begin(stdout);

    summary_format_per_second(bytes, "B", byte_rate);
    summary_format_per_second(8 * bytes, "bit", bit_rate);
    text_list_add(&list, "%.2f s", seconds(elapsed_ns));
    text_list_add(&list, "%" PRIu64 " %s", options->connections, summary_connections(options));
    text_list_add(&list, "%" PRIu64 " %s", options->threads,
                  options->threads == 1 ? "thread" : "threads");
    text_list_end(&list);
    text_list_add(&list, "%.*f echoes/s", per_second < 10 ? 2 : 0, per_second);
    text_list_add(&list, "%s (%s) each way", byte_rate, bit_rate);
    text_list_end(&list);
    draw_histogram(&tally->rtt_ns);
}

void summary_print(const struct options *options, const char *name, const struct tally *tally,
                   const struct backends *backends, uint64_t elapsed_ns)
{
    text_print(stdout, "--- %s ---", name);
    print_counts(stdout, tally);
    print_downtime(options, tally);
    print_faults(tally);
    print_attempts(tally);
    print_closed(tally);
    print_handshakes(stdout, tally);
    print_round_trips(stdout, tally);
    print_doubts(stdout, options, tally);
    if (backends != NULL)
        summary_print_backends(options, backends);
    if (options->is_load)
        print_load(options, tally, elapsed_ns);
}

void summary_print_interim(FILE *stream, const struct options *options, const struct tally *tally,
                           uint64_t elapsed_ns)
{
    (void)fprintf(stream, "after %.1f s: ", seconds(elapsed_ns));
    print_counts(stream, tally);
    print_handshakes(stream, tally);
    print_round_trips(stream, tally);
    print_doubts(stream, options, tally);
}
