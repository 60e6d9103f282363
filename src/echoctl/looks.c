#include <config.h>

#include "echoctl/looks.h"

#include "base/process.h"
#include "echoctl/answers.h"
#include "echoctl/columns.h"
#include "echoctl/json.h"
#include "echoctl/target.h"
#include "echoctl/text.h"
#include "echoctl/words.h"

#include <stdbool.h>
#include <string.h>

int looks_status(const struct options *options, const struct service *service)
{
    struct http_reply answer;
    struct service_facts facts;
    const char *json;
    int status = service_ask_json(service, "GET", "/status", NULL, &answer, &json);

    if (status != EXIT_STATUS_DONE)
        return status;
    if (!answers_read_service(json, &facts))
        status = service_misunderstand(service, "no status of echod");
    else if (options->json)
        text_print_json(stdout, answer.body, answer.size);
    else
        words_print_service(&facts, stdout);
    http_reply_free(&answer);
    return status;
}

/* Call `see` for the row of each listener. */
static void for_each_listener(const char *listener, struct columns *columns,
                              void (*see)(struct columns *columns, const struct columns_row *row))
{
    struct listener_facts facts;
    struct columns_row row;

    for (; listener != NULL; listener = json_next(listener)) {
        if (!answers_read_listener(listener, &facts))
            continue;
        words_listener_row(&facts, &row);
        see(columns, &row);
    }
}

static void print_row(struct columns *columns, const struct columns_row *row)
{
    columns_print(columns, row, stdout);
}

static void print_listeners(const char *first)
{
    struct columns columns = columns_begin(words_listener_columns);

    for_each_listener(first, &columns, columns_widen);
    columns_print_titles(&columns, stdout);
    for_each_listener(first, &columns, print_row);
}

int looks_listeners(const struct options *options, const struct service *service)
{
    struct http_reply answer;
    const char *json, *listeners;
    int status = service_ask_json(service, "GET", "/status", NULL, &answer, &json);

    if (status != EXIT_STATUS_DONE)
        return status;
    listeners = json_member(json, "listeners");
    if (!answers_are_listeners(listeners)) {
        status = service_misunderstand(service, "no list of listeners");
    } else if (options->json) {
        text_print_json(stdout, listeners, (size_t)(json_end(listeners) - listeners));
        (void)putchar('\n');
    } else {
        print_listeners(json_first(listeners));
    }
    http_reply_free(&answer);
    return status;
}

int looks_connection(const struct options *options, const struct service *service)
{
    struct http_reply answer;
    struct connection_facts facts;
    struct target target;
    const char *json;
    int status;

    target_begin(&target, "/connections");
    target_add_segment(&target, options->operands.texts[1]);
    status = service_ask_json(service, "GET", target.text, NULL, &answer, &json);
    if (status != EXIT_STATUS_DONE)
        return status;
    if (!answers_read_connection(json, &facts))
        status = service_misunderstand(service, "no connection");
    else if (options->json)
        text_print_json(stdout, answer.body, answer.size);
    else
        words_print_connection(&facts, stdout);
    http_reply_free(&answer);
    return status;
}

/* The answer to /readyz is a word or a sentence with a line feed. */
int looks_ready(const struct options *options, const struct service *service)
{
    struct http_reply answer;
    struct error error = {""};
    int status, length;

    (void)options;
    if (service_try(service, "/readyz", &answer, &error) != HTTP_ANSWERED) {
        process_complain("echoctl", "%s", error.text);
        return EXIT_STATUS_UNREACHED;
    }
    status = answer.status == 200 ? EXIT_STATUS_DONE : EXIT_STATUS_REFUSED;
    length = (int)strcspn(answer.body, "\n");
    if (status == EXIT_STATUS_DONE && strncmp(answer.body, "ready\n", sizeof "ready\n" - 1) != 0)
        status = service_misunderstand(service, "none of an echod");
    else
        text_print(stdout, "%.*s", length, answer.body);
    http_reply_free(&answer);
    return status;
}

/* Tell whether an answer is text in the format of Prometheus, with a metric of an echod. */
static bool has_metrics(const struct http_reply *answer)
{
    return strlen(answer->body) == answer->size && strncmp(answer->body, "# ", 2) == 0 &&
           strstr(answer->body, "# HELP echod_") != NULL;
}

int looks_metrics(const struct options *options, const struct service *service)
{
    struct http_reply answer;
    int status = service_ask(service, "GET", "/metrics", NULL, &answer);

    (void)options;
    if (status != EXIT_STATUS_DONE)
        return status;
    if (has_metrics(&answer))
        text_print_lines(stdout, answer.body);
    else
        status = service_misunderstand(service, "no metrics of an echod");
    http_reply_free(&answer);
    return status;
}
