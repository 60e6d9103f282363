#include <config.h>

#include "echoctl/service.h"

#include "base/process.h"
#include "echoctl/json.h"
#include "echoctl/options.h"

#include <string.h>

/* Say something that may hold text from outside. */
static void complain(const struct error *error)
{
    process_complain("echoctl", "%s", error->text);
}

enum http_outcome service_try(const struct service *service, const char *target,
                              struct http_reply *answer, struct error *error)
{
    const struct http_question question = {
        .method = "GET", .target = target, .timeout_ms = service->timeout_ms};

    return http_client_ask(service->place, &question, answer, error);
}

/* Say why the service refused: its own sentence, or the status alone. */
static void explain_refusal(const struct service *service, const struct http_reply *answer)
{
    const char *sentence = json_member(json_begin(answer->body), "error");
    char text[ERROR_TEXT_SIZE / 2];
    struct error error = {""};

    if (json_text(sentence, text, sizeof text))
        error_set(&error, "%s", text);
    else
        error_set(&error, "%s: the answer is status %u", service->place->text, answer->status);
    complain(&error);
}

int service_ask(const struct service *service, const char *method, const char *target,
                const char *body, struct http_reply *answer)
{
    const struct http_question question = {method, target, body, service->timeout_ms};
    struct error error = {""};

    if (http_client_ask(service->place, &question, answer, &error) != HTTP_ANSWERED) {
        complain(&error);
        return EXIT_STATUS_UNREACHED;
    }
    if (answer->status < 300)
        return EXIT_STATUS_DONE;
    explain_refusal(service, answer);
    http_reply_free(answer);
    return EXIT_STATUS_REFUSED;
}

int service_misunderstand(const struct service *service, const char *what)
{
    struct error error = {""};

    error_set(&error, "%s: the answer is %s", service->place->text, what);
    complain(&error);
    return EXIT_STATUS_UNREACHED;
}

int service_ask_json(const struct service *service, const char *method, const char *target,
                     const char *body, struct http_reply *answer, const char **json)
{
    const int status = service_ask(service, method, target, body, answer);

    if (status != EXIT_STATUS_DONE)
        return status;
    *json = strlen(answer->body) == answer->size ? json_begin(answer->body) : NULL;
    if (*json != NULL)
        return EXIT_STATUS_DONE;
    http_reply_free(answer);
    return service_misunderstand(service, "no JSON");
}
