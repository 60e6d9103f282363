#include <config.h>

#include "echoprobe/roster.h"

#include "base/clock.h"
#include "base/process.h"
#include "echoprobe/metrics_server.h"
#include "echoprobe/target_set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct roster_group {
    struct group *group;
    struct target_set set; /* that it is of; the first group's is the caller's */
    struct roster_group *next;
};

static void free_group(struct roster_group *each)
{
    group_free(each->group);
    target_set_free(&each->set);
    free(each);
}

/* --- The first group ------------------------------------------------------------------------- */

int roster_init(struct roster *roster, const struct group_plan *plan)
{
    struct roster_group *first = calloc(1, sizeof *first);

    roster->plan = *plan;
    roster->groups = first;
    roster->accounts = calloc(plan->count, sizeof(struct account *));
    if (first == NULL || roster->accounts == NULL)
        return -1;
    first->group = group_new(plan);
    if (first->group == NULL)
        return -1;
    for (size_t i = 0; i < plan->count; i++)
        roster->accounts[i] = group_account(first->group, i);
    roster->count = plan->count;
    return 0;
}

uint64_t roster_files(const struct roster *roster, const struct group *added)
{
    uint64_t files = roster->other_files + (added == NULL ? 0 : group_files(added));

    for (const struct roster_group *each = roster->groups; each != NULL; each = each->next)
        files += group_files(each->group);
    return files;
}

int roster_start(struct roster *roster, const char **step)
{
    return group_start(roster->groups->group, &roster->running, step);
}

/* --- Other targets --------------------------------------------------------------------------- */

/* Return the index of the target that a line names and that runs as it says, or -1. */
static ptrdiff_t find_running(const struct roster *roster, const struct named_target *target)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->accounts[i]->name, target->name) == 0 &&
            strcmp(roster->accounts[i]->text, target->text) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Take those that run out of a list, and note which these are. */
static void keep_running(const struct roster *roster, struct targets *list, bool *is_kept)
{
    for (size_t i = list->count; i-- > 0;) {
        const ptrdiff_t index = find_running(roster, &list->items[i]);

        if (index < 0)
            continue;
        is_kept[index] = true;
        targets_remove(list, i);
    }
}

/* Tell whether the system lets the process have the files of a further group. */
static int check_files(const struct roster *roster, const struct group *added, struct error *error)
{
    const uint64_t files = roster_files(roster, added), limit = process_file_limit();

    if (limit >= files)
        return 0;
    error_set(error,
              "the limit of open files is %" PRIu64 ", but these targets need about %" PRIu64
              "; raise it (prlimit --nofile), or write fewer of them",
              limit, files);
    return -1;
}

/* Begin a further group. Return -1 with a sentence in `error`. */
static int start_group(struct roster *roster, struct group *added, struct error *error)
{
    const char *step;
    size_t started;
    int status;

    if (check_files(roster, added, error) < 0)
        return -1;
    status = group_start(added, &started, &step);
    roster->running += started; /* also where it failed: each tells its end */
    if (status < 0)
        error_set(error, "cannot %s: %s", step, strerror(errno));
    return status;
}

/* Make a group of the targets that were read for it, and begin. Return as above. */
static int begin_group(struct roster *roster, struct roster_group *added, struct error *error)
{
    struct group_plan plan = roster->plan;

    if (target_set_prepare(&added->set, error) != 0)
        return -1;
    plan.targets = added->set.targets;
    plan.count = added->set.list.count;
    added->group = group_new(&plan);
    if (added->group != NULL)
        return start_group(roster, added->group, error);
    error_set(error, "there is not enough memory");
    return -1;
}

static void append_group(struct roster *roster, struct roster_group *added)
{
    struct roster_group **last = &roster->groups;

    while (*last != NULL)
        last = &(*last)->next;
    *last = added;
}

/* Write whose accounts these are then: those that are kept, and those of a group. */
static size_t list_accounts(const struct roster *roster, const bool *is_kept,
                            struct roster_group *added, struct account **accounts)
{
    size_t count = 0;

    for (size_t i = 0; i < roster->count; i++) {
        if (is_kept[i])
            accounts[count++] = roster->accounts[i];
    }
    for (size_t i = 0; added->group != NULL && i < group_count(added->group); i++)
        accounts[count++] = group_account(added->group, i);
    return count;
}

/* Nothing fails any more: drop what is not kept, and take over the rest. */
static void take_over(struct roster *roster, const bool *is_kept, struct roster_group *added,
                      struct account **accounts, size_t count)
{
    for (size_t i = 0; i < roster->count; i++)
        roster->accounts[i]->is_gone = !is_kept[i];
    for (struct roster_group *each = roster->groups; each != NULL; each = each->next)
        group_end_gone(each->group);
    free(roster->accounts);
    roster->accounts = accounts;
    roster->count = count;
    if (added->group != NULL)
        append_group(roster, added);
    else
        free_group(added);
}

/* What a renewal needs room for. */
struct renewal {
    bool *is_kept; /* one for each account */
    struct account **accounts;
    struct roster_group *added;
};

static int renew(struct roster *roster, struct renewal *renewal, struct error *error)
{
    struct targets *list = &renewal->added->set.list;
    size_t count;

    keep_running(roster, list, renewal->is_kept);
    if (list->count > 0 && begin_group(roster, renewal->added, error) < 0)
        return -1;
    count = list_accounts(roster, renewal->is_kept, renewal->added, renewal->accounts);
    if (roster->metrics != NULL &&
        metrics_server_set(roster->metrics, renewal->accounts, count) < 0) {
        error_set(error, "there is not enough memory");
        return -1;
    }
    take_over(roster, renewal->is_kept, renewal->added, renewal->accounts, count);
    return 0;
}

int roster_renew(struct roster *roster, struct targets *list, struct error *error)
{
    struct renewal renewal = {.is_kept = calloc(roster->count, sizeof(bool)),
                              .accounts = calloc(list->count, sizeof(struct account *)),
                              .added = calloc(1, sizeof *renewal.added)};
    int status = -1;

    if (renewal.added == NULL)
        targets_free(list);
    else
        renewal.added->set.list = *list;
    *list = (struct targets){0};
    if (renewal.is_kept == NULL || renewal.accounts == NULL || renewal.added == NULL)
        error_set(error, "there is not enough memory");
    else
        status = renew(roster, &renewal, error);
    free(renewal.is_kept);
    if (status == 0)
        return 0;
    free(renewal.accounts);
    if (renewal.added != NULL)
        free_group(renewal.added);
    return -1;
}

/* --- Those that are gone --------------------------------------------------------------------- */

/* Report what is gone of a group. Return whether it has nothing else. */
static bool tell_gone(struct roster_group *each, struct outcome *outcome)
{
    bool is_over = true;

    for (size_t i = 0; i < group_count(each->group); i++) {
        struct account *account = group_account(each->group, i);

        if (account->is_gone && !account->is_told && atomic_load(&account->loads) == 0) {
            outcome_report_gone(outcome, account, clock_now_ns());
            account->is_told = true;
        }
        is_over = is_over && account->is_told;
    }
    return is_over;
}

/* The first group stays: its targets are the caller's. */
void roster_sweep(struct roster *roster, struct outcome *outcome)
{
    const struct roster_group *first = roster->groups;
    struct roster_group **place = &roster->groups;

    while (*place != NULL) {
        struct roster_group *each = *place;

        if (!tell_gone(each, outcome) || each == first) {
            place = &each->next;
            continue;
        }
        *place = each->next;
        free_group(each);
    }
}

/* --- End ------------------------------------------------------------------------------------- */

int roster_join(struct roster *roster, struct outcome *outcome, const char **step)
{
    int failure = 0;

    for (struct roster_group *each = roster->groups; each != NULL; each = each->next) {
        const char *own_step = *step;
        const int own = group_join(each->group, &own_step);

        group_stop_lookups(each->group);
        if (failure != 0 || own == 0)
            continue;
        failure = own;
        *step = own_step;
    }
    roster_sweep(roster, outcome);
    return failure;
}

void roster_free(struct roster *roster)
{
    while (roster->groups != NULL) {
        struct roster_group *each = roster->groups;

        roster->groups = each->next;
        free_group(each);
    }
    free(roster->accounts);
    roster->accounts = NULL;
}
