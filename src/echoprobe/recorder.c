#include <config.h>

#include "echoprobe/recorder.h"

#include "base/date.h"
#include "base/line.h"
#include "echoprobe/hgrm.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { TIME_SIZE = 32, NAME_SIZE = 160 };

bool recorder_is_wanted(const struct options *options)
{
    return options->csv != NULL || options->json_lines != NULL || options->histogram != NULL;
}

static int open_one(struct record_file *file, const char *option, const char *name,
                    const struct options *options, struct error *error)
{
    if (name == NULL)
        return 0;
    return record_file_open(file, option, name, !options->is_load, error);
}

/* Close all. Return 0, or -1 with a sentence in `error`. */
static int close_all(struct recorder *recorder, struct error *error)
{
    struct record_file *files[RECORDER_FILES] = {&recorder->csv, &recorder->lines,
                                                 &recorder->histogram};
    int status = 0;

    for (size_t i = 0; i < RECORDER_FILES; i++) {
        if (record_file_close(files[i], error) < 0)
            status = -1;
    }
    return status;
}

static int open_all(struct recorder *recorder, struct error *error)
{
    const struct options *options = recorder->options;

    if (open_one(&recorder->csv, "csv", options->csv, options, error) < 0 ||
        open_one(&recorder->lines, "json-lines", options->json_lines, options, error) < 0 ||
        open_one(&recorder->histogram, "histogram", options->histogram, options, error) < 0)
        return -1;
    return 0;
}

int recorder_open(struct recorder *recorder, const struct options *options, struct error *error)
{
    struct error ignored = {""};

    recorder->options = options;
    if (open_all(recorder, error) < 0) {
        (void)close_all(recorder, &ignored);
        return -1;
    }
    if (record_file_is_open(&recorder->csv))
        record_file_end_line(&recorder->csv,
                             fprintf(recorder->csv.stream,
                                     "time,connection,sequence,size,rtt_us,fault%s\n",
                                     options->targets == NULL ? "" : ",name") >= 0);
    return 0;
}

/* --- Messages -------------------------------------------------------------------------------- */

/* One row of either form. */
struct row {
    uint64_t connection, number;
    bool has_returned;
    uint64_t rtt_ns;
    const char *fault; /* in a word; NULL: none */
    const char *text;  /* a sentence about it; NULL: none */
};

/* Write the time in seconds since 1970. */
static void write_time(char text[TIME_SIZE])
{
    const struct timespec now = date_now();

    (void)snprintf(text, TIME_SIZE, "%lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);
}

/* Each line is one call, so that those of several threads do not mix. */
static void write_csv(struct record_file *file, const struct recorder_part *part,
                      const struct row *row, const char *now)
{
    char rtt[TIME_SIZE] = "";

    if (row->has_returned)
        (void)snprintf(rtt, sizeof rtt, "%.3f", (double)row->rtt_ns / 1e3);
    record_file_end_line(
        file, fprintf(file->stream, "%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%s%s%s\n", now,
                      row->connection, row->number + 1, part->size_bytes, rtt,
                      row->fault == NULL ? "" : row->fault, part->name == NULL ? "" : ",",
                      part->name == NULL ? "" : part->name) >= 0);
}

/* Return the member with the name of one of several targets, or nothing. */
static const char *name_member(const struct recorder_part *part, char text[NAME_SIZE])
{
    text[0] = '\0';
    if (part->name != NULL)
        (void)snprintf(text, NAME_SIZE, ", \"name\": \"%s\"", part->name);
    return text;
}

/* Return the member with what is said about a row, or nothing. */
static const char *text_member(const struct row *row, struct line *line)
{
    line->length = 0;
    if (row->text != NULL) {
        line_append_text(line, ", \"text\": \"");
        line_append_escaped(line, ESCAPE_JSON, row->text, 1);
        line_append_text(line, "\"");
    }
    return line_text(line);
}

static void write_json(struct record_file *file, const struct recorder_part *part,
                       const struct row *row, const char *now)
{
    const char *const quote = row->fault == NULL ? "" : "\"";
    char rtt[TIME_SIZE] = "null", name[NAME_SIZE];
    struct line text;

    if (row->has_returned)
        (void)snprintf(rtt, sizeof rtt, "%.3f", (double)row->rtt_ns / 1e3);
    record_file_end_line(
        file, fprintf(file->stream,
                      "{\"type\": \"message\"%s, \"time\": %s, \"connection\": %" PRIu64
                      ", \"sequence\": %" PRIu64 ", \"size_bytes\": %" PRIu64
                      ", \"rtt_us\": %s, \"fault\": %s%s%s%s}\n",
                      name_member(part, name), now, row->connection, row->number + 1,
                      part->size_bytes, rtt, quote, row->fault == NULL ? "null" : row->fault, quote,
                      text_member(row, &text)) >= 0);
}

static void write_row(struct recorder *recorder, const struct recorder_part *part,
                      const struct row *row)
{
    char now[TIME_SIZE];

    write_time(now);
    if (record_file_is_open(&recorder->csv))
        write_csv(&recorder->csv, part, row, now);
    if (record_file_is_open(&recorder->lines) && !recorder->options->is_load)
        write_json(&recorder->lines, part, row, now);
}

void recorder_echo(struct recorder *recorder, const struct recorder_part *part, uint64_t connection,
                   uint64_t number, uint64_t rtt_ns)
{
    write_row(
        recorder, part,
        &(struct row){
            .connection = connection, .number = number, .has_returned = true, .rtt_ns = rtt_ns});
}

void recorder_fault(struct recorder *recorder, const struct recorder_part *part,
                    uint64_t connection, uint64_t number, const struct fault *fault)
{
    write_row(recorder, part,
              &(struct row){.connection = connection,
                            .number = number,
                            .fault = fault_name(fault->kind),
                            .text = fault->text});
}

void recorder_failed(struct recorder *recorder, const struct recorder_part *part,
                     uint64_t connection, uint64_t number, enum fault_kind kind)
{
    write_row(recorder, part,
              &(struct row){.connection = connection, .number = number, .fault = fault_name(kind)});
}

/* --- Intervals ------------------------------------------------------------------------------- */

bool recorder_has_intervals(const struct recorder *recorder)
{
    return record_file_is_open(&recorder->lines) && recorder->options->is_load;
}

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static void write_rtt(const struct tally *tally, char *text, size_t size)
{
    const struct histogram *rtt = &tally->rtt_ns;

    if (rtt->count == 0)
        (void)snprintf(text, size, "null");
    else
        (void)snprintf(text, size,
                       "{\"min\": %.3f, \"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, "
                       "\"p99\": %.3f, \"max\": %.3f}",
                       us(rtt->smallest), tally_mean_ns(tally) / 1e3,
                       us(histogram_quantile(rtt, 0.5)), us(histogram_quantile(rtt, 0.9)),
                       us(histogram_quantile(rtt, 0.99)), us(rtt->largest));
}

/*
 * What was counted in `span_ns` up to `elapsed_ns`. A handshake of TLS that the other end refuses
 * later takes back its connection, which may have been counted in an interval before.
 */
static void write_counts(struct record_file *file, const struct recorder_part *part,
                         const char *type, const struct tally *tally, uint64_t elapsed_ns,
                         uint64_t span_ns)
{
    char now[TIME_SIZE], rtt[256], name[NAME_SIZE];

    write_time(now);
    write_rtt(tally, rtt, sizeof rtt);
    record_file_end_line(
        file,
        fprintf(file->stream,
                "{\"type\": \"%s\"%s, \"time\": %s, \"elapsed_seconds\": %.6f, \"seconds\": %.6f, "
                "\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
                ", \"unsent\": %" PRIu64 ", \"corrupted\": %" PRIu64 ", \"connects\": %" PRId64
                ", \"connects_failed\": %" PRIu64 ", \"rate_per_second\": %.3f, \"rtt_us\": %s}\n",
                type, name_member(part, name), now, (double)elapsed_ns / 1e9, (double)span_ns / 1e9,
                tally->sent, tally->received, tally->lost, tally->unsent, tally->corrupted,
                (int64_t)tally->connects, tally->connects_failed, tally_per_second(tally, span_ns),
                rtt) >= 0);
    record_file_end_line(file, fflush(file->stream) == 0);
}

void recorder_interval(struct recorder *recorder, struct recorder_part *part, uint64_t elapsed_ns)
{
    write_counts(&recorder->lines, part, "interval", &part->interval, elapsed_ns,
                 elapsed_ns - part->interval_ns);
    part->interval_ns = elapsed_ns;
    memset(&part->interval, 0, sizeof part->interval);
}

/* --- End ------------------------------------------------------------------------------------- */

bool recorder_has_failed(const struct recorder *recorder)
{
    return atomic_load(&recorder->csv.failure) != 0 || atomic_load(&recorder->lines.failure) != 0;
}

void recorder_end(struct recorder *recorder, struct recorder_part *part, const struct tally *tally,
                  uint64_t elapsed_ns)
{
    if (recorder_has_intervals(recorder) && !tally_is_empty(&part->interval))
        recorder_interval(recorder, part, elapsed_ns);
    if (record_file_is_open(&recorder->lines))
        write_counts(&recorder->lines, part, "summary", tally, elapsed_ns, elapsed_ns);
    if (record_file_is_open(&recorder->histogram)) {
        hgrm_print(recorder->histogram.stream, tally);
        record_file_end_line(&recorder->histogram, ferror(recorder->histogram.stream) == 0);
    }
}

int recorder_close(struct recorder *recorder, struct error *error)
{
    return close_all(recorder, error);
}
