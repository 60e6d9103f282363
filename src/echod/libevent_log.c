#include <config.h>

#include "echod/libevent_log.h"

#include "echod/options.h"

#include <event2/event.h>
#include <unistd.h>

/* The one mutable global: libevent hands its log callback nothing but the message. */
static struct log *the_log;

static void on_libevent_log(int severity, const char *message)
{
    enum log_level level = LOG_LEVEL_ERROR;

    if (severity == EVENT_LOG_DEBUG)
        level = LOG_LEVEL_DEBUG;
    else if (severity == EVENT_LOG_MSG)
        level = LOG_LEVEL_INFO;
    else if (severity == EVENT_LOG_WARN)
        level = LOG_LEVEL_WARNING;
    log_write(the_log, level, "libevent: %s", message);
}

/* libevent calls this where it cannot go on; what it said is in the log. */
static void on_libevent_fatal(int error)
{
    (void)error;
    (void)log_flush(the_log);
    _exit(EXIT_STATUS_SYSTEM);
}

void libevent_log_start(struct log *log)
{
    the_log = log;
    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_fatal);
}

void libevent_log_stop(void)
{
    event_set_log_callback(NULL);
    event_set_fatal_callback(NULL);
}
