#include <config.h>

#include "base/log.h"

#include "base/clock.h"
#include "base/date.h"
#include "base/log_output.h"
#include "base/log_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WRITE_SIZE = 64 << 10, /* the most that one write takes */
    GATHER_MS = 10,        /* how long lines wait for more of them, where some came just before */
    FLUSH_MS = 500,        /* how long log_flush waits for a reader */
    LIMITED_INTERVAL_MS = 1000,
    NAME_SIZE = 64,
};

/*
 * Callers put lines behind what waits in the queue, the thread writes from its start. Members below
 * the mutex are guarded by it; bytes that wait are not changed by anyone.
 */
struct log {
    _Atomic unsigned level;   /* enum log_level */
    _Atomic unsigned format;  /* enum log_format */
    bool has_output;          /* and a thread; otherwise every line is dropped */
    struct log_output output; /* the thread's own */
    char ident[NAME_SIZE];    /* for syslog */
    char process[NAME_SIZE];  /* empty: lines do not name it */
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t lines_came; /* as many as wake_length says; or a flush, or the end, is due */
    pthread_cond_t queue_emptied;
    size_t
        wake_length; /* from so many bytes that wait on, wake the thread; SIZE_MAX: it is awake */
    _Atomic uint64_t dropped;      /* changed with the mutex, and read without */
    uint64_t dropped_since_report; /* because the queue was full */
    bool is_writing;               /* the thread is, and a reader may hold it up there */
    bool is_stopping;
    struct log_queue queue;
};

static void format_line(struct line *line, const struct log *log, enum log_level level,
                        const char *text, const struct log_field *fields, size_t field_count)
{
    const bool is_syslog = log->output.is_syslog;
    struct log_message message = {
        .level = level,
        .time = date_now(),
        .process = log->process,
        .text = text,
        .fields = fields,
        .field_count = field_count,
    };

    line->length = 0;
    if (is_syslog)
        log_format_syslog_head(line, &message, log->ident);
    switch ((enum log_format)atomic_load_explicit(&log->format, memory_order_relaxed)) {
    case LOG_FORMAT_TEXT:
        log_format_text(line, &message, !is_syslog);
        return;
    case LOG_FORMAT_JSON:
        log_format_json(line, &message);
        return;
    }
}

/* --- The writing thread ---------------------------------------------------------------------- */

/* Say how many lines are missing, since there is room for it again. The mutex is held. */
static void queue_drop_report(struct log *log)
{
    char text[80];
    struct line line;

    (void)snprintf(text, sizeof text,
                   "%" PRIu64 " log lines were dropped: nobody reads them fast enough",
                   log->dropped_since_report);
    format_line(&line, log, LOG_LEVEL_WARNING, text, NULL, 0);
    if (log_queue_put(&log->queue, &line))
        log->dropped_since_report = 0;
}

/* Give up the mutex while the thread writes. */
static void begin_writing(struct log *log)
{
    log->is_writing = true;
    (void)pthread_mutex_unlock(&log->mutex);
}

static void end_writing(struct log *log)
{
    (void)pthread_mutex_lock(&log->mutex);
    log->is_writing = false;
}

/* Write a piece of what waits. Called and returns with the mutex held, and gives it up between. */
static void write_piece(struct log *log)
{
    const char *bytes;
    const size_t length = log_queue_first(&log->queue, WRITE_SIZE, &bytes);
    ssize_t written;

    begin_writing(log);
    written = log_output_write(&log->output, bytes, length);
    end_writing(log);

    if (written < 0)
        log->dropped += log_queue_drop(&log->queue);
    else
        log_queue_remove(&log->queue, (size_t)written);
}

/* Send the first line that waits. Called and returns with the mutex held, and gives it up between.
 */
static void send_line(struct log *log)
{
    struct line line;
    int status;

    log_queue_copy_line(&log->queue, &line);
    begin_writing(log);
    status = log_output_send(&log->output, line.bytes, line.length - 1);
    end_writing(log);

    if (status < 0)
        log->dropped++;
    log_queue_remove(&log->queue, line.length);
}

/* Return a time on the clock of our conditions. */
static struct timespec deadline_in(unsigned milliseconds)
{
    struct timespec deadline;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += (long)milliseconds * 1000000;
    deadline.tv_sec += deadline.tv_nsec / 1000000000;
    deadline.tv_nsec %= 1000000000;
    return deadline;
}

/*
 * Wait until something waits to be written. To wake the thread and to write costs more than a line
 * is worth: so where lines came a moment ago, more of them are let gather. A line that comes alone
 * is written at once.
 */
static void wait_for_lines(struct log *log)
{
    const struct timespec deadline = deadline_in(GATHER_MS);

    log->wake_length = WRITE_SIZE;
    (void)pthread_cond_timedwait(&log->lines_came, &log->mutex, &deadline);
    log->wake_length = 1;
    if (log->queue.length == 0 && !log->is_stopping)
        (void)pthread_cond_wait(&log->lines_came, &log->mutex);
    log->wake_length = SIZE_MAX;
}

static void *write_lines(void *argument)
{
    struct log *log = argument;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_mutex_lock(&log->mutex);
    while (log->queue.length > 0 || !log->is_stopping) {
        if (log->queue.length == 0)
            wait_for_lines(log);
        else if (log->output.is_syslog)
            send_line(log);
        else
            write_piece(log);
        if (log->queue.length == 0 && log->dropped_since_report > 0)
            queue_drop_report(log);
        if (log->queue.length == 0)
            (void)pthread_cond_broadcast(&log->queue_emptied);
    }
    (void)pthread_mutex_unlock(&log->mutex);
    return NULL;
}

/* --- Logging --------------------------------------------------------------------------------- */

static void queue_or_drop(struct log *log, const struct line *line)
{
    bool must_wake;

    (void)pthread_mutex_lock(&log->mutex);
    if (!log_queue_put(&log->queue, line)) {
        log->dropped++;
        log->dropped_since_report++;
    }
    must_wake = log->queue.length >= log->wake_length;
    if (must_wake)
        log->wake_length = SIZE_MAX;
    (void)pthread_mutex_unlock(&log->mutex);
    if (must_wake)
        (void)pthread_cond_signal(&log->lines_came);
}

void log_write_text(struct log *log, enum log_level level, const struct log_field *fields,
                    size_t field_count, const char *text)
{
    const int saved_errno = errno;
    struct line line;

    if (log_is_enabled(log, level)) {
        format_line(&line, log, level, text, fields, field_count);
        queue_or_drop(log, &line);
    }
    errno = saved_errno;
}

__attribute__((format(printf, 5, 0))) static void
write_message(struct log *log, enum log_level level, const struct log_field *fields,
              size_t field_count, const char *format, va_list arguments)
{
    const int saved_errno = errno;
    char text[LINE_SIZE];

    if (log_is_enabled(log, level)) {
        (void)vsnprintf(text, sizeof text, format, arguments);
        log_write_text(log, level, fields, field_count, text);
    }
    errno = saved_errno;
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(log, level, NULL, 0, format, arguments);
    va_end(arguments);
}

/* Tell whether a limited line may be written now, and if so, that none may for a second. */
bool log_limiter_passes(struct log_limiter *limiter)
{
    const uint64_t now_ms = clock_now_ms();

    if (now_ms < limiter->next_ms)
        return false;
    limiter->next_ms = now_ms + LIMITED_INTERVAL_MS;
    return true;
}

void log_write_limited(struct log *log, struct log_limiter *limiter, enum log_level level,
                       const struct log_field *fields, size_t field_count, const char *format, ...)
{
    va_list arguments;

    if (!log_limiter_passes(limiter))
        return;
    va_start(arguments, format);
    write_message(log, level, fields, field_count, format, arguments);
    va_end(arguments);
}

void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(log, level, fields, field_count, format, arguments);
    va_end(arguments);
}

bool log_is_enabled(const struct log *log, enum log_level level)
{
    return log->has_output &&
           (unsigned)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

uint64_t log_dropped_count(const struct log *log)
{
    return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

/* --- Construction and destruction ------------------------------------------------------------ */

/* Start the thread with all signals blocked: they are for the loop that waits for them. */
static int start_thread(struct log *log)
{
    sigset_t all, before;
    int failure;

    log->is_writing = false;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&log->thread, NULL, write_lines, log);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failure;
    return failure == 0 ? 0 : -1;
}

static void init_conditions(struct log *log)
{
    pthread_condattr_t monotonic;

    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&log->mutex, NULL);
    (void)pthread_cond_init(&log->lines_came, &monotonic);
    (void)pthread_cond_init(&log->queue_emptied, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void destroy(struct log *log)
{
    (void)pthread_cond_destroy(&log->queue_emptied);
    (void)pthread_cond_destroy(&log->lines_came);
    (void)pthread_mutex_destroy(&log->mutex);
    free(log);
}

/* Start a log, which owns its output from now on. Return NULL with errno. */
static struct log *start(const struct log_output *output, enum log_level level,
                         enum log_format format)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->output = *output;
    log->has_output = output->fd >= 0;
    log->wake_length = SIZE_MAX; /* until the thread has come so far */
    log_change(log, level, format);
    init_conditions(log);
    if (log->has_output && start_thread(log) < 0) {
        const int saved_errno = errno;

        destroy(log);
        errno = saved_errno;
        return NULL;
    }
    return log;
}

struct log *log_new(int fd, enum log_level level, enum log_format format)
{
    struct log_output output;

    log_output_init(&output, fd);
    return start(&output, level, format);
}

struct log *log_new_syslog(const char *path, const char *ident, enum log_level level,
                           enum log_format format)
{
    struct log_output output;
    struct log *log;

    if (log_output_init_syslog(&output, path) < 0)
        return NULL;
    log = start(&output, level, format);
    if (log == NULL) {
        const int saved_errno = errno;

        log_output_fini(&output);
        errno = saved_errno;
        return NULL;
    }
    /* The thread looks at it when the first line has come. */
    (void)snprintf(log->ident, sizeof log->ident, "%s", ident);
    return log;
}

void log_set_process(struct log *log, const char *name)
{
    (void)snprintf(log->process, sizeof log->process, "%s", name);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, level, memory_order_relaxed);
}

void log_change(struct log *log, enum log_level level, enum log_format format)
{
    log_set_level(log, level);
    atomic_store_explicit(&log->format, format, memory_order_relaxed);
}

/*
 * Wait until all is written, or time is over. A thread that has not come to write by then is short
 * of a CPU, and held up by no reader: it is waited for. Return 0 or an error.
 */
static int wait_until_empty(struct log *log)
{
    struct timespec deadline = deadline_in(FLUSH_MS);
    int failure = 0;

    while (log->queue.length > 0 && failure == 0) {
        failure = pthread_cond_timedwait(&log->queue_emptied, &log->mutex, &deadline);
        if (failure == ETIMEDOUT && !log->is_writing) {
            deadline = deadline_in(FLUSH_MS);
            failure = 0;
        }
    }
    return failure;
}

int log_flush(struct log *log)
{
    int failure;

    if (!log->has_output)
        return 0;
    (void)pthread_mutex_lock(&log->mutex);
    (void)pthread_cond_signal(&log->lines_came);
    failure = wait_until_empty(log);
    (void)pthread_mutex_unlock(&log->mutex);
    return failure == 0 ? 0 : -1;
}

/* End the thread once it has written everything; cancel it where it hangs on a full descriptor. */
static void stop_thread(struct log *log)
{
    const int status = log_flush(log);

    (void)pthread_mutex_lock(&log->mutex);
    log->is_stopping = true;
    (void)pthread_cond_signal(&log->lines_came);
    (void)pthread_mutex_unlock(&log->mutex);
    if (status < 0)
        (void)pthread_cancel(log->thread);
    (void)pthread_join(log->thread, NULL);
}

int log_renew_thread(struct log *log)
{
    if (!log->has_output)
        return 0;
    stop_thread(log);
    log->is_stopping = false;
    log->wake_length = SIZE_MAX; /* as at the start */
    if (start_thread(log) == 0)
        return 0;
    log->has_output = false;
    return -1;
}

void log_free(struct log *log)
{
    if (log == NULL)
        return;
    if (log->has_output)
        stop_thread(log);
    log_output_fini(&log->output);
    destroy(log);
}
