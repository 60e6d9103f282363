#include <config.h>

#include "echoprobe/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static const int watched[SIGNALS_COUNT] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Block or unblock all of them, as `how` says. */
static void mask_signals(int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS_COUNT; i++)
        (void)sigaddset(&set, watched[i]);
    (void)pthread_sigmask(how, &set, NULL);
}

static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void on_signal_that_ends(evutil_socket_t number, short what, void *argument)
{
    const struct signals *signals = argument;

    (void)number;
    (void)what;
    signals->on_end(signals->argument);
}

static void on_hangup(evutil_socket_t number, short what, void *argument)
{
    const struct signals *signals = argument;

    (void)number;
    (void)what;
    signals->on_hangup(signals->argument);
}

static void on_signal_that_asks(evutil_socket_t number, short what, void *argument)
{
    const struct signals *signals = argument;

    (void)number;
    (void)what;
    signals->on_query(signals->argument);
}

static event_callback_fn callback_of(const struct signals *signals, int number)
{
    if (number == SIGQUIT)
        return on_signal_that_asks;
    return number == SIGHUP && signals->on_hangup != NULL ? on_hangup : on_signal_that_ends;
}

int signals_init(struct signals *signals, struct event_base *base)
{
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        if (watched[i] == SIGHUP && is_ignored(SIGHUP))
            continue;
        signals->events[i] =
            evsignal_new(base, watched[i], callback_of(signals, watched[i]), signals);
        if (signals->events[i] == NULL || event_add(signals->events[i], NULL) < 0) {
            errno = ENOMEM;
            return -1;
        }
    }
    mask_signals(SIG_UNBLOCK);
    return 0;
}

void signals_fini(struct signals *signals)
{
    mask_signals(SIG_BLOCK);
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        if (signals->events[i] != NULL)
            event_free(signals->events[i]);
        signals->events[i] = NULL;
    }
}
