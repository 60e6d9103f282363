#include <config.h>

#include "echoctl/http_message.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { STATUS_LINE_LENGTH = sizeof "HTTP/1.1 200" - 1, NUMBER_SIZE = 24 };

/* A line of a head, without its end. */
struct piece {
    const char *text;
    size_t length;
};

size_t http_message_write(const char *method, const char *target, const char *host,
                          const char *body, char text[HTTP_REQUEST_SIZE])
{
    const char *content = body == NULL ? "" : body;
    const size_t length = (size_t)snprintf(text, HTTP_REQUEST_SIZE,
                                           "%s %s HTTP/1.0\r\n"
                                           "Host: %s\r\n"
                                           "Connection: close\r\n"
                                           "Content-Length: %zu\r\n"
                                           "\r\n%s",
                                           method, target, host, strlen(content), content);

    return length < HTTP_REQUEST_SIZE ? length : 0;
}

/* Tell whether the bytes may begin an answer: as far as they go. */
static bool may_begin(const char *bytes, size_t count)
{
    static const char form[] = "HTTP/1.d ddd";

    for (size_t i = 0; i < count && i < STATUS_LINE_LENGTH; i++) {
        if (form[i] == 'd' ? bytes[i] < '0' || bytes[i] > '9' : bytes[i] != form[i])
            return false;
    }
    return true;
}

/* Return the first line of a text, and the place behind it; NULL: its end has not come. */
static const char *split_line(const char *text, const char *end, struct piece *line)
{
    const char *feed = memchr(text, '\n', (size_t)(end - text));

    if (feed == NULL)
        return NULL;
    *line = (struct piece){text, (size_t)(feed - text)};
    if (line->length > 0 && text[line->length - 1] == '\r')
        line->length--;
    return feed + 1;
}

/* Return the value of a header, or NULL if the line has another. */
static const char *header_value(const struct piece *line, const char *name)
{
    const size_t length = strlen(name);

    if (line->length <= length || line->text[length] != ':' ||
        strncasecmp(line->text, name, length) != 0)
        return NULL;
    return line->text + length + 1;
}

static bool read_length(const struct piece *line, const char *value, struct http_head *head)
{
    char number[NUMBER_SIZE];
    uint64_t length;

    while (*value == ' ' || *value == '\t')
        value++;
    (void)snprintf(number, sizeof number, "%.*s", (int)(line->text + line->length - value), value);
    number[strcspn(number, " \t")] = '\0';
    if (units_parse_count(number, &length) < 0 ||
        (head->has_body_length && head->body_length != length))
        return false;
    head->has_body_length = true;
    head->body_length = length;
    return true;
}

/* Take what a header says. Return false if the answer cannot be read then. */
static bool read_header(const struct piece *line, struct http_head *head)
{
    const char *value = header_value(line, "Content-Length");

    if (value != NULL)
        return read_length(line, value, head);
    return header_value(line, "Transfer-Encoding") == NULL; /* which HTTP/1.0 does not know */
}

static unsigned read_status(const char *bytes)
{
    unsigned status = 0;

    for (size_t i = STATUS_LINE_LENGTH - 3; i < STATUS_LINE_LENGTH; i++)
        status = 10 * status + (unsigned)(bytes[i] - '0');
    return status;
}

static enum http_head_state end_head(const char *bytes, const char *behind, struct http_head *head)
{
    head->size = (size_t)(behind - bytes);
    head->status = read_status(bytes);
    return head->size <= HTTP_HEAD_SIZE && head->status >= 200 && head->status < 600
               ? HTTP_HEAD_WHOLE
               : HTTP_HEAD_WRONG;
}

enum http_head_state http_message_read_head(const char *bytes, size_t count, struct http_head *head)
{
    const char *end = bytes + count, *next;
    struct piece line;

    *head = (struct http_head){0};
    if (!may_begin(bytes, count))
        return HTTP_HEAD_WRONG;
    next = split_line(bytes, end, &line);
    while (next != NULL && (next = split_line(next, end, &line)) != NULL) {
        if (line.length == 0)
            return end_head(bytes, next, head);
        if (!read_header(&line, head))
            return HTTP_HEAD_WRONG;
    }
    return count < HTTP_HEAD_SIZE ? HTTP_HEAD_PARTIAL : HTTP_HEAD_WRONG;
}
