#include <config.h>

#include "echoctl/actions.h"

#include "base/process.h"
#include "echoctl/answers.h"
#include "echoctl/json.h"
#include "echoctl/target.h"
#include "echoctl/text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { DRAIN_PERIOD_MS = 200 }; /* how often a service that drains is asked */

/* Read what was done: "paused" of {"state":"paused"}, or "reloaded" of {"reloaded":true}. */
static bool read_outcome(const char *json, const char *member, char text[ANSWERS_TEXT_SIZE])
{
    const char *value = json_member(json, member);

    if (!json_is_true(value))
        return json_text(value, text, ANSWERS_TEXT_SIZE);
    (void)snprintf(text, ANSWERS_TEXT_SIZE, "%s", member);
    return true;
}

/* Ask for something, and print the answer as it is, or what a member of it says was done. */
static int act(const struct options *options, const struct service *service, const char *method,
               const char *target, const char *body, const char *member)
{
    struct http_reply answer;
    char text[ANSWERS_TEXT_SIZE];
    const char *json;
    int status = service_ask_json(service, method, target, body, &answer, &json);

    if (status != EXIT_STATUS_DONE)
        return status;
    if (!read_outcome(json, member, text))
        status = service_misunderstand(service, "none of an echod");
    else if (options->json)
        text_print_json(stdout, answer.body, answer.size);
    else
        text_print(stdout, "%s", text);
    http_reply_free(&answer);
    return status;
}

/* Learn who it is that answers. */
static int learn(const struct service *service, struct service_facts *facts)
{
    struct http_reply answer;
    const char *json;
    int status = service_ask_json(service, "GET", "/status", NULL, &answer, &json);

    if (status != EXIT_STATUS_DONE)
        return status;
    if (!answers_read_service(json, facts))
        status = service_misunderstand(service, "no status of echod");
    http_reply_free(&answer);
    return status;
}

/* --- close ----------------------------------------------------------------------------------- */

static int close_one(const struct options *options, const struct service *service, const char *id)
{
    struct http_reply answer;
    struct connection_facts facts;
    struct target target;
    const char *json;
    int status;

    target_begin(&target, "/connections");
    target_add_segment(&target, id);
    if (options->abort)
        target_add_text(&target, "abort", "1");
    status = service_ask_json(service, "DELETE", target.text, NULL, &answer, &json);
    if (status != EXIT_STATUS_DONE)
        return status;
    if (!answers_read_connection(json, &facts))
        status = service_misunderstand(service, "no connection");
    else if (options->json)
        text_print_json(stdout, answer.body, answer.size);
    else
        text_print(stdout, "%s %" PRIu64 ", %s at %s", options->abort ? "reset" : "closed",
                   facts.id, facts.peer, facts.listener);
    http_reply_free(&answer);
    return status;
}

/* One that is gone already keeps none of the others. */
int actions_close(const struct options *options, const struct service *service)
{
    int worst = EXIT_STATUS_DONE;

    for (size_t i = 1; i < options->operands.count; i++) {
        const int status = close_one(options, service, options->operands.texts[i]);

        if (status == EXIT_STATUS_UNREACHED)
            return status;
        if (status != EXIT_STATUS_DONE)
            worst = status;
    }
    return worst;
}

/* --- drain ----------------------------------------------------------------------------------- */

/*
 * Look at an answer to GET /status: tell whether it is that of another service than these facts.
 * Return an exit status.
 */
static int judge_answer(const struct service *service, const struct http_reply *answer,
                        const struct service_facts *facts, bool *is_other)
{
    struct service_facts now;

    *is_other = false;
    if (answer->status >= 500) /* it lacks memory, and may have it the next time */
        return EXIT_STATUS_DONE;
    if (answer->status != 200 || !answers_read_service(json_begin(answer->body), &now))
        return service_misunderstand(service, "no status of echod");
    *is_other = now.pid != facts->pid || strcmp(now.started, facts->started) != 0;
    return EXIT_STATUS_DONE;
}

static void pause_between(void)
{
    const struct timespec period = {.tv_nsec = DRAIN_PERIOD_MS * 1000000L};

    (void)nanosleep(&period, NULL);
}

/* Ask once more. Return an exit status, and whether somebody answers, and another service does. */
static int ask_again(const struct service *service, const struct service_facts *facts,
                     bool *is_there, bool *is_other)
{
    struct http_reply answer;
    struct error error = {""};
    const enum http_outcome outcome = service_try(service, "/status", &answer, &error);
    int status = EXIT_STATUS_DONE;

    *is_there = outcome == HTTP_ANSWERED;
    *is_other = false;
    if (outcome == HTTP_FAILED) {
        process_complain("echoctl", "%s", error.text);
        status = EXIT_STATUS_UNREACHED;
    } else if (outcome == HTTP_ANSWERED) {
        status = judge_answer(service, &answer, facts, is_other);
    }
    http_reply_free(&answer);
    return status;
}

/*
 * Wait until nobody answers any more, or another service, which has taken the place. One connection
 * that breaks shows nothing: the next has to find nobody as well.
 */
static int wait_for_end(const struct service *service, const struct service_facts *facts)
{
    bool is_there = true, is_other = false;

    for (;;) {
        const bool was_there = is_there;
        const int status = ask_again(service, facts, &is_there, &is_other);

        if (status != EXIT_STATUS_DONE || is_other || (!is_there && !was_there))
            return status;
        pause_between();
    }
}

int actions_drain(const struct options *options, const struct service *service)
{
    struct service_facts facts;
    int status = options->wait ? learn(service, &facts) : EXIT_STATUS_DONE;

    if (status == EXIT_STATUS_DONE)
        status = act(options, service, "POST", "/drain", NULL, "state");
    if (status != EXIT_STATUS_DONE || !options->wait)
        return status;
    if (process_end_output("echoctl") < 0)
        return EXIT_STATUS_SYSTEM;
    status = wait_for_end(service, &facts);
    if (status == EXIT_STATUS_DONE && !options->json)
        text_print(stdout, "ended");
    return status;
}

/* --- The others ------------------------------------------------------------------------------ */

int actions_reload(const struct options *options, const struct service *service)
{
    return act(options, service, "POST", "/reload", NULL, "reloaded");
}

/* Print what an answer to PUT /log-level would say. */
static int show_log_level(const struct options *options, const struct service *service)
{
    struct service_facts facts;
    const int status = learn(service, &facts);

    if (status == EXIT_STATUS_DONE && facts.log_level[0] == '\0')
        return service_misunderstand(service, "no status of echod");
    if (status == EXIT_STATUS_DONE)
        text_print(stdout, options->json ? "{\"log_level\":\"%s\"}" : "%s", facts.log_level);
    return status;
}

int actions_log_level(const struct options *options, const struct service *service)
{
    if (options->operands.count == 1)
        return show_log_level(options, service);
    return act(options, service, "PUT", "/log-level", options->operands.texts[1], "log_level");
}

static int switch_listener(const struct options *options, const struct service *service,
                           const char *action)
{
    struct target target;

    target_begin(&target, "/listeners");
    target_add_segment(&target, options->operands.texts[1]);
    target_add_segment(&target, action);
    return act(options, service, "POST", target.text, NULL, "state");
}

int actions_pause(const struct options *options, const struct service *service)
{
    return switch_listener(options, service, "pause");
}

int actions_resume(const struct options *options, const struct service *service)
{
    return switch_listener(options, service, "resume");
}
