/*
 * log_queue: lines that wait to be written: a ring of bytes that holds whole lines.
 * Knows no lock and no thread: whoever shares it guards it. Never allocates.
 * Called by log.
 */
#ifndef BASE_LOG_QUEUE_H
#define BASE_LOG_QUEUE_H

#include "base/line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_QUEUE_SIZE = 1 << 20 }; /* bytes */

/* Begin with zeros. */
struct log_queue {
    size_t start, length; /* of what waits, in bytes */
    char bytes[LOG_QUEUE_SIZE];
};

/*
 * Put a line, which ends in a line feed, behind what waits, whole or not at all.
 * Return false if there is no room.
 */
bool log_queue_put(struct log_queue *queue, const struct line *line)
    __attribute__((warn_unused_result));

/*
 * Point to the first bytes that wait, and return how many lie there in one piece, at most `most`.
 * They stay as they are until they are removed, whatever is put behind them.
 */
size_t log_queue_first(const struct log_queue *queue, size_t most, const char **bytes);

/* Copy the first line that waits, with its line feed. There is one. */
void log_queue_copy_line(const struct log_queue *queue, struct line *line);

/* Forget the first bytes that wait. */
void log_queue_remove(struct log_queue *queue, size_t length);

/* Forget all that waits, and return how many lines that were, the first perhaps not whole. */
uint64_t log_queue_drop(struct log_queue *queue);

#endif
