#include <config.h>

#include "echod/reload.h"

#include "base/clock.h"
#include "base/date.h"
#include "base/error.h"
#include "echod/byte_rate.h"
#include "echod/capacity.h"
#include "echod/socket_options.h"
#include "echod/store.h"
#include "echod/options_reader.h"
#include "echod/timers.h"
#include "echod/tls_context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    /* Longer than several hosts take whose first name server is away (resolv.conf(5)). */
    LOOKUP_TIMEOUT_MINUTES = 5,
};

/* Log why a reload fails; who waits is told the first reason. */
static void on_error(const struct error *error, void *argument)
{
    struct reload *reload = argument;

    log_write(reload->log, LOG_LEVEL_ERROR, "%s", error->text);
    if (reload->error.text[0] == '\0')
        reload->error = *error;
}

static void on_warning(const struct error *error, void *argument)
{
    const struct reload *reload = argument;

    log_write(reload->log, LOG_LEVEL_WARNING, "%s", error->text);
}

/* Tell those that wait; they may ask again in there. */
static void tell(struct reload_waiter **waiters, const struct error *error)
{
    struct reload_waiter *waiter = *waiters;

    *waiters = NULL;
    while (waiter != NULL) {
        struct reload_waiter *next = waiter->next;

        waiter->on_end(waiter, error);
        waiter = next;
    }
}

static void tell_of_end(struct reload_waiter **waiters)
{
    struct error error = {""};

    error_set(&error, "echod is about to end, and reloads no more");
    tell(waiters, &error);
}

/* Do that with a sentence of our own. */
static void __attribute__((format(printf, 2, 3)))
fail(struct reload *reload, const char *format, ...)
{
    char sentence[ERROR_TEXT_SIZE];
    struct error error = {""};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    error_set(&error, "%s", sentence);
    on_error(&error, reload);
}

static struct capacity capacity_of(const struct reload *reload)
{
    return (struct capacity){
        .worker_count = reload->worker_count,
        .endpoint_count = sockets_count_staying(reload->sockets),
        .admin_file_count = reload->admin_file_count,
    };
}

static void start_or_wait(struct reload *reload);

/* --- Undone ---------------------------------------------------------------------------------- */

/* Forget the next options. */
static void drop(struct reload *reload)
{
    (void)event_del(reload->lookup_deadline);
    lookup_free(reload->lookup);
    reload->lookup = NULL;
    options_free(&reload->next);
    reload->state = RELOAD_NONE;
}

/* Log how a reload ended, after who asked for it. */
static void log_end(const struct reload *reload, enum log_level level, const char *sentence,
                    const char *path)
{
    log_write(reload->log, level, "%s%s: the configuration%s%s %s", reload->asker,
              reload->has_others ? " and others" : "", path == NULL ? "" : " of ",
              path == NULL ? "" : path, sentence);
}

static void refuse(struct reload *reload)
{
    atomic_fetch_add(&reload->outcomes.refused, 1);
    atomic_store(&reload->outcomes.is_last_refused, true);
    log_end(reload, LOG_LEVEL_WARNING, "is not changed", NULL);
    supervise_tell_reload_failed(reload->supervise);
}

/* Nothing has changed, and nothing will: be ready for who asks next, or has already. */
static void give_up(struct reload *reload)
{
    drop(reload);
    if (reload->is_over) {
        tell_of_end(&reload->told);
        return;
    }
    refuse(reload);
    tell(&reload->told, &reload->error);
    if (reload->is_wanted)
        start_or_wait(reload);
}

/* --- Sockets --------------------------------------------------------------------------------- */

/*
 * Open the sockets that are to come, and mark those that are to go.
 * Return 0, or -1 if that cannot be: it was logged, and nothing has changed.
 */
static int open_sockets(struct reload *reload)
{
    struct capacity capacity;

    reload->first_new_number = reload->sockets->endpoints.next_number;
    if (sockets_change(reload->sockets, &reload->next.listen, reload->lookup, reload->log, on_error,
                       reload) < 0)
        return -1;
    capacity = capacity_of(reload);
    if (capacity_check_files(&capacity, reload->log) == 0) {
        if (listener_stats_find(reload->stats, &reload->sockets->endpoints) == 0)
            return 0;
        fail(reload, "listeners cannot be counted: %s", strerror(errno));
    } else {
        error_set(&reload->error, "there are too few descriptors; the log says how many it takes");
    }
    sockets_undo_change(reload->sockets, reload->first_new_number);
    return -1;
}

/* --- Workers --------------------------------------------------------------------------------- */

/* There are no more workers than connections at the start; more connections make no thread. */
static void warn_of_workers(const struct reload *reload)
{
    const size_t count = capacity_worker_count(&reload->next);

    if (count > reload->worker_count)
        log_write(reload->log, LOG_LEVEL_WARNING,
                  "workers: with this max-connections there are %zu when echod is restarted; until "
                  "then there %s %zu",
                  count, reload->worker_count == 1 ? "is" : "are", reload->worker_count);
}

/* Let the workers take over the next options. */
static void change_workers(struct reload *reload)
{
    const struct capacity capacity = capacity_of(reload);

    reload->state = RELOAD_CHANGE;
    reload->changed_count = 0;
    warn_of_workers(reload);
    log_change(reload->log, reload->next.log_level, reload->next.log_format);
    atomic_store(&reload->limit->max,
                 capacity_max_connections(&capacity, &reload->next, reload->log));
    byte_line_set(&reload->limit->rate, reload->next.rate_limit_total);
    for (size_t i = 0; i < reload->worker_count; i++)
        worker_change(reload->workers[i], &reload->next,
                      capacity_max_queued_bytes(&reload->next, i, reload->worker_count));
}

/* --- Reload ---------------------------------------------------------------------------------- */

/* Keep what counts only when a socket is bound, and say so. */
static void keep_bound(struct reload *reload)
{
    struct endpoint_list *endpoints = &reload->sockets->endpoints;

    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];
        const struct log_field fact = endpoint_fact(endpoint);

        if (endpoint->is_leaving ||
            !socket_options_need_bind(&endpoint->options, &endpoint->next_options))
            continue;
        socket_options_keep_bound(&endpoint->next_options, &endpoint->options);
        log_write_fields(
            reload->log, LOG_LEVEL_WARNING, &fact, 1,
            "%s keeps its device, mark, v6only, freebind, mode, owner and group until echod is "
            "restarted",
            endpoint->name);
    }
}

/* The hosts of the next options have been looked up, or those of a reload that was given up. */
static void on_looked_up(void *argument)
{
    struct reload *reload = argument;

    if (reload->state != RELOAD_LOOKUP || !lookup_is_over(reload->lookup))
        return;
    if (reload->is_over || open_sockets(reload) < 0) {
        give_up(reload);
        return;
    }
    (void)event_del(reload->lookup_deadline);
    keep_bound(reload);
    store_keep(&reload->sockets->endpoints, reload->first_new_number, reload->supervise);
    sockets_remove_leaving_paths(reload->sockets);
    change_workers(reload);
}

/* The same, in the thread that looked them up. */
static void post_looked_up(void *argument)
{
    struct reload *reload = argument;

    (void)mailbox_post(reload->mailbox, &reload->looked_up);
}

/* The C library may wait for ever, such as for a lock that it kept when memory was short. */
static void on_lookup_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct reload *reload = argument;

    (void)fd;
    (void)what;
    if (lookup_is_over(reload->lookup))
        return; /* on_looked_up is about to be called */
    if (!reload->is_over)
        fail(reload,
             "hosts cannot be looked up within %d minutes: see to the name servers, or write "
             "addresses; if that does not help, restart echod",
             LOOKUP_TIMEOUT_MINUTES);
    give_up(reload);
}

/* Begin to look up the hosts of the next options. Return 0, or -1 after a line in the log. */
static int look_up(struct reload *reload)
{
    const struct timeval timeout = clock_timeval(UINT64_C(60000) * LOOKUP_TIMEOUT_MINUTES);

    if (event_add(reload->lookup_deadline, &timeout) == 0)
        reload->lookup = lookup_start(&reload->next.listen, post_looked_up, reload);
    if (reload->lookup != NULL)
        return 0;
    fail(reload, "hosts cannot be looked up: %s", strerror(errno));
    return -1;
}

/* Read the options again, and begin to look up their hosts. Return 0, or -1 after a report. */
static int read_options(struct reload *reload)
{
    struct options *next = &reload->next;

    if (options_read_again(next, reload->options, on_error, on_warning, reload) < 0)
        return -1;
    if (next->config_path == NULL) {
        error_set(&reload->error, "there is no configuration file to read again");
        log_write(reload->log, LOG_LEVEL_WARNING, "%s", reload->error.text);
        return -1;
    }
    return look_up(reload);
}

/* Begin; it goes on in on_looked_up, and ends in finish. */
static void start(struct reload *reload)
{
    supervise_tell_reloading(reload->supervise);
    reload->is_wanted = false;
    memcpy(reload->asker, reload->next_asker, sizeof reload->asker);
    reload->has_others = reload->has_next_others;
    reload->next_asker[0] = '\0';
    reload->has_next_others = false;
    reload->error.text[0] = '\0';
    reload->told = reload->waiting;
    reload->waiting = NULL;
    if (read_options(reload) == 0)
        reload->state = RELOAD_LOOKUP;
    else
        give_up(reload);
}

/* Whoever passed a socket keeps it, and the kernel goes on to connect clients there. */
static void warn_of_passed(const struct reload *reload, const struct endpoint *endpoint)
{
    const struct log_field fact = endpoint_fact(endpoint);

    log_write_fields(
        reload->log, LOG_LEVEL_WARNING, &fact, 1,
        "%s: clients may go on to connect there, and nobody serves them while whoever passed "
        "it keeps it open; stop its socket unit, or listen there again and restart echod",
        endpoint->name);
}

static void log_sockets(const struct reload *reload)
{
    const struct endpoint_list *endpoints = &reload->sockets->endpoints;

    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *endpoint = &endpoints->items[i];

        if (endpoint->is_leaving)
            endpoint_log(endpoint, "no longer listening on", reload->log);
        else if (endpoint->number >= reload->first_new_number)
            endpoint_log(endpoint, "listening on", reload->log);
        if (!endpoint->is_leaving && (endpoint->number >= reload->first_new_number ||
                                      endpoint->options.identify == LISTENER_IDENTIFY_OFF))
            endpoint_log_identify(endpoint, reload->log);
        if (!endpoint->is_leaving) {
            endpoint_log_tls(endpoint, reload->log);
            endpoint_warn_of_impair(endpoint, reload->log);
        } else if (endpoint->is_passed) {
            warn_of_passed(reload, endpoint);
        }
    }
}

static void note_options(struct reload *reload)
{
    atomic_store(&reload->outcomes.options_since_s, (uint64_t)date_now().tv_sec);
    atomic_store(&reload->outcomes.is_last_refused, false);
}

/*
 * A listener with another name is not paused any more, and may find its address taken: then it
 * stays paused, of all workers, until an operator resumes it.
 */
static void pause_failed(const struct reload *reload)
{
    if (!listener_stats_pause_failed(reload->stats))
        return;
    for (size_t i = 0; i < reload->worker_count; i++)
        worker_follow_pauses(reload->workers[i]);
}

/* All workers have the new options: forget the old ones, and close what is leaving. */
static void finish(struct reload *reload)
{
    log_sockets(reload);
    pause_failed(reload);
    store_forget_leaving(&reload->sockets->endpoints, reload->supervise);
    sockets_finish_change(reload->sockets);
    listener_stats_note_places(reload->stats, &reload->sockets->endpoints);
    options_free(reload->options);
    *reload->options = reload->next;
    reload->next = (struct options){0};
    drop(reload);
    listener_stats_note_certificates(reload->stats, &reload->sockets->endpoints);
    note_options(reload);
    atomic_fetch_add(&reload->outcomes.done, 1);
    if (!reload->is_over)
        supervise_tell_ready(reload->supervise);
    log_end(reload, LOG_LEVEL_INFO, "is in effect", reload->options->config_path);
    tell(&reload->told, NULL);
}

/* --- Rehearsal ------------------------------------------------------------------------------- */

static void warn(const struct error *error, void *argument)
{
    log_write(argument, LOG_LEVEL_WARNING, "a reload would fail: %s", error->text);
}

/* What a reload keeps is no error. */
static void ignore(const struct error *error, void *argument)
{
    (void)error;
    (void)argument;
}

static void rehearse_tls(const struct listen_list *list, struct log *log)
{
    for (size_t i = 0; i < list->count; i++) {
        struct tls_context *tls = NULL;
        struct error error = {""};

        if (sockets_make_tls(list, i, &tls, &error) < 0)
            warn(&error, log);
        tls_context_unref(tls);
    }
}

void reload_rehearse(const struct options *current, struct log *log)
{
    struct error missing = {"its configuration file is not there"};
    struct options next = {0};

    if (current->config_path == NULL)
        return;
    if (options_read_again(&next, current, warn, ignore, log) == 0) {
        if (next.config_path == NULL)
            warn(&missing, log);
        rehearse_tls(&next.listen, log);
    }
    options_free(&next);
}

int reload_init(struct reload *reload)
{
    note_options(reload);
    reload->looked_up = (struct mailbox_message){on_looked_up, reload, NULL, false};
    reload->lookup_deadline = evtimer_new(reload->base, on_lookup_deadline, reload);
    return reload->lookup_deadline == NULL ? -1 : 0;
}

static void start_or_wait(struct reload *reload)
{
    if (reload->state != RELOAD_NONE)
        reload->is_wanted = true;
    else
        start(reload);
}

/* Note who asks for the reload that has not begun. */
static void note_asker(struct reload *reload, const char *name)
{
    if (reload->next_asker[0] == '\0')
        (void)snprintf(reload->next_asker, sizeof reload->next_asker, "%s", name);
    else if (strcmp(reload->next_asker, name) != 0)
        reload->has_next_others = true;
}

static void request(struct reload *reload, const char *name)
{
    if (reload->is_over) {
        log_write(reload->log, LOG_LEVEL_INFO, "%s: echod is about to end, and reloads no more",
                  name);
        return;
    }
    note_asker(reload, name);
    start_or_wait(reload);
}

void reload_request(struct reload *reload)
{
    request(reload, "HUP");
}

void reload_request_for(struct reload *reload, struct reload_waiter *waiter)
{
    waiter->next = reload->waiting;
    reload->waiting = waiter;
    request(reload, waiter->name);
    if (reload->is_over)
        tell_of_end(&reload->waiting);
}

void reload_on_worker_changed(struct reload *reload)
{
    if (++reload->changed_count < reload->worker_count)
        return;
    finish(reload);
    if (reload->is_wanted && !reload->is_over)
        start_or_wait(reload);
}

void reload_stop(struct reload *reload)
{
    reload->is_over = true;
    tell_of_end(&reload->waiting);
    if (reload->state == RELOAD_LOOKUP) /* it is given up */
        tell_of_end(&reload->told);
}

void reload_fini(struct reload *reload)
{
    if (reload->state != RELOAD_NONE)
        drop(reload);
    timers_free(reload->lookup_deadline);
}
