/*
 * log: takes lines from any thread, and writes them in a thread of its own.
 * Never blocks its caller and never fails: what cannot be written is dropped and counted. How a
 * line looks is log_format's, where it goes log_output's.
 * Called by everything that has something to say to an operator.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/log_format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };

/* A bounded queue of lines, and the thread that writes them within some 10 ms. */
struct log;

/*
 * Start a log that writes to `fd`, which stays the caller's and may be in either blocking mode; a
 * negative fd drops every line. The thread blocks all signals.
 * Return NULL with errno from malloc or pthread_create.
 */
struct log *log_new(int fd, enum log_level level, enum log_format format);

/*
 * Let a new thread write in the place of the one that does, which has inherited none of the
 * restrictions that were laid on the caller since (Landlock). Lines that wait are kept.
 * Return 0, or -1 with errno from pthread_create: then every line is dropped.
 */
int log_renew_thread(struct log *log) __attribute__((warn_unused_result));

/* Let lines that come from now on, from any thread, have another level. */
void log_set_level(struct log *log, enum log_level level);

/* The same with another format. */
void log_change(struct log *log, enum log_level level, enum log_format format);

/*
 * Start a log that sends each line to the syslog daemon that reads the socket at `path`, with the
 * facility daemon, as "IDENT[PID]" (RFC 3164, 4.1). Text then has no time of its own. The thread
 * may wait for the daemon, and connects again to one that was started anew; what it cannot send is
 * dropped.
 * Return NULL with errno, also where nobody reads the socket now.
 */
struct log *log_new_syslog(const char *path, const char *ident, enum log_level level,
                           enum log_format format);

/* Let each line name the process, before any is written: several may share a file. */
void log_set_process(struct log *log, const char *name);

/*
 * Wait until everything that is queued was written or dropped; for a reader who does not read, at
 * most half a second. Return 0, or -1 if nobody reads it.
 */
int log_flush(struct log *log);

/* Do the same and free the log. No thread may use it any more. NULL is fine. */
void log_free(struct log *log);

/* Tell whether a line of this level would be written: to skip work that only serves the log. */
bool log_is_enabled(const struct log *log, enum log_level level);

/*
 * Queue one line, which looks as base/log_format.h says: at most LINE_SIZE bytes, or it is cut and
 * ends in "...". Saves and restores errno.
 */
void log_write(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * What keeps one kind of line to one a second: of one place in the code and, where others could
 * hide a line, of one object. Whoever writes the line has it, in one thread. Begin with zeros.
 */
struct log_limiter {
    uint64_t next_ms; /* clock_now_ms from which a line is written again */
};

/* Tell whether a line may be written: none with this limiter was less than a second ago. */
bool log_limiter_passes(struct log_limiter *limiter);

/* The same as log_write with facts for JSON, in the order given. */
void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * The same for what may happen many times a second: the line is left out if another was written
 * with this limiter less than a second ago. What was left out is not counted as dropped.
 */
void log_write_limited(struct log *log, struct log_limiter *limiter, enum log_level level,
                       const struct log_field *fields, size_t field_count, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/*
 * The same as log_write_fields for what is written often: the text as it is, put together without
 * printf (base/line.h).
 */
void log_write_text(struct log *log, enum log_level level, const struct log_field *fields,
                    size_t field_count, const char *text);

/* Return how many lines were dropped, without waiting: because the queue was full or writing
 * failed. */
uint64_t log_dropped_count(const struct log *log);

#endif
