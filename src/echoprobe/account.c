#include <config.h>

#include "echoprobe/account.h"

#include "base/clock.h"
#include "base/date.h"

#include <stdio.h>
#include <time.h>

void account_init(struct account *account, const struct account_target *target,
                  const struct account_shared *shared)
{
    account->name = target->name;
    account->text = target->text;
    account->begin_ns = clock_now_ns();
    account->options = target->options;
    account->shared = *shared;
    account->part.name = target->name;
    account->part.size_bytes = target->options->size_bytes;
    (void)pthread_mutex_init(&account->mutex, NULL);
    report_begin(&account->report, target->options, target->target);
    account->report.name = target->name;
    if (target->name != NULL)
        account->report.shows_progress = false; /* there is one line for it */
    if (target->options->identify)
        account->report.backends = &account->backends;
}

void account_fini(struct account *account)
{
    (void)pthread_mutex_destroy(&account->mutex);
}

/* --- How it is now --------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    const struct timespec now = date_now();

    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void account_note_address(struct account *account, const struct target *target)
{
    struct account_state *state = &account->state;

    if (target->count == 0)
        return;
    pthread_mutex_lock(&account->mutex);
    if (state->has_address)
        state->address_changes++;
    state->has_address = true;
    pthread_mutex_unlock(&account->mutex);
}

void account_note_lookup_failure(struct account *account)
{
    pthread_mutex_lock(&account->mutex);
    account->state.lookup_failures++;
    pthread_mutex_unlock(&account->mutex);
}

bool account_is_up(struct account *account)
{
    bool is_up;

    pthread_mutex_lock(&account->mutex);
    is_up = account->state.is_up;
    pthread_mutex_unlock(&account->mutex);
    return is_up;
}

/* Nothing but copies, so that a load waits for no more. */
void account_read(struct account *account, struct tally *tally, struct account_state *state)
{
    pthread_mutex_lock(&account->mutex);
    *tally = account->tally;
    *state = account->state;
    pthread_mutex_unlock(&account->mutex);
}

/* --- What is told ---------------------------------------------------------------------------- */

/* Nobody reads what a run goes on to say. */
static void break_without_output(const struct account *account)
{
    if (account->report.output_failure != 0)
        atomic_store(account->shared.order, LOAD_BREAK);
}

static void begin_telling(const struct account *account)
{
    pthread_mutex_lock(account->shared.lines);
}

static void end_telling(const struct account *account)
{
    break_without_output(account);
    pthread_mutex_unlock(account->shared.lines);
}

/* Keep who answers: the text is the load's, which may end before the account does. */
static void keep_peer(struct account *account, const char *peer)
{
    (void)snprintf(account->peer, sizeof account->peer, "%s", peer);
    account->report.peer = account->peer;
}

static void note_certificate(struct account *account, const struct tls_certificate *certificate)
{
    pthread_mutex_lock(&account->mutex);
    account->state.has_certificate = true;
    account->state.certificate = *certificate;
    pthread_mutex_unlock(&account->mutex);
}

static void on_load_open(void *argument, const struct opening *opening)
{
    struct account *account = argument;
    struct opening kept = *opening;

    begin_telling(account);
    atomic_store_explicit(&account->last_peer, NULL, memory_order_relaxed);
    if (!account->report.has_begun)
        keep_peer(account, opening->peer);
    kept.peer = account->peer;
    report_open(&account->report, &kept);
    end_telling(account);
    if (opening->tls != NULL)
        note_certificate(account, &opening->tls->first);
}

static void on_load_identity(void *argument, const char *identity)
{
    struct account *account = argument;

    begin_telling(account);
    backends_add(&account->backends, identity);
    report_identity(&account->report, identity);
    end_telling(account);
}

/* Another one answers than did last, as far as this thread knows. */
static void note_peer(struct account *account, const char *peer)
{
    begin_telling(account);
    keep_peer(account, peer);
    atomic_store_explicit(&account->last_peer, peer, memory_order_relaxed);
    end_telling(account);
}

static void on_load_echo(void *argument, const char *peer, uint64_t connection, uint64_t number,
                         uint64_t rtt_ns)
{
    struct account *account = argument;

    (void)connection;
    if (atomic_load_explicit(&account->last_peer, memory_order_relaxed) != peer)
        note_peer(account, peer);
    if (account->options->is_load)
        return;
    begin_telling(account);
    report_echo(&account->report, peer, number, rtt_ns);
    end_telling(account);
}

static void on_load_fault(void *argument, uint64_t connection, uint64_t number,
                          const struct fault *fault)
{
    struct account *account = argument;

    begin_telling(account);
    report_fault(&account->report, connection, number, fault);
    end_telling(account);
}

/* A hundredth of a second in which anything came back was well, whatever else was in it. */
static void note_state(struct account_state *state, const struct tally *tally)
{
    if (tally->received > 0) {
        state->is_up = true;
        state->last_answer_ms = now_ms();
    } else if (tally->lost + tally->corrupted + tally->connects_failed > 0) {
        state->is_up = false;
    }
}

static void on_load_count(void *argument, const struct tally *tally)
{
    struct account *account = argument;

    pthread_mutex_lock(&account->mutex);
    tally_merge(&account->tally, tally);
    note_state(&account->state, tally);
    pthread_mutex_unlock(&account->mutex);
}

static void on_load_end(void *argument)
{
    struct account *account = argument;

    (void)atomic_fetch_sub(&account->loads, 1);
}

/* That of the run, or its own where that goes further. */
static enum load_order order_now(void *argument)
{
    const struct account *account = argument;
    const int run = atomic_load(account->shared.order), own = atomic_load(&account->order);

    return (enum load_order)(run > own ? run : own);
}

static const struct load_events load_events = {
    .on_open = on_load_open,
    .on_identity = on_load_identity,
    .on_echo = on_load_echo,
    .on_fault = on_load_fault,
    .on_count = on_load_count,
    .on_end = on_load_end,
    .order = order_now,
};

void account_tell_interim(struct account *account, uint64_t now_ns)
{
    pthread_mutex_lock(account->shared.lines);
    pthread_mutex_lock(&account->mutex);
    report_interim(&account->report, &account->tally, now_ns - account->begin_ns);
    pthread_mutex_unlock(&account->mutex);
    pthread_mutex_unlock(account->shared.lines);
}

void account_tell_progress(struct account *account, uint64_t now_ns)
{
    pthread_mutex_lock(account->shared.lines);
    pthread_mutex_lock(&account->mutex);
    report_progress(&account->report, &account->tally, now_ns - account->begin_ns);
    pthread_mutex_unlock(&account->mutex);
    pthread_mutex_unlock(account->shared.lines);
}

/* --- What is recorded ------------------------------------------------------------------------ */

/* Nobody reads what would be recorded. What is under way returns: it is not lost. */
static void finish_without_record(const struct account *account)
{
    int going_on = LOAD_GO_ON;

    if (recorder_has_failed(account->shared.recorder))
        (void)atomic_compare_exchange_strong(account->shared.order, &going_on, LOAD_FINISH);
}

static void on_recorded_echo(void *argument, const char *peer, uint64_t connection, uint64_t number,
                             uint64_t rtt_ns)
{
    struct account *account = argument;

    recorder_echo(account->shared.recorder, &account->part, connection, number, rtt_ns);
    finish_without_record(account);
    on_load_echo(argument, peer, connection, number, rtt_ns);
}

static void on_recorded_fault(void *argument, uint64_t connection, uint64_t number,
                              const struct fault *fault)
{
    struct account *account = argument;

    recorder_fault(account->shared.recorder, &account->part, connection, number, fault);
    finish_without_record(account);
    on_load_fault(argument, connection, number, fault);
}

static void on_recorded_failed(void *argument, uint64_t connection, uint64_t number,
                               enum fault_kind kind)
{
    struct account *account = argument;

    recorder_failed(account->shared.recorder, &account->part, connection, number, kind);
}

static void on_recorded_count(void *argument, const struct tally *tally)
{
    struct account *account = argument;

    on_load_count(argument, tally);
    if (!recorder_has_intervals(account->shared.recorder))
        return;
    pthread_mutex_lock(&account->mutex);
    tally_merge(&account->part.interval, tally);
    pthread_mutex_unlock(&account->mutex);
}

/* A run that records nothing has the others, and no branch for it. */
static const struct load_events recorded_events = {
    .on_open = on_load_open,
    .on_identity = on_load_identity,
    .on_echo = on_recorded_echo,
    .on_fault = on_recorded_fault,
    .on_failed = on_recorded_failed,
    .on_count = on_recorded_count,
    .on_end = on_load_end,
    .order = order_now,
};

const struct load_events *account_events(const struct account *account)
{
    return recorder_is_wanted(account->options) ? &recorded_events : &load_events;
}

void account_record_interval(struct account *account, uint64_t now_ns)
{
    pthread_mutex_lock(&account->mutex);
    recorder_interval(account->shared.recorder, &account->part, now_ns - account->begin_ns);
    pthread_mutex_unlock(&account->mutex);
    finish_without_record(account);
}

void account_note_fault(struct account *account, const struct fault *fault)
{
    report_fault(&account->report, 0, 0, fault);
    if (recorder_is_wanted(account->options))
        recorder_fault(account->shared.recorder, &account->part, 0, 0, fault);
}

void account_record_end(struct account *account, uint64_t now_ns)
{
    recorder_end(account->shared.recorder, &account->part, &account->tally,
                 now_ns - account->begin_ns);
}
