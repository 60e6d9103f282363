#include <config.h>

#include "echoprobe/report.h"

#include "base/escape.h"
#include "base/units.h"
#include "echoprobe/plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_SIZE = 32, LINE_SIZE = 1024, BAR_WIDTH = 50, PROGRESS_WIDTH = 20 };

static const double percentiles[] = {50, 90, 95, 99, 99.9, 99.99};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* Write bytes a second with a unit of powers of 1000. */
static void format_throughput(double per_second, char text[TEXT_SIZE])
{
    static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    size_t unit = 0;

    while (per_second >= 1000 && unit + 1 < LENGTH(units)) {
        per_second /= 1000;
        unit++;
    }
    (void)snprintf(text, TEXT_SIZE, "%.3g %s", per_second, units[unit]);
}

static double rate(const struct tally *tally, uint64_t elapsed_ns)
{
    return elapsed_ns == 0 ? 0 : (double)tally->received / seconds(elapsed_ns);
}

/* --- A line of text. ------------------------------------------------------------------------- */

/* Print a line, printf-style, in one piece, and escape what comes from outside as the log does. */
__attribute__((format(printf, 2, 0))) static void vprint_line(FILE *stream, const char *format,
                                                              va_list arguments)
{
    char line[LINE_SIZE], shown[LINE_SIZE * ESCAPE_SIZE] = "";
    const char *from = line;
    char *to = shown;

    (void)vsnprintf(line, sizeof line, format, arguments);
    while (*from != '\0') {
        from += escape_character(ESCAPE_TEXT, from, to);
        to += strlen(to);
    }
    (void)fprintf(stream, "%s\n", shown);
}

static void print_line(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print_line(FILE *stream, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprint_line(stream, format, arguments);
    va_end(arguments);
}

/* --- While it runs. -------------------------------------------------------------------------- */

/* Let a line be seen at once. */
static void flush_lines(struct report *report)
{
    if (fflush(stdout) != 0 && report->output_failure == 0)
        report->output_failure = errno;
}

static void clear_line(struct report *report)
{
    if (report->has_line)
        (void)fputs("\r\033[K", stderr);
    report->has_line = false;
}

/* Tell whether the end is all that may be printed: another program reads it. */
static bool is_for_program(const struct options *options)
{
    return options->json || options->plugin;
}

void report_begin(struct report *report, const struct options *options, const struct target *target)
{
    const char *const check = options_check(options);
    const char *const peer = target->places[0].text;

    *report = (struct report){.options = options, .target = target, .peer = peer};
    report->shows_progress =
        options->is_load && !options->quiet && !is_for_program(options) && isatty(STDERR_FILENO);
    if (is_for_program(options))
        return;
    if (options->mtu)
        print_line(stdout, "echoprobe %s (%s), %s", target->name, peer, check);
    else
        print_line(stdout, "echoprobe %s (%s), %" PRIu64 " %s%s%s", target->name, peer,
                   options->size_bytes, units_bytes(options->size_bytes), check != NULL ? ", " : "",
                   check != NULL ? check : "");
    flush_lines(report);
}

static bool shows_lines(const struct report *report)
{
    return !report->options->is_load && !report->options->quiet && !is_for_program(report->options);
}

static void print_time(const struct report *report, FILE *stream)
{
    struct timespec now;

    if (!report->options->timestamps)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)fprintf(stream, "[%lld.%06ld] ", (long long)now.tv_sec, now.tv_nsec / 1000);
}

void report_vline(struct report *report, const char *format, va_list arguments)
{
    if (!shows_lines(report))
        return;
    print_time(report, stdout);
    vprint_line(stdout, format, arguments);
    flush_lines(report);
}

static void say_line(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say_line(struct report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report_vline(report, format, arguments);
    va_end(arguments);
}

void report_echo(struct report *report, const char *peer, uint64_t number, uint64_t rtt_ns)
{
    say_line(report, "%" PRIu64 " %s from %s: seq=%" PRIu64 " time=%.3f ms",
             report->options->size_bytes, units_bytes(report->options->size_bytes), peer,
             number + 1, ms(rtt_ns));
}

static void leave_out(struct report *report)
{
    if (report->leaves_out || report->options->quiet || is_for_program(report->options))
        return;
    clear_line(report);
    (void)fputs("echoprobe: further faults are only counted\n", stderr);
    report->leaves_out = true;
}

/* Print a fault of a load, with what else may be needed to find it. */
static void print_load_fault(const struct report *report, uint64_t connection, uint64_t number,
                             const struct fault *fault)
{
    char owner[TEXT_SIZE] = "";

    if (report->options->connections > 1)
        (void)snprintf(owner, sizeof owner, "connection %" PRIu64 " ", connection);
    print_line(stderr, "echoprobe: %sseq=%" PRIu64 " %s: %s", owner, number + 1,
               fault_name(fault->kind), fault->text);
}

void report_fault(struct report *report, uint64_t connection, uint64_t number,
                  const struct fault *fault)
{
    if (report->fault_count < REPORT_FAULTS) {
        report->faults[report->fault_count++] = *fault;
    } else if (report->options->is_load) {
        leave_out(report);
        return;
    }
    if (report->options->quiet || report->options->plugin)
        return;
    if (shows_lines(report) && fault->kind != FAULT_CONNECT) {
        say_line(report, "seq=%" PRIu64 " %s: %s", number + 1, fault_name(fault->kind),
                 fault->text);
        return;
    }
    if (report->options->json && fault->kind != FAULT_CONNECT)
        return;
    clear_line(report);
    print_time(report, stderr);
    if (fault->kind == FAULT_CONNECT)
        print_line(stderr, "echoprobe: %s", fault->text);
    else
        print_load_fault(report, connection, number, fault);
}

/* Return which part of the run is over, from 0 to 1; below 0: nobody knows. */
static double part_done(const struct options *options, const struct tally *tally,
                        uint64_t elapsed_ns)
{
    double part = -1;

    if (options->duration_ms > 0)
        part = (double)elapsed_ns / ((double)options->duration_ms * 1e6);
    if (options->count > 0 && (double)tally->sent / (double)options->count > part)
        part = (double)tally->sent / (double)options->count;
    return part > 1 ? 1 : part;
}

/* Return the columns of the terminal; 80 where it does not say. */
static size_t terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Append to a line, printf-style; what has no room is cut. */
static void append(char line[LINE_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char line[LINE_SIZE], const char *format, ...)
{
    const size_t length = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + length, LINE_SIZE - length, format, arguments);
    va_end(arguments);
}

static void append_bar(char line[LINE_SIZE], double part)
{
    const int done = (int)(part * PROGRESS_WIDTH);

    append(line, "[%.*s%*s] ", done, "####################", PROGRESS_WIDTH - done, "");
}

void report_progress(struct report *report, const struct tally *tally, uint64_t elapsed_ns)
{
    const struct options *const options = report->options;
    const double per_second = rate(tally, elapsed_ns);
    const double part = part_done(options, tally, elapsed_ns);
    char line[LINE_SIZE] = "", throughput[TEXT_SIZE];

    if (!report->shows_progress)
        return;
    format_throughput(per_second * (double)options->size_bytes, throughput);
    if (part >= 0)
        append_bar(line, part);
    append(line, "%.1f s, %.0f echoes/s, %s, p99 %.3f ms", seconds(elapsed_ns), per_second,
           throughput, ms(histogram_quantile(&tally->rtt_ns, 0.99)));
    if (tally->lost > 0)
        append(line, ", %" PRIu64 " lost", tally->lost);
    if (tally->corrupted > 0)
        append(line, ", %" PRIu64 " corrupted", tally->corrupted);
    clear_line(report);
    (void)fprintf(stderr, "%.*s", (int)terminal_columns() - 1, line);
    (void)fflush(stderr);
    report->has_line = true;
}

/* --- The summary. ---------------------------------------------------------------------------- */

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void print_counts(FILE *stream, const struct tally *tally)
{
    (void)fprintf(stream,
                  "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.1f%%), %" PRIu64
                  " corrupted",
                  tally->sent, tally->received, tally->lost, share(tally->lost, tally->sent),
                  tally->corrupted);
    if (tally->unsent > 0)
        (void)fprintf(stream, ", %" PRIu64 " unsent", tally->unsent);
    if (tally->late > 0)
        (void)fprintf(stream, ", %" PRIu64 " late", tally->late);
    if (tally->duplicated > 0)
        (void)fprintf(stream, ", %" PRIu64 " duplicated", tally->duplicated);
    if (tally->reordered > 0)
        (void)fprintf(stream, ", %" PRIu64 " reordered", tally->reordered);
    (void)fputc('\n', stream);
}

/* Return how long nobody answered, on average of the connections. */
static double downtime(const struct options *options, const struct tally *tally)
{
    return seconds(tally->downtime_ns) / (double)options->connections;
}

static void print_downtime(const struct report *report, const struct tally *tally)
{
    if (tally->outages == 0)
        return;
    (void)printf("%" PRIu64 " %s, %.3f s without an answer", tally->outages,
                 tally->outages == 1 ? "outage" : "outages", downtime(report->options, tally));
    if (report->options->connections > 1)
        (void)fputs(" on each connection", stdout);
    if (tally->outages > 1)
        (void)printf(", the longest %.3f s", seconds(tally->longest_outage_ns));
    (void)puts("");
}

void report_interim(struct report *report, const struct tally *tally, uint64_t elapsed_ns)
{
    clear_line(report);
    print_time(report, stderr);
    (void)fprintf(stderr, "after %.1f s: ", seconds(elapsed_ns));
    print_counts(stderr, tally);
    if (tally->rtt_ns.count > 0)
        (void)fprintf(stderr, "min %.3f ms, median %.3f ms, max %.3f ms\n",
                      ms(tally->rtt_ns.smallest), ms(histogram_quantile(&tally->rtt_ns, 0.5)),
                      ms(tally->rtt_ns.largest));
}

void report_interim_check(struct report *report, uint64_t elapsed_ns)
{
    clear_line(report);
    print_time(report, stderr);
    print_line(stderr, "after %.1f s: %s goes on", seconds(elapsed_ns),
               options_check(report->options));
}

static void print_faults(const struct tally *tally)
{
    const char *separator = "faults: ";

    for (int kind = FAULT_CONNECT + 1; kind < FAULT_KINDS; kind++) {
        if (tally->faults[kind] == 0)
            continue;
        (void)printf("%s%" PRIu64 " %s", separator, tally->faults[kind],
                     fault_name((enum fault_kind)kind));
        separator = ", ";
    }
    if (strcmp(separator, ", ") == 0)
        (void)puts("");
}

static void print_round_trips(const struct tally *tally)
{
    const struct histogram *const rtt = &tally->rtt_ns;

    if (rtt->count == 0)
        return;
    (void)printf("min %.3f ms, median %.3f ms, p95 %.3f ms, p99 %.3f ms, max %.3f ms, jitter %.3f "
                 "ms\n",
                 ms(rtt->smallest), ms(histogram_quantile(rtt, 0.5)),
                 ms(histogram_quantile(rtt, 0.95)), ms(histogram_quantile(rtt, 0.99)),
                 ms(rtt->largest), ms(tally_jitter_ns(tally)));
}

/* The upper end of a bar of the histogram: 1, 2 and 5 times the powers of ten, in nanoseconds. */
static uint64_t next_bound(uint64_t bound)
{
    uint64_t power = 1;

    while (bound >= power * 10)
        power *= 10;
    return bound < 2 * power ? 2 * power : bound < 5 * power ? 5 * power : 10 * power;
}

static uint64_t first_bound(const struct histogram *histogram)
{
    uint64_t bound = 1000;

    while (next_bound(bound) <= histogram->smallest)
        bound = next_bound(bound);
    return bound;
}

static void draw_bar(const struct histogram *histogram, uint64_t from, uint64_t to)
{
    const uint64_t begin = from <= 1000 ? 0 : from;
    const uint64_t count = histogram_count_between(histogram, begin, to);
    const double part = (double)count / (double)histogram->count;
    const int width = (int)(part * BAR_WIDTH + 0.5);

    (void)printf("%10g ms |", ms(to));
    for (int i = 0; i < width; i++)
        (void)putchar('#');
    (void)printf("%*s %6.2f%%\n", BAR_WIDTH - width, "", 100 * part);
}

static void draw_histogram(const struct histogram *histogram)
{
    uint64_t from;

    if (histogram->count == 0)
        return;
    (void)puts("round trips, each bar up to");
    from = first_bound(histogram);
    while (from <= histogram->largest || from == first_bound(histogram)) {
        draw_bar(histogram, from, next_bound(from));
        from = next_bound(from);
    }
    for (size_t i = 0; i < LENGTH(percentiles); i++)
        (void)printf("%sp%g %.3f ms", i == 0 ? "" : ", ", percentiles[i],
                     ms(histogram_quantile(histogram, percentiles[i] / 100)));
    (void)puts("");
}

static void print_load(const struct report *report, const struct tally *tally, uint64_t elapsed_ns)
{
    const struct options *const options = report->options;
    const double per_second = rate(tally, elapsed_ns);
    char throughput[TEXT_SIZE];

    format_throughput(per_second * (double)options->size_bytes, throughput);
    (void)printf("%.2f s, %" PRIu64 " %s, %" PRIu64 " %s: %.0f echoes/s, %s each way\n",
                 seconds(elapsed_ns), options->connections,
                 options->connections == 1 ? "connection" : "connections", options->threads,
                 options->threads == 1 ? "thread" : "threads", per_second, throughput);
    draw_histogram(&tally->rtt_ns);
}

static void print_summary(const struct report *report, const struct tally *tally,
                          uint64_t elapsed_ns)
{
    print_line(stdout, "--- %s ---", report->target->name);
    print_counts(stdout, tally);
    print_downtime(report, tally);
    print_faults(tally);
    if (tally->connects_failed > 0)
        (void)printf("%" PRIu64 " of %" PRIu64 " attempts to connect failed\n",
                     tally->connects_failed, tally->connects + tally->connects_failed);
    print_round_trips(tally);
    if (report->options->is_load)
        print_load(report, tally, elapsed_ns);
}

/* --- JSON (RFC 8259). ------------------------------------------------------------------------ */

static void print_string(const char *text)
{
    (void)putchar('"');
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];

        text += escape_character(ESCAPE_JSON, text, escaped);
        (void)fputs(escaped, stdout);
    }
    (void)putchar('"');
}

static void print_json_rtt(const struct tally *tally)
{
    static const char *const names[] = {"p50", "p90", "p95", "p99", "p99_9", "p99_99"};
    const struct histogram *const rtt = &tally->rtt_ns;

    if (rtt->count == 0) {
        (void)fputs("\"rtt_us\": null", stdout);
        return;
    }
    (void)printf("\"rtt_us\": {\"min\": %.3f, \"mean\": %.3f", us(rtt->smallest),
                 us(rtt->total / rtt->count));
    for (size_t i = 0; i < LENGTH(names); i++)
        (void)printf(", \"%s\": %.3f", names[i], us(histogram_quantile(rtt, percentiles[i] / 100)));
    (void)printf(", \"max\": %.3f, \"jitter\": %.3f}", us(rtt->largest),
                 us(tally_jitter_ns(tally)));
}

static void print_json_histogram(const struct histogram *histogram)
{
    uint64_t from = 0, to = 1000;
    const char *separator = "";

    (void)fputs("\"histogram_us\": [", stdout);
    for (; histogram->count > 0 && from <= histogram->largest; from = to, to = next_bound(to)) {
        const uint64_t count = histogram_count_between(histogram, from, to);

        if (count == 0)
            continue;
        (void)printf("%s[%g, %g, %" PRIu64 "]", separator, us(from), us(to), count);
        separator = ", ";
    }
    (void)putchar(']');
}

static void print_json_faults(const struct report *report, const struct tally *tally)
{
    (void)fputs("\"faults\": {", stdout);
    for (int kind = FAULT_CONNECT; kind < FAULT_KINDS; kind++)
        (void)printf("%s\"%s\": %" PRIu64, kind == FAULT_CONNECT ? "" : ", ",
                     fault_name((enum fault_kind)kind), tally->faults[kind]);
    (void)fputs("}, \"first_faults\": [", stdout);
    for (size_t i = 0; i < report->fault_count; i++) {
        char text[FAULT_TEXT_SIZE + TEXT_SIZE];

        (void)snprintf(text, sizeof text, "%s: %s", fault_name(report->faults[i].kind),
                       report->faults[i].text);
        (void)fputs(i == 0 ? "" : ", ", stdout);
        print_string(text);
    }
    (void)putchar(']');
}

static const char *transport(enum address_scheme scheme)
{
    if (scheme == ADDRESS_UDP)
        return "udp";
    return scheme == ADDRESS_UNIX ? "unix" : "tcp";
}

/* Begin the object with what every run has. */
static void print_json_target(const struct report *report, uint64_t elapsed_ns)
{
    (void)fputs("{\"target\": ", stdout);
    print_string(report->target->name);
    (void)fputs(", \"address\": ", stdout);
    print_string(report->peer);
    (void)printf(", \"transport\": \"%s\", \"elapsed_seconds\": %.6f",
                 transport(report->options->target.scheme), seconds(elapsed_ns));
}

static void print_json(const struct report *report, const struct tally *tally, uint64_t elapsed_ns,
                       int status)
{
    const struct options *const options = report->options;
    const double per_second = rate(tally, elapsed_ns);

    print_json_target(report, elapsed_ns);
    (void)printf(", \"size_bytes\": %" PRIu64 ", \"connections\": %" PRIu64
                 ", \"threads\": %" PRIu64,
                 options->size_bytes, options->connections, options->threads);
    (void)printf(", \"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
                 ", \"unsent\": %" PRIu64 ", \"late\": %" PRIu64 ", \"corrupted\": %" PRIu64
                 ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"connects\": %" PRIu64
                 ", \"connects_failed\": %" PRIu64 ", ",
                 tally->sent, tally->received, tally->lost, tally->unsent, tally->late,
                 tally->corrupted, tally->duplicated, tally->reordered, tally->connects,
                 tally->connects_failed);
    (void)printf("\"outages\": %" PRIu64 ", \"downtime_seconds\": %.6f"
                 ", \"longest_outage_seconds\": %.6f, ",
                 tally->outages, downtime(options, tally), seconds(tally->longest_outage_ns));
    print_json_faults(report, tally);
    (void)printf(", \"rate_per_second\": %.3f, \"throughput_bytes_per_second\": %.0f, ", per_second,
                 per_second * (double)options->size_bytes);
    print_json_rtt(tally);
    (void)fputs(", ", stdout);
    print_json_histogram(&tally->rtt_ns);
    (void)printf(", \"status\": %d}\n", status);
}

static const char *unit_suffix(enum figure_unit unit)
{
    switch (unit) {
    case FIGURE_BYTES:
        return "_bytes";
    case FIGURE_SECONDS:
        return "_seconds";
    }
    return "";
}

static void print_json_verdict(const struct report *report, const struct verdict *verdict,
                               uint64_t elapsed_ns)
{
    print_json_target(report, elapsed_ns);
    (void)printf(", \"check\": \"%s\", \"verdict\": ", options_check(report->options));
    print_string(verdict->text);
    for (size_t i = 0; i < verdict->figure_count; i++) {
        const struct figure *const figure = &verdict->figures[i];

        (void)printf(", \"%s%s\": %.*f", figure->name, unit_suffix(figure->unit),
                     figure->unit == FIGURE_SECONDS ? 6 : 0, figure->value);
    }
    (void)printf(", \"status\": %d}\n", verdict->status);
}

/* --- The end. -------------------------------------------------------------------------------- */

static int lose_output(const struct options *options, int failure)
{
    (void)fprintf(stderr, "echoprobe: standard output: %s\n", strerror(failure));
    return options->plugin ? PLUGIN_UNKNOWN : EXIT_STATUS_SYSTEM;
}

/* Return the status, if all of the output arrived. */
static int close_output(const struct options *options, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return lose_output(options, errno);
}

/* Say why there is nothing to sum up, unless it was said. */
static void print_refusal(const struct report *report)
{
    const struct fault *first = &report->faults[0];

    if (report->fault_count == 0 || report->options->plugin ||
        (first->kind == FAULT_CONNECT && !report->options->quiet))
        return;
    if (first->kind == FAULT_CONNECT || first->kind == FAULT_REFUSED)
        print_line(stderr, "echoprobe: %s", report->faults[0].text);
}

int report_messages(struct report *report, const struct tally *tally, uint64_t elapsed_ns,
                    int status)
{
    clear_line(report);
    if (report->output_failure != 0)
        return lose_output(report->options, report->output_failure);
    if (report->options->plugin)
        status = plugin_print_messages(report->options, report->target->name, tally,
                                       report->fault_count == 0 ? NULL : &report->faults[0]);
    else if (report->options->json)
        print_json(report, tally, elapsed_ns, status);
    else
        print_summary(report, tally, elapsed_ns);
    if (tally->received == 0 && tally->connects == 0)
        print_refusal(report);
    return close_output(report->options, status);
}

int report_verdict(struct report *report, const struct verdict *verdict, uint64_t elapsed_ns)
{
    int status = verdict->status;

    if (report->output_failure != 0)
        return lose_output(report->options, report->output_failure);
    if (report->options->plugin)
        status = plugin_print_verdict(options_check(report->options), verdict);
    else if (report->options->json)
        print_json_verdict(report, verdict, elapsed_ns);
    else if (status == EXIT_STATUS_UNCHANGED || status == EXIT_STATUS_FAULT)
        print_line(stdout, "%s", verdict->text);
    else
        print_line(stderr, "echoprobe: %s", verdict->text);
    return close_output(report->options, status);
}

static void print_json_failure(const struct options *options, int status, const char *text)
{
    char name[ADDRESS_TEXT_SIZE];

    address_format(&options->target, name);
    (void)fputs("{\"target\": ", stdout);
    print_string(name);
    (void)fputs(", \"error\": ", stdout);
    print_string(text);
    (void)printf(", \"status\": %d}\n", status);
}

int report_failure(const struct options *options, int status, const char *text)
{
    if (options->plugin)
        return close_output(
            options, plugin_print_failure(
                         status == EXIT_STATUS_CONNECT ? PLUGIN_CRITICAL : PLUGIN_UNKNOWN, text));
    print_line(stderr, "echoprobe: %s", text);
    if (options->json && status != EXIT_STATUS_USAGE)
        print_json_failure(options, status, text);
    return close_output(options, status);
}
