#include <config.h>

#include "echod/admin_answer.h"

#include <stdarg.h>
#include <stdio.h>

enum { SENTENCE_SIZE = 1024 };

static const char json[] = "application/json";

void admin_answer(struct http_request *request, unsigned status, const char *content_type,
                  struct text_buffer *body)
{
    size_t size;
    char *bytes = text_buffer_take(body, &size);

    if (bytes == NULL)
        http_answer_text(request, 503, json, "{\"error\":\"Memory is short.\"}\n");
    else
        http_answer(request, status, content_type, bytes, size);
}

void admin_answer_json(struct http_request *request, unsigned status, struct text_buffer *body)
{
    admin_answer(request, status, json, body);
}

void admin_answer_error(struct http_request *request, unsigned status, const char *format, ...)
{
    struct text_buffer body = {.bytes = NULL};
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    text_buffer_append_text(&body, "{\"error\":");
    text_buffer_append_json(&body, sentence);
    text_buffer_append_text(&body, "}\n");
    admin_answer_json(request, status, &body);
}
