#include <config.h>

#include "echoctl/top.h"

#include "base/date.h"
#include "base/process.h"
#include "echoctl/answers.h"
#include "echoctl/busiest.h"
#include "echoctl/columns.h"
#include "echoctl/json.h"
#include "echoctl/rates.h"
#include "echoctl/screen.h"
#include "echoctl/target.h"
#include "echoctl/text.h"
#include "echoctl/words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOCK_SIZE = sizeof "00:00:00" };

struct top {
    const struct options *options;
    const struct service *service;
    struct http_reply answer;          /* the last one; `now` points into it */
    struct http_reply previous_answer; /* none, before the second one of a run */
    struct service_facts now, before;  /* before the second: 0, when the service was 0 ms old */
    struct busiest *busiest;           /* NULL: they are not shown */
    bool has_more_connections;         /* than were looked at for that */
    char clock[CLOCK_SIZE];            /* when the answer came */
    struct error error;                /* why there is no newer one; or empty */
    struct columns lines;              /* of a line each time */
};

/* --- Asking ---------------------------------------------------------------------------------- */

static void note_time(struct top *top)
{
    const time_t now = date_now().tv_sec;
    struct tm local;

    if (localtime_r(&now, &local) == NULL || strftime(top->clock, CLOCK_SIZE, "%T", &local) == 0)
        top->clock[0] = '\0';
}

static void forget_before(struct top *top)
{
    http_reply_free(&top->previous_answer);
    top->before = (struct service_facts){0};
}

/* Take an answer, which becomes ours; the one before it stays as long as it is of the same run. */
static void take(struct top *top, struct http_reply *answer, const struct service_facts *facts)
{
    forget_before(top);
    if (rates_is_same_run(&top->now, facts)) {
        top->previous_answer = top->answer;
        top->before = top->now;
    } else {
        http_reply_free(&top->answer);
        if (top->busiest != NULL)
            busiest_forget(top->busiest);
    }
    top->answer = *answer;
    top->now = *facts;
    top->error.text[0] = '\0';
    note_time(top);
}

/* Ask how the service is. Return false with the error's sentence if there is no answer. */
static bool ask_status(struct top *top)
{
    struct http_reply answer;
    struct service_facts facts;

    if (service_try(top->service, "/status", &answer, &top->error) != HTTP_ANSWERED)
        return false;
    if (answer.status == 200 && answers_read_service(json_begin(answer.body), &facts)) {
        take(top, &answer, &facts);
        return true;
    }
    http_reply_free(&answer);
    error_set(&top->error, "%s: the answer is no status of echod", top->service->place->text);
    return false;
}

/* Ask for connections: no more than one answer has, so that many cost no more than these. */
static bool ask_connections(struct top *top)
{
    struct http_reply answer;
    struct target target;
    const char *json, *connections;
    bool is_list;

    target_begin(&target, "/connections");
    target_add_number(&target, "limit", BUSIEST_LOOKED_AT);
    if (service_try(top->service, target.text, &answer, &top->error) != HTTP_ANSWERED)
        return false;
    json = answer.status == 200 ? json_begin(answer.body) : NULL;
    connections = json_member(json, "connections");
    busiest_take(top->busiest, json_first(connections));
    top->has_more_connections = json_member(json, "next") != NULL;
    is_list = answers_are_connections(connections);
    http_reply_free(&answer);
    if (!is_list)
        error_set(&top->error, "%s: the answer is no list of connections",
                  top->service->place->text);
    return is_list;
}

static bool ask(struct top *top)
{
    return ask_status(top) && (top->busiest == NULL || ask_connections(top));
}

/* --- Figures --------------------------------------------------------------------------------- */

static struct rates rates_of_service(const struct top *top)
{
    return rates_between(&top->before.traffic, &top->now.traffic,
                         top->now.uptime_ms - top->before.uptime_ms);
}

/* Find what a listener had counted before: nothing, if it was not there. */
static struct traffic traffic_before(const struct top *top, const struct listener_facts *listener)
{
    struct listener_facts facts;

    for (const char *each = top->before.listeners; each != NULL; each = json_next(each)) {
        if (answers_read_listener(each, &facts) && strcmp(facts.name, listener->name) == 0)
            return facts.traffic;
    }
    return (struct traffic){0};
}

static void add_rate(struct columns_row *row, double rate)
{
    char text[WORDS_SIZE];

    (void)snprintf(text, sizeof text, rate < 9.95 ? "%.1f" : "%.0f", rate);
    columns_add(row, text);
}

static void add_size(struct columns_row *row, double bytes)
{
    char text[WORDS_SIZE];

    words_size((uint64_t)bytes, text);
    columns_add(row, text);
}

/* --- The screen ------------------------------------------------------------------------------ */

static const struct column listener_columns[] = {
    {"LISTENER", false},  {"STATE", false},    {"OPEN", true}, {"MAX", true},
    {"ACCEPTED/S", true}, {"REFUSED/S", true}, {"IN/S", true}, {"OUT/S", true},
    {"ADDRESS", false},   {NULL, false},
};

static void write_listener_row(const struct top *top, const struct listener_facts *facts,
                               struct columns_row *row)
{
    const struct traffic before = traffic_before(top, facts);
    const struct rates rates =
        rates_between(&before, &facts->traffic, top->now.uptime_ms - top->before.uptime_ms);

    row->count = 0;
    columns_add(row, facts->name);
    columns_add(row, facts->state);
    words_add_connections(row, facts, facts->traffic.open);
    words_add_connections(row, facts, facts->traffic.max);
    add_rate(row, facts->has_datagrams ? rates.datagrams_in : rates.accepted);
    add_rate(row, rates.refused);
    add_size(row, rates.in_bytes);
    add_size(row, rates.out_bytes);
    columns_add(row, facts->address);
}

static void print_listeners(const struct top *top, FILE *stream)
{
    struct columns columns = columns_begin(listener_columns);
    struct listener_facts facts;
    struct columns_row row;

    for (const char *each = top->now.listeners; each != NULL; each = json_next(each)) {
        if (answers_read_listener(each, &facts)) {
            write_listener_row(top, &facts, &row);
            columns_widen(&columns, &row);
        }
    }
    columns_print_titles(&columns, stream);
    for (const char *each = top->now.listeners; each != NULL; each = json_next(each)) {
        if (answers_read_listener(each, &facts)) {
            write_listener_row(top, &facts, &row);
            columns_print(&columns, &row, stream);
        }
    }
}

static const struct column busiest_columns[] = {
    {"ID", true},     {"IN/S", true},      {"OUT/S", true}, {"QUEUED", true}, {"AGE", true},
    {"STATE", false}, {"LISTENER", false}, {"PEER", false}, {NULL, false},
};

static void write_busiest_row(const struct busiest_row *busy, struct columns_row *row)
{
    char age[WORDS_SIZE];

    words_duration(busy->facts.age_ms, age);
    row->count = 0;
    columns_add_count(row, busy->facts.id);
    add_size(row, busy->rates.in_bytes);
    add_size(row, busy->rates.out_bytes);
    add_size(row, (double)busy->facts.queued_bytes);
    columns_add(row, age);
    columns_add(row, busy->facts.state);
    columns_add(row, busy->facts.listener);
    columns_add(row, busy->facts.peer);
}

static void print_busiest_rows(const struct busiest *busiest, FILE *stream)
{
    struct columns columns = columns_begin(busiest_columns);
    struct columns_row row;

    for (size_t i = 0; i < busiest->row_count; i++) {
        write_busiest_row(&busiest->rows[i], &row);
        columns_widen(&columns, &row);
    }
    columns_print_titles(&columns, stream);
    for (size_t i = 0; i < busiest->row_count; i++) {
        write_busiest_row(&busiest->rows[i], &row);
        columns_print(&columns, &row, stream);
    }
}

static void print_busiest(const struct top *top, FILE *stream)
{
    const size_t looked_at = top->busiest == NULL ? 0 : busiest_looked_at(top->busiest);

    if (looked_at == 0)
        return;
    (void)fputc('\n', stream);
    if (top->has_more_connections)
        text_print(stream, "busiest of the first %zu connections; there are more", looked_at);
    else
        text_print(stream, "busiest of %zu connection%s", looked_at, looked_at == 1 ? "" : "s");
    print_busiest_rows(top->busiest, stream);
}

static void print_frame(const struct top *top, FILE *stream)
{
    const struct service_facts *now = &top->now;
    const struct rates rates = rates_of_service(top);
    char uptime[WORDS_SIZE], in[WORDS_SIZE], out[WORDS_SIZE], queued[WORDS_SIZE];

    words_duration(now->uptime_ms, uptime);
    words_size((uint64_t)rates.in_bytes, in);
    words_size((uint64_t)rates.out_bytes, out);
    words_size(now->queued_bytes, queued);
    text_print(stream, "%s  echod %s on %s, %s for %s", top->clock, now->version, now->hostname,
               now->state, uptime);
    text_print(stream, "%s", top->error.text);
    text_print(stream,
               "connections  %" PRIu64 " open of %" PRIu64 ", %.1f/s accepted, %.1f/s refused",
               now->traffic.open, now->traffic.max, rates.accepted, rates.refused);
    text_print(stream, "bytes        %s/s in, %s/s out, %s queued", in, out, queued);
    text_print(stream, "datagrams    %.1f/s in, %.1f/s out", rates.datagrams_in,
               rates.datagrams_out);
    text_print(stream, "workers      %" PRIu64 ", the latest %.1f ms late", now->workers,
               now->loop_lag_ms);
    (void)fputc('\n', stream);
    print_listeners(top, stream);
    print_busiest(top, stream);
}

/* Hand the frame to `show`. Return 0, or -1 with errno for want of memory. */
static int show_frame(const struct top *top, void (*show)(const char *frame))
{
    char *frame = NULL;
    size_t size;
    FILE *stream = open_memstream(&frame, &size);
    int status = -1;

    if (stream == NULL)
        return -1;
    print_frame(top, stream);
    if (fclose(stream) == 0) {
        show(frame);
        status = 0;
    }
    free(frame);
    return status;
}

static void print_plainly(const char *frame)
{
    (void)fputs(frame, stdout);
}

/* Draw until it is time to ask again. Return false if that is never. */
static bool draw(const struct top *top, bool is_last)
{
    enum screen_event event;

    do {
        if (show_frame(top, screen_draw) < 0)
            return false;
        event = is_last ? SCREEN_KEY_QUIT : screen_wait(top->options->interval_ms);
    } while (event == SCREEN_RESIZED);
    return event != SCREEN_KEY_QUIT && !ferror(stdout);
}

/* Once somebody was there, who goes away is waited for. */
static int run_on_screen(struct top *top)
{
    const uint64_t count = top->options->count;

    screen_begin();
    for (uint64_t i = 1; draw(top, i == count); i++)
        (void)ask(top);
    screen_end();
    if (count > 0 && show_frame(top, print_plainly) < 0)
        return EXIT_STATUS_SYSTEM;
    return top->error.text[0] == '\0' ? EXIT_STATUS_DONE : EXIT_STATUS_UNREACHED;
}

/* --- A line each time ------------------------------------------------------------------------ */

static const struct column line_columns[] = {
    {"TIME", false}, {"OPEN", true},   {"ACCEPTED/S", true}, {"REFUSED/S", true}, {"IN/S", true},
    {"OUT/S", true}, {"QUEUED", true}, {"LATE/MS", true},    {"STATE", false},    {NULL, false},
};

static void print_line(struct top *top, bool is_first)
{
    const struct rates rates = rates_of_service(top);
    struct columns_row row = {0};

    columns_add(&row, top->clock);
    columns_add_count(&row, top->now.traffic.open);
    add_rate(&row, rates.accepted);
    add_rate(&row, rates.refused);
    add_size(&row, rates.in_bytes);
    add_size(&row, rates.out_bytes);
    add_size(&row, (double)top->now.queued_bytes);
    add_rate(&row, top->now.loop_lag_ms);
    columns_add(&row, top->now.state);
    columns_widen(&top->lines, &row);
    if (is_first)
        columns_print_titles(&top->lines, stdout);
    columns_print(&top->lines, &row, stdout);
}

static void sleep_between(uint64_t duration_ms)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ms / 1000),
                            .tv_nsec = (long)(duration_ms % 1000) * 1000000};

    (void)nanosleep(&left, NULL);
}

static int run_in_lines(struct top *top)
{
    const uint64_t count = top->options->count;

    for (uint64_t i = 1;; i++) {
        if (top->options->json)
            text_print_json(stdout, top->answer.body, top->answer.size);
        else
            print_line(top, i == 1);
        if (fflush(stdout) != 0 || ferror(stdout) || i == count)
            return EXIT_STATUS_DONE; /* main tells of what could not be written */
        sleep_between(top->options->interval_ms);
        if (!ask(top)) {
            process_complain("echoctl", "%s", top->error.text);
            return EXIT_STATUS_UNREACHED;
        }
    }
}

int top_run(const struct options *options, const struct service *service)
{
    static struct busiest busiest; /* large, and one to a process */
    const bool is_drawn = !options->json && screen_is_there();
    struct top top = {.options = options,
                      .service = service,
                      .busiest = is_drawn ? &busiest : NULL,
                      .lines = columns_begin(line_columns)};
    int status = EXIT_STATUS_UNREACHED;

    if (!ask(&top))
        process_complain("echoctl", "%s", top.error.text);
    else if (is_drawn)
        status = run_on_screen(&top);
    else
        status = run_in_lines(&top);
    http_reply_free(&top.answer);
    http_reply_free(&top.previous_answer);
    return status;
}
