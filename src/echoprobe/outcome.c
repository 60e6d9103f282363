#include <config.h>

#include "echoprobe/outcome.h"

#include "echoprobe/fault.h"
#include "echoprobe/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Tell it as a fault of the connection if the run ended before there was one. The message that it
 * was to carry is lost: nobody answered all the time.
 */
static void note_no_connection(struct account *account, uint64_t now_ns)
{
    const uint64_t elapsed_ns = now_ns - account->begin_ns;
    struct tally *tally = &account->tally;
    const struct report *report = &account->report;
    struct fault fault;

    if (tally->sent > 0 || tally->connects_failed > 0 || report->output_failure != 0)
        return;
    fault_set(&fault, FAULT_CONNECT, 0, 0, "%s: no connection yet when it had to end",
              report->peer[0] == '\0' ? report->target->name : report->peer);
    tally->connects_failed = tally->faults[FAULT_CONNECT] = tally->faults[FAULT_UNSENT] = 1;
    tally->sent = tally->lost = tally->unsent = tally->outages = 1;
    tally->longest_outage_ns = elapsed_ns;
    tally->downtime_ns = elapsed_ns * account->options->connections;
    account_note_fault(account, &fault);
}

/* Connections that never came about are no loss of the path. */
static int status_of_tally(const struct tally *tally)
{
    uint64_t faults = 0;

    if (tally->connects_failed + tally->faults[FAULT_REFUSED] > 0 && tally->connects == 0 &&
        tally->received == 0)
        return EXIT_STATUS_CONNECT;
    for (int kind = FAULT_CONNECT; kind < FAULT_KINDS; kind++)
        faults += fault_is_of_connecting((enum fault_kind)kind) ? 0 : tally->faults[kind];
    if (tally->lost + tally->corrupted + faults > 0)
        return EXIT_STATUS_FAULT;
    return tally->connects_failed > 0 ? EXIT_STATUS_CONNECT : EXIT_STATUS_UNCHANGED;
}

/* Return how bad a status is: what was lost or changed is worse than no connection. */
static int badness(int status)
{
    static const int order[] = {EXIT_STATUS_UNCHANGED, EXIT_STATUS_CONNECT, EXIT_STATUS_FAULT,
                                EXIT_STATUS_SYSTEM};

    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++) {
        if (order[i] == status)
            return i;
    }
    return (int)(sizeof order / sizeof order[0]);
}

static int report_together(const struct outcome *outcome)
{
    struct plugin_result *results = calloc(outcome->count + 1, sizeof *results); /* never none */
    int status;

    if (results == NULL)
        return report_failure(outcome->options, EXIT_STATUS_SYSTEM, strerror(errno));
    for (size_t i = 0; i < outcome->count; i++)
        results[i] = report_result(&outcome->accounts[i]->report, &outcome->accounts[i]->tally);
    status = report_results(outcome->options, results, outcome->count);
    free(results);
    return status;
}

/* Report a target: `least` is the status where nothing else is wrong. Return its own. */
static int report_one(struct account *account, uint64_t now_ns, int least)
{
    const int own = status_of_tally(&account->tally);

    return report_messages(&account->report, &account->tally, now_ns - account->begin_ns,
                           badness(own) > badness(least) ? own : least);
}

/* Report each target. Return the worst status. */
static int report_each(struct outcome *outcome, uint64_t now_ns, int least)
{
    int worst = least;

    for (size_t i = 0; i < outcome->count; i++) {
        struct account *account = outcome->accounts[i];
        int status;

        if (outcome->refusal[0] != '\0' && (i == 0 || outcome->options->json))
            account->report.refusal = outcome->refusal;
        status = report_one(account, now_ns, least);
        if (outcome->count == 1 || badness(status) > badness(worst))
            worst = status;
    }
    return worst;
}

void outcome_report_gone(struct outcome *outcome, struct account *account, uint64_t now_ns)
{
    pthread_mutex_lock(account->shared.lines);
    note_no_connection(account, now_ns);
    account_record_end(account, now_ns);
    if (!outcome->options->plugin)
        (void)report_one(account, now_ns, EXIT_STATUS_UNCHANGED);
    pthread_mutex_unlock(account->shared.lines);
}

static int report_all(struct outcome *outcome, uint64_t now_ns, int least)
{
    if (outcome->options->plugin && outcome->options->targets != NULL)
        return outcome->refusal[0] == '\0'
                   ? report_together(outcome)
                   : report_failure(outcome->options, EXIT_STATUS_SYSTEM, outcome->refusal);
    return report_each(outcome, now_ns, least);
}

static bool has_sent(const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->count; i++) {
        if (outcome->accounts[i]->tally.sent > 0)
            return true;
    }
    return false;
}

static int close_records(struct outcome *outcome, uint64_t now_ns, struct error *error)
{
    for (size_t i = 0; i < outcome->count; i++)
        account_record_end(outcome->accounts[i], now_ns);
    return recorder_close(outcome->recorder, error);
}

int outcome_refuse(struct outcome *outcome, const char *sentence, uint64_t now_ns)
{
    struct error error = {""};
    const bool is_recorded = close_records(outcome, now_ns, &error) == 0;

    (void)snprintf(outcome->refusal, sizeof outcome->refusal, "%s%s%s", sentence,
                   is_recorded ? "" : "; ", error.text);
    if (!has_sent(outcome))
        return report_failure(outcome->options, EXIT_STATUS_SYSTEM, outcome->refusal);
    return report_all(outcome, now_ns, EXIT_STATUS_SYSTEM);
}

int outcome_report(struct outcome *outcome, uint64_t now_ns)
{
    struct error error = {""};
    int least = EXIT_STATUS_UNCHANGED;

    for (size_t i = 0; i < outcome->count; i++)
        note_no_connection(outcome->accounts[i], now_ns);
    if (close_records(outcome, now_ns, &error) < 0) {
        least = EXIT_STATUS_SYSTEM;
        (void)snprintf(outcome->refusal, sizeof outcome->refusal, "%s", error.text);
    }
    return report_all(outcome, now_ns, least);
}
