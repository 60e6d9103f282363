#include <config.h>

#include "base/log_queue.h"

#include <string.h>

/* Return the smallest. */
static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

bool log_queue_put(struct log_queue *queue, const struct line *line)
{
    const size_t end = (queue->start + queue->length) % LOG_QUEUE_SIZE;
    const size_t before_wrap = least(line->length, LOG_QUEUE_SIZE - end);

    if (line->length > LOG_QUEUE_SIZE - queue->length)
        return false;
    memcpy(queue->bytes + end, line->bytes, before_wrap);
    memcpy(queue->bytes, line->bytes + before_wrap, line->length - before_wrap);
    queue->length += line->length;
    return true;
}

size_t log_queue_first(const struct log_queue *queue, size_t most, const char **bytes)
{
    *bytes = queue->bytes + queue->start;
    return least(least(queue->length, LOG_QUEUE_SIZE - queue->start), most);
}

void log_queue_copy_line(const struct log_queue *queue, struct line *line)
{
    char byte = '\0';

    line->length = 0;
    for (size_t i = queue->start; byte != '\n'; i = (i + 1) % LOG_QUEUE_SIZE) {
        byte = queue->bytes[i];
        line_append(line, &byte, 1);
    }
}

/* A ring that is empty begins anew: few lines use the same few pages, which stay in the cache. */
void log_queue_remove(struct log_queue *queue, size_t length)
{
    queue->length -= length;
    queue->start = queue->length == 0 ? 0 : (queue->start + length) % LOG_QUEUE_SIZE;
}

uint64_t log_queue_drop(struct log_queue *queue)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < queue->length; i++)
        lines += queue->bytes[(queue->start + i) % LOG_QUEUE_SIZE] == '\n';
    queue->start = 0;
    queue->length = 0;
    return lines;
}
