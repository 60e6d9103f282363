#include <config.h>

#include "echoprobe/report.h"

#include "base/date.h"
#include "base/units.h"
#include "echoprobe/plugin.h"
#include "echoprobe/report_json.h"
#include "echoprobe/summary.h"
#include "echoprobe/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OWNER_SIZE = 48, LINE_SIZE = 1024, HEAD_SIZE = 160, TITLE_SIZE = 512, PROGRESS_WIDTH = 20 };

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* --- Activity -------------------------------------------------------------------------------- */

/* Let a line be seen at once. */
static void flush_lines(struct report *report)
{
    if (fflush(stdout) != 0 && report->output_failure == 0)
        report->output_failure = errno;
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

/* Write what stands before a line of one of several targets. */
static const char *write_head(const struct report *report, char head[HEAD_SIZE])
{
    head[0] = '\0';
    if (report->name != NULL)
        (void)snprintf(head, HEAD_SIZE, "%s: ", report->name);
    return head;
}

void report_begin(struct report *report, const struct options *options, const struct target *target)
{
    const bool takes_time = options->is_load || options_check(options) != NULL;

    *report = (struct report){.options = options, .target = target, .peer = target->places[0].text};
    report->shows_progress =
        takes_time && !options->quiet && !is_for_program(options) && isatty(STDERR_FILENO);
}

static void describe_proxy(const struct preface_plan *proxy, char text[LINE_SIZE])
{
    if (proxy->version == 0)
        return;
    append(text, ", proxy v%u", (unsigned)proxy->version);
    if (proxy->source.text[0] != '\0')
        append(text, " source %s", proxy->source.text);
}

static void describe_sockets(const struct socket_plan *sockets, char text[LINE_SIZE])
{
    if (sockets->source.text[0] != '\0')
        append(text, ", from %s", sockets->source.text);
    if (sockets->tos.is_set)
        append(text, ", tos 0x%02x", sockets->tos.value);
    if (sockets->ttl > 0)
        append(text, ", ttl %" PRIu64, sockets->ttl);
}

/* Write what the first line says of the messages and the connections. */
static void describe_run(const struct options *options, char text[LINE_SIZE])
{
    const char *check = options_check(options);

    text[0] = '\0';
    if (!options->mtu)
        append(text, ", %" PRIu64 " %s", options->size_bytes, units_bytes(options->size_bytes));
    if (options->connections > 1)
        append(text, ", %" PRIu64 " %s", options->connections, summary_connections(options));
    describe_sockets(&options->sockets, text);
    describe_proxy(&options->proxy, text);
    if (options->tls.insecure)
        append(text, ", insecure");
    if (options->identify)
        append(text, ", identify");
    if (check != NULL)
        append(text, ", %s", check);
}

/* Say whom it asks, unless that was said. */
static void begin_lines(struct report *report)
{
    char text[LINE_SIZE], head[HEAD_SIZE];

    if (report->has_begun || is_for_program(report->options))
        return;
    report->has_begun = true;
    describe_run(report->options, text);
    text_print(stdout, "echoprobe %s%s%s%s%s%s", write_head(report, head), report->target->name,
               report->peer[0] == '\0' ? "" : " (", report->peer,
               report->peer[0] == '\0' ? "" : ")", text);
    flush_lines(report);
}

/* Keep what the first connection agreed on, and which certificate of any of them ends first. */
static void note_tls(struct report *report, const struct tls_facts *facts)
{
    if (!report->has_tls) {
        report->tls = *facts;
        report->first_certificate = facts->first;
    } else if (facts->first.ends < report->first_certificate.ends) {
        report->first_certificate = facts->first;
    }
    report->has_tls = true;
}

/* Say what was agreed on, behind the first line. */
static void tell_tls(struct report *report)
{
    const struct tls_facts *facts = &report->tls;
    char head[HEAD_SIZE];

    text_print(stdout, "%s%s, %s, %s%s, %s, %s%s%s, handshake %.3f ms", write_head(report, head),
               facts->version, facts->cipher, facts->alpn[0] == '\0' ? "no ALPN" : "ALPN ",
               facts->alpn, facts->is_resumed ? "resumed" : "not resumed",
               facts->is_verified ? "verified" : "not verified",
               facts->objection == NULL ? "" : ": ",
               facts->objection == NULL ? "" : facts->objection, ms(facts->handshake_ns));
    text_print(stdout, "%scertificate %s, issuer %s, ends %s", head, facts->server.subject,
               facts->server.issuer, facts->server.ends_text);
    flush_lines(report);
}

void report_open(struct report *report, const struct opening *opening)
{
    const bool is_first = !report->has_tls && opening->tls != NULL;

    if (opening->tls != NULL)
        note_tls(report, opening->tls);
    if (!report->has_begun)
        report->peer = opening->peer;
    begin_lines(report);
    if (is_first && !is_for_program(report->options))
        tell_tls(report);
}

static bool shows_lines(const struct report *report)
{
    return !report->options->is_load && !report->options->quiet && !is_for_program(report->options);
}

static void print_time(const struct report *report, FILE *stream)
{
    const struct timespec now = date_now();

    if (!report->options->timestamps)
        return;
    (void)fprintf(stream, "[%lld.%06ld] ", (long long)now.tv_sec, now.tv_nsec / 1000);
}

/* Begin a line: when it is, and of which target. */
static void print_head(const struct report *report, FILE *stream)
{
    char head[HEAD_SIZE];

    print_time(report, stream);
    (void)fputs(write_head(report, head), stream);
}

void report_vline(struct report *report, const char *format, va_list arguments)
{
    begin_lines(report);
    if (!shows_lines(report))
        return;
    clear_line(report);
    print_head(report, stdout);
    text_vprint(stdout, format, arguments);
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

void report_identity(struct report *report, const char *identity)
{
    begin_lines(report);
    if (!shows_lines(report) || strcmp(report->identity, identity) == 0)
        return;
    (void)snprintf(report->identity, sizeof report->identity, "%s", identity);
    clear_line(report);
    print_head(report, stdout);
    (void)fputs("identity: ", stdout);
    text_print_whole(stdout, identity);
    flush_lines(report);
}

void report_echo(struct report *report, const char *peer, uint64_t number, uint64_t rtt_ns)
{
    if (report->options->identify && report->target->is_datagram) {
        say_line(report, "identity from %s: seq=%" PRIu64 " time=%.3f ms", peer, number + 1,
                 ms(rtt_ns));
        return;
    }
    say_line(report, "%" PRIu64 " %s from %s: seq=%" PRIu64 " time=%.3f ms",
             report->options->size_bytes, units_bytes(report->options->size_bytes), peer,
             number + 1, ms(rtt_ns));
}

static void leave_out(struct report *report)
{
    char head[HEAD_SIZE];

    if (report->leaves_out || report->options->quiet || is_for_program(report->options))
        return;
    clear_line(report);
    (void)fprintf(stderr, "echoprobe: %sfurther faults are only counted\n",
                  write_head(report, head));
    report->leaves_out = true;
}

/* Print a fault of a load, with what else may be needed to find it. */
static void print_load_fault(const struct report *report, uint64_t connection, uint64_t number,
                             const struct fault *fault)
{
    char owner[OWNER_SIZE] = "", head[HEAD_SIZE];

    if (report->options->connections > 1)
        (void)snprintf(owner, sizeof owner, "%s %" PRIu64 " ",
                       report->options->target.scheme == ADDRESS_UDP ? "socket" : "connection",
                       connection);
    text_print(stderr, "echoprobe: %s%sseq=%" PRIu64 " %s: %s", write_head(report, head), owner,
               number + 1, fault_name(fault->kind), fault->text);
}

void report_fault(struct report *report, uint64_t connection, uint64_t number,
                  const struct fault *fault)
{
    char head[HEAD_SIZE];

    if (report->fault_count < REPORT_FAULTS) {
        report->faults[report->fault_count++] = *fault;
    } else if (report->options->is_load) {
        leave_out(report);
        return;
    }
    if (report->options->quiet || report->options->plugin)
        return;
    begin_lines(report);
    if (shows_lines(report) && !fault_is_of_connecting(fault->kind)) {
        say_line(report, "seq=%" PRIu64 " %s: %s", number + 1, fault_name(fault->kind),
                 fault->text);
        return;
    }
    if (report->options->json && !fault_is_of_connecting(fault->kind))
        return;
    clear_line(report);
    print_time(report, stderr);
    if (fault_is_of_connecting(fault->kind))
        text_print(stderr, "echoprobe: %s%s", write_head(report, head), fault->text);
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

static void append_bar(char line[LINE_SIZE], double part)
{
    const int done = (int)(part * PROGRESS_WIDTH);

    append(line, "[%.*s%*s] ", done, "####################", PROGRESS_WIDTH - done, "");
}

/* Show a line on the terminal, in place of the last one. */
static void show_live(struct report *report, const char *line)
{
    clear_line(report);
    (void)fprintf(stderr, "%.*s", (int)text_columns(STDERR_FILENO) - 1, line);
    (void)fflush(stderr);
    report->has_line = true;
}

void report_progress(struct report *report, const struct tally *tally, uint64_t elapsed_ns)
{
    const struct options *options = report->options;
    const double per_second = tally_per_second(tally, elapsed_ns);
    const double part = part_done(options, tally, elapsed_ns);
    char line[LINE_SIZE] = "", throughput[SUMMARY_TEXT_SIZE];

    if (!report->shows_progress)
        return;
    summary_format_per_second(per_second * (double)options->size_bytes, "B", throughput);
    if (part >= 0)
        append_bar(line, part);
    append(line, "%.1f s, %.0f echoes/s, %s, p99 %.3f ms", seconds(elapsed_ns), per_second,
           throughput, ms(histogram_quantile(&tally->rtt_ns, 0.99)));
    if (tally->lost > 0)
        append(line, ", %" PRIu64 " lost", tally->lost);
    if (tally->corrupted > 0)
        append(line, ", %" PRIu64 " corrupted", tally->corrupted);
    show_live(report, line);
}

void report_time_left(struct report *report, uint64_t left_ns)
{
    char duration[UNITS_TEXT_SIZE], line[LINE_SIZE] = "";

    if (!report->shows_progress)
        return;
    units_format_duration((left_ns + 999999999) / 1000000000 * 1000, duration);
    append(line, "%s: %s left", options_check(report->options), duration);
    show_live(report, line);
}

void report_interim(struct report *report, const struct tally *tally, uint64_t elapsed_ns)
{
    clear_line(report);
    print_head(report, stderr);
    summary_print_interim(stderr, report->options, tally, elapsed_ns);
}

void report_interim_check(struct report *report, uint64_t elapsed_ns)
{
    clear_line(report);
    print_time(report, stderr);
    text_print(stderr, "after %.1f s: %s goes on", seconds(elapsed_ns),
               options_check(report->options));
}

/* --- End ------------------------------------------------------------------------------------- */

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
    char head[HEAD_SIZE];

    if (report->fault_count == 0 || report->options->plugin ||
        (fault_is_of_connecting(first->kind) && !report->options->quiet))
        return;
    if (fault_is_of_connecting(first->kind) || first->kind == FAULT_REFUSED)
        text_print(stderr, "echoprobe: %s%s", write_head(report, head), report->faults[0].text);
}

/* Tell whether a certificate ends within --cert-days. */
static bool has_ending(const struct report *report)
{
    return report->has_tls &&
           tls_facts_is_ending(&report->first_certificate, report->options->tls.certificate_days);
}

/* Return the status of a run or a check, which is a fault if a certificate ends too soon. */
static int status_with_ending(const struct report *report, int status)
{
    return status == EXIT_STATUS_UNCHANGED && has_ending(report) ? EXIT_STATUS_FAULT : status;
}

/* What stands below the summary or the verdict. */
static void tell_ending(const struct report *report)
{
    const struct tls_certificate *certificate = &report->first_certificate;

    if (!has_ending(report))
        return;
    text_print(stdout, "certificate %s ends in %.1f days, %s", certificate->subject,
               tls_facts_days_left(certificate), certificate->ends_text);
}

static const struct tls_certificate *first_certificate(const struct report *report)
{
    return report->has_tls ? &report->first_certificate : NULL;
}

static struct report_json describe(const struct report *report, uint64_t elapsed_ns, int status)
{
    return (struct report_json){.options = report->options,
                                .name = report->name,
                                .target = report->target->name,
                                .peer = report->peer,
                                .elapsed_ns = elapsed_ns,
                                .status = status,
                                .tls = report->has_tls ? &report->tls : NULL,
                                .backends = report->backends,
                                .error = report->refusal};
}

struct plugin_result report_result(const struct report *report, const struct tally *tally)
{
    return (struct plugin_result){.options = report->options,
                                  .name = report->name,
                                  .peer = report->target->name,
                                  .tally = tally,
                                  .first = report->fault_count == 0 ? NULL : &report->faults[0],
                                  .certificate = first_certificate(report)};
}

int report_results(const struct options *options, const struct plugin_result *results, size_t count)
{
    return close_output(options, plugin_print_targets(results, count));
}

/* Return how the summary calls a target. */
static const char *title_of(const struct report *report, char title[TITLE_SIZE])
{
    if (report->name == NULL)
        return report->target->name;
    (void)snprintf(title, TITLE_SIZE, "%s: %s", report->name, report->target->name);
    return title;
}

int report_messages(struct report *report, const struct tally *tally, uint64_t elapsed_ns,
                    int status)
{
    const int judged = status_with_ending(report, status);
    const struct report_json json = describe(report, elapsed_ns, judged);
    const struct plugin_result result = report_result(report, tally);
    char title[TITLE_SIZE];

    begin_lines(report);
    clear_line(report);
    if (report->backends != NULL)
        backends_sort(report->backends);
    if (report->output_failure != 0)
        return lose_output(report->options, report->output_failure);
    if (report->refusal != NULL && report->options->plugin)
        return report_failure(report->options, status, report->refusal);
    if (report->refusal != NULL)
        text_print(stderr, "echoprobe: %s", report->refusal);
    if (report->options->plugin)
        return close_output(report->options, plugin_print_messages(&result));
    if (report->options->json) {
        report_json_messages(&json, tally, report->faults, report->fault_count);
    } else {
        summary_print(report->options, title_of(report, title), tally, report->backends,
                      elapsed_ns);
        tell_ending(report);
    }
    if (tally->received == 0 && tally->connects == 0)
        print_refusal(report);
    return close_output(report->options, judged);
}

int report_verdict(struct report *report, const struct verdict *verdict, uint64_t elapsed_ns)
{
    const int status = status_with_ending(report, verdict->status);
    const struct report_json json = describe(report, elapsed_ns, status);

    begin_lines(report);
    clear_line(report);
    if (report->backends != NULL)
        backends_sort(report->backends);
    if (report->output_failure != 0)
        return lose_output(report->options, report->output_failure);
    if (report->options->plugin)
        return close_output(report->options, plugin_print_verdict(report->options, verdict,
                                                                  first_certificate(report)));
    if (report->options->json)
        report_json_verdict(&json, verdict);
    else if (status == EXIT_STATUS_UNCHANGED || status == EXIT_STATUS_FAULT)
        text_print(stdout, "%s", verdict->text);
    else
        text_print(stderr, "echoprobe: %s", verdict->text);
    if (!report->options->json) {
        if (report->backends != NULL && report->backends->total > 0)
            summary_print_backends(report->options, report->backends);
        tell_ending(report);
    }
    return close_output(report->options, status);
}

int report_failure(const struct options *options, int status, const char *text)
{
    if (options->plugin)
        return close_output(
            options, plugin_print_failure(
                         status == EXIT_STATUS_CONNECT ? PLUGIN_CRITICAL : PLUGIN_UNKNOWN, text));
    text_print(stderr, "echoprobe: %s", text);
    if (options->json && status != EXIT_STATUS_USAGE)
        report_json_failure(options, status, text);
    return close_output(options, status);
}
