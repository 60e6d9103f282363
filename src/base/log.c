#include <config.h>

#include "base/log.h"

#include "base/clock.h"
#include "base/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    QUEUE_SIZE = 1 << 20,  /* bytes of lines that wait for the thread */
    WRITE_SIZE = 64 << 10, /* the most that one write takes */
    FLUSH_MS = 500,        /* how long log_flush waits for a reader */
    LIMITED_INTERVAL_MS = 1000,
    NAME_SIZE = 64,
};

/*
 * Lines go through a ring: callers append behind what waits, the thread writes from its start.
 * Members below the mutex are guarded by it; bytes that wait are not changed by anyone.
 */
struct log {
    int fd;
    _Atomic unsigned level;    /* enum log_level */
    _Atomic unsigned format;   /* enum log_format */
    bool is_syslog;            /* fd is ours, a socket connected to ... */
    struct sockaddr_un syslog; /* ... this one, and each line is a datagram */
    char ident[NAME_SIZE];     /* for syslog */
    char process[NAME_SIZE];   /* empty: lines do not name it */
    pthread_t thread;
    bool is_within_line; /* the thread's own: the last byte that it wrote did not end a line ... */
    bool is_line_cut;    /* ... and the rest of that line was dropped */

    pthread_mutex_t mutex;
    pthread_cond_t lines_came; /* or the log is to stop */
    pthread_cond_t queue_emptied;
    size_t start, length; /* of what waits in the queue, in bytes */
    uint64_t dropped;
    uint64_t dropped_since_report; /* because the queue was full */
    uint64_t next_limited_ms;      /* clock_now_ms from which log_write_limited writes again */
    bool is_stopping;
    char queue[QUEUE_SIZE];
};

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    abort(); /* no such level */
}

/* --- One line as text. ---------------------------------------------------------------------- */

struct line {
    char text[LOG_LINE_SIZE];
    size_t length;
};

static void append(struct line *line, const char *text, size_t length)
{
    if (length > sizeof line->text - line->length)
        length = sizeof line->text - line->length;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void append_text(struct line *line, const char *text)
{
    append(line, text, strlen(text));
}

/* Append text from anywhere; where it does not leave `reserve` bytes free, cut it with "...". */
static void append_escaped(struct line *line, enum escape_form form, const char *text,
                           size_t reserve)
{
    static const char dots[] = "...";
    const size_t limit = sizeof line->text - reserve;
    size_t cut = line->length; /* up to here the dots still fit */

    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];
        size_t length;

        text += escape_character(form, text, escaped);
        length = strlen(escaped);
        if (line->length + length > limit) {
            line->length = cut;
            append_text(line, dots);
            return;
        }
        append(line, escaped, length);
        if (line->length + strlen(dots) <= limit)
            cut = line->length;
    }
}

static void append_time(struct line *line)
{
    char text[sizeof "2026-11-22T14:47:01.123Z"];
    struct timespec now;
    struct tm utc;
    size_t length;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + length, sizeof text - length, ".%03uZ",
                   (unsigned)(now.tv_nsec / 1000000) % 1000);
    append_text(line, text);
}

static int syslog_severity(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return LOG_ERR;
    case LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case LOG_LEVEL_INFO:
        return LOG_INFO;
    case LOG_LEVEL_DEBUG:
        return LOG_DEBUG;
    }
    abort(); /* no such level */
}

/* Append what comes before a message to syslog: "<30>Nov 22 15:47:01 echod[123]: ". */
static void append_syslog_head(struct line *line, const struct log *log, enum log_level level)
{
    char text[2 * NAME_SIZE], local_time[sizeof "Nov 22 15:47:01"];
    const time_t now = time(NULL);
    struct tm local;

    (void)localtime_r(&now, &local);
    (void)strftime(local_time, sizeof local_time, "%b %e %H:%M:%S", &local);
    (void)snprintf(text, sizeof text, "<%d>%s %s[%ld]: ", LOG_DAEMON | syslog_severity(level),
                   local_time, log->ident, (long)getpid());
    append_text(line, text);
}

static void format_text(struct line *line, const struct log *log, enum log_level level,
                        const char *message)
{
    if (!log->is_syslog) {
        append_time(line);
        append_text(line, " ");
    }
    append_text(line, level_name(level));
    append_text(line, ": ");
    if (log->process[0] != '\0') {
        append_text(line, "[");
        append_escaped(line, ESCAPE_TEXT, log->process, LOG_LINE_SIZE / 2);
        append_text(line, "] ");
    }
    append_escaped(line, ESCAPE_TEXT, message, 1);
    append_text(line, "\n");
}

/* Append ,"name":value for each field, and leave out what does not fit in half a line. */
static void append_fields(struct line *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t before = line->length;
        char number[24];

        append_text(line, ",\"");
        append_text(line, fields[i].name);
        append_text(line, "\":");
        if (fields[i].text != NULL) {
            append_text(line, "\"");
            append_escaped(line, ESCAPE_JSON, fields[i].text, LOG_LINE_SIZE / 2 + 1);
            append_text(line, "\"");
        } else {
            (void)snprintf(number, sizeof number, "%" PRIu64, fields[i].number);
            append_text(line, number);
        }
        if (line->length > LOG_LINE_SIZE / 2)
            line->length = before;
    }
}

static void format_json(struct line *line, const struct log *log, enum log_level level,
                        const char *message, const struct log_field *fields, size_t field_count)
{
    struct line end = {.length = 0};

    append_text(&end, "\"");
    append_fields(&end, fields, field_count);
    append_text(&end, "}\n");

    append_text(line, "{\"time\":\"");
    append_time(line);
    append_text(line, "\",\"level\":\"");
    append_text(line, level_name(level));
    if (log->process[0] != '\0') {
        append_text(line, "\",\"process\":\"");
        append_escaped(line, ESCAPE_JSON, log->process, LOG_LINE_SIZE / 2);
    }
    append_text(line, "\",\"message\":\"");
    append_escaped(line, ESCAPE_JSON, message, end.length);
    append(line, end.text, end.length);
}

static void format_line(struct line *line, const struct log *log, enum log_level level,
                        const char *message, const struct log_field *fields, size_t field_count)
{
    line->length = 0;
    if (log->is_syslog)
        append_syslog_head(line, log, level);
    switch ((enum log_format)atomic_load_explicit(&log->format, memory_order_relaxed)) {
    case LOG_FORMAT_TEXT:
        format_text(line, log, level, message);
        return;
    case LOG_FORMAT_JSON:
        format_json(line, log, level, message, fields, field_count);
        return;
    }
}

/* --- The queue. ------------------------------------------------------------------------------ */

/* Put a line into the queue, whole or not at all. The mutex is held. */
static bool enqueue(struct log *log, const struct line *line)
{
    const size_t end = (log->start + log->length) % QUEUE_SIZE;
    const size_t before_wrap = QUEUE_SIZE - end;

    if (line->length > QUEUE_SIZE - log->length)
        return false;
    if (line->length <= before_wrap) {
        memcpy(log->queue + end, line->text, line->length);
    } else {
        memcpy(log->queue + end, line->text, before_wrap);
        memcpy(log->queue, line->text + before_wrap, line->length - before_wrap);
    }
    log->length += line->length;
    return true;
}

/* Say how many lines are missing, since there is room for it again. The mutex is held. */
static void enqueue_drop_report(struct log *log)
{
    char message[80];
    struct line line;

    (void)snprintf(message, sizeof message,
                   "%" PRIu64 " log lines were dropped: nobody reads them fast enough",
                   log->dropped_since_report);
    format_line(&line, log, LOG_LEVEL_WARNING, message, NULL, 0);
    if (enqueue(log, &line))
        log->dropped_since_report = 0;
}

/* --- The writing thread. ------------------------------------------------------------------- */

/* Drop everything that waits, which is whole lines but for the first. The mutex is held. */
static void drop_queue(struct log *log)
{
    for (size_t i = 0; i < log->length; i++)
        log->dropped += log->queue[(log->start + i) % QUEUE_SIZE] == '\n';
    log->start = 0;
    log->length = 0;
}

/*
 * Write once, and wait for room where the descriptor does not block. It is the one place where the
 * thread can be held up, and where log_free may therefore cancel it.
 */
static ssize_t write_or_wait(int fd, const char *bytes, size_t length)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ssize_t written;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    written = write(fd, bytes, length);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
        (void)poll(&writable, 1, -1);
        written = 0;
    }
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return written;
}

/* Write a piece of what waits. Called and returns with the mutex held, and gives it up between. */
static void write_piece(struct log *log)
{
    const char *bytes = log->queue + log->start;
    size_t length = log->length;
    ssize_t written;

    if (length > QUEUE_SIZE - log->start)
        length = QUEUE_SIZE - log->start;
    if (length > WRITE_SIZE)
        length = WRITE_SIZE;

    (void)pthread_mutex_unlock(&log->mutex);
    if (log->is_line_cut && write_or_wait(log->fd, "\n", 1) == 1)
        log->is_line_cut = false;
    written = write_or_wait(log->fd, bytes, length);
    (void)pthread_mutex_lock(&log->mutex);

    if (written < 0) { /* its reader has gone, or the disk is full */
        log->is_line_cut = log->is_within_line;
        drop_queue(log);
        return;
    }
    if (written > 0)
        log->is_within_line = bytes[written - 1] != '\n';
    log->start = (log->start + (size_t)written) % QUEUE_SIZE;
    log->length -= (size_t)written;
}

/* Copy the first line that waits, without its line feed, and return its length. */
static size_t copy_line(const struct log *log, char text[LOG_LINE_SIZE])
{
    for (size_t i = 0; i < LOG_LINE_SIZE; i++) {
        text[i] = log->queue[(log->start + i) % QUEUE_SIZE];
        if (text[i] == '\n')
            return i;
    }
    abort(); /* every line ends in one */
}

/*
 * Send a datagram to the syslog daemon, to the one that there is now if there is a new one. It may
 * wait as long as the daemon does not read; log_free may cancel it.
 */
static ssize_t send_or_wait(const struct log *log, const char *text, size_t length)
{
    ssize_t sent;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    sent = send(log->fd, text, length, 0);
    if (sent < 0 && errno != EMSGSIZE &&
        connect(log->fd, (const struct sockaddr *)&log->syslog, sizeof log->syslog) == 0)
        sent = send(log->fd, text, length, 0);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return sent;
}

/* Send the first line that waits. Called and returns with the mutex held, and gives it up between.
 */
static void send_line(struct log *log)
{
    char text[LOG_LINE_SIZE];
    const size_t length = copy_line(log, text);
    ssize_t sent;

    (void)pthread_mutex_unlock(&log->mutex);
    sent = send_or_wait(log, text, length);
    (void)pthread_mutex_lock(&log->mutex);

    if (sent < 0)
        log->dropped++;
    log->start = (log->start + length + 1) % QUEUE_SIZE;
    log->length -= length + 1;
}

static void *write_lines(void *argument)
{
    struct log *log = argument;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_mutex_lock(&log->mutex);
    while (log->length > 0 || !log->is_stopping) {
        if (log->length == 0)
            (void)pthread_cond_wait(&log->lines_came, &log->mutex);
        else if (log->is_syslog)
            send_line(log);
        else
            write_piece(log);
        if (log->length == 0 && log->dropped_since_report > 0)
            enqueue_drop_report(log);
        if (log->length == 0)
            (void)pthread_cond_broadcast(&log->queue_emptied);
    }
    (void)pthread_mutex_unlock(&log->mutex);
    return NULL;
}

/* --- What callers write. -------------------------------------------------------------------- */

static void enqueue_or_drop(struct log *log, const struct line *line)
{
    (void)pthread_mutex_lock(&log->mutex);
    if (!enqueue(log, line)) {
        log->dropped++;
        log->dropped_since_report++;
    }
    (void)pthread_cond_signal(&log->lines_came);
    (void)pthread_mutex_unlock(&log->mutex);
}

__attribute__((format(printf, 5, 0))) static void
write_message(struct log *log, enum log_level level, const struct log_field *fields,
              size_t field_count, const char *format, va_list arguments)
{
    const int saved_errno = errno;
    char message[LOG_LINE_SIZE];
    struct line line;

    if (log_is_enabled(log, level)) {
        (void)vsnprintf(message, sizeof message, format, arguments);
        format_line(&line, log, level, message, fields, field_count);
        enqueue_or_drop(log, &line);
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
static bool take_limited_turn(struct log *log)
{
    const uint64_t now_ms = clock_now_ms();
    bool is_taken;

    (void)pthread_mutex_lock(&log->mutex);
    is_taken = now_ms >= log->next_limited_ms;
    if (is_taken)
        log->next_limited_ms = now_ms + LIMITED_INTERVAL_MS;
    (void)pthread_mutex_unlock(&log->mutex);
    return is_taken;
}

void log_write_limited(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (!take_limited_turn(log))
        return;
    va_start(arguments, format);
    write_message(log, level, NULL, 0, format, arguments);
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
    return log->fd >= 0 &&
           (unsigned)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

uint64_t log_dropped_count(struct log *log)
{
    uint64_t dropped;

    (void)pthread_mutex_lock(&log->mutex);
    dropped = log->dropped;
    (void)pthread_mutex_unlock(&log->mutex);
    return dropped;
}

/* --- Its life. ------------------------------------------------------------------------------- */

/* Start the thread with all signals blocked: they are for the loop that waits for them. */
static int start_thread(struct log *log)
{
    sigset_t all, before;
    int failure;

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
    (void)pthread_cond_init(&log->lines_came, NULL);
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

struct log *log_new(int fd, enum log_level level, enum log_format format)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->fd = fd;
    log_change(log, level, format);
    init_conditions(log);
    if (fd >= 0 && start_thread(log) < 0) {
        const int saved_errno = errno;

        destroy(log);
        errno = saved_errno;
        return NULL;
    }
    return log;
}

/* Return a socket that is connected to the syslog daemon, or -1 with errno. */
static int connect_syslog(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        const int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

struct log *log_new_syslog(const char *path, const char *ident, enum log_level level,
                           enum log_format format)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct log *log;
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = connect_syslog(&address);
    if (fd < 0)
        return NULL;
    log = log_new(fd, level, format);
    if (log == NULL) {
        const int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
        return NULL;
    }
    /* The thread looks at these when the first line has come. */
    log->is_syslog = true;
    log->syslog = address;
    (void)snprintf(log->ident, sizeof log->ident, "%s", ident);
    return log;
}

void log_set_process(struct log *log, const char *name)
{
    (void)snprintf(log->process, sizeof log->process, "%s", name);
}

void log_change(struct log *log, enum log_level level, enum log_format format)
{
    atomic_store_explicit(&log->level, level, memory_order_relaxed);
    atomic_store_explicit(&log->format, format, memory_order_relaxed);
}

int log_flush(struct log *log)
{
    struct timespec deadline;
    int failure = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += FLUSH_MS * 1000000L;
    deadline.tv_sec += deadline.tv_nsec / 1000000000L;
    deadline.tv_nsec %= 1000000000L;

    (void)pthread_mutex_lock(&log->mutex);
    while (log->length > 0 && failure == 0)
        failure = pthread_cond_timedwait(&log->queue_emptied, &log->mutex, &deadline);
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

void log_free(struct log *log)
{
    if (log == NULL)
        return;
    if (log->fd >= 0)
        stop_thread(log);
    if (log->is_syslog)
        (void)close(log->fd);
    destroy(log);
}
