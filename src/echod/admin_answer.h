/*
 * admin_answer: the forms of answers to operators: JSON, text and errors.
 * Knows no resource.
 * Called by admin_routes and by whatever answers a request.
 */
#ifndef ECHOD_ADMIN_ANSWER_H
#define ECHOD_ADMIN_ANSWER_H

#include "base/http_request.h"
#include "base/text_buffer.h"

/* Answer with what is in the buffer, which is empty then; or with an error if memory has lacked. */
void admin_answer(struct http_request *request, unsigned status, const char *content_type,
                  struct text_buffer *body);

/* The same with an object of JSON, which ends with a newline. */
void admin_answer_json(struct http_request *request, unsigned status, struct text_buffer *body);

/* Answer {"error":"One sentence."}. What is quoted in it may be any text. */
void admin_answer_error(struct http_request *request, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
