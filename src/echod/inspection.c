#include <config.h>

#include "echod/inspection.h"

#include "base/clock.h"
#include "echod/lowest.h"
#include "echod/timers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* So many are described at a time: a worker does that in one step. */
enum { BATCH = INQUIRY_STEP };

/* A question to one worker, and whether it has yet to be answered. */
struct question {
    struct inquiry inquiry;
    bool is_pending;
};

struct inspection {
    struct inspector *inspector;
    struct inspection *next;
    const struct inspection_events *events;
    void *owner; /* NULL events: it was dropped */
    struct event *deadline;
    atomic_bool is_pointless; /* and so says this, which the workers read */

    struct snapshot_filter filter;
    uint64_t *found;    /* what each worker finds: room for a page and one more */
    struct lowest page; /* of all of these; what is one too many says that there is another */
    size_t described;   /* of the page */
    struct inquiry_result *results; /* of a batch */

    size_t pending;
    struct question questions[]; /* one for each worker */
};

/* --- Construction and destruction ------------------------------------------------------------ */

static void free_inspection(struct inspection *inspection)
{
    struct inspection **link = &inspection->inspector->first;

    while (*link != inspection)
        link = &(*link)->next;
    *link = inspection->next;
    timers_free(inspection->deadline);
    free(inspection->found);
    free(inspection->page.numbers);
    free(inspection->results);
    free(inspection);
}

void inspection_drop(struct inspection *inspection)
{
    if (inspection == NULL)
        return;
    inspection->events = NULL;
    atomic_store_explicit(&inspection->is_pointless, true, memory_order_relaxed);
    if (inspection->pending == 0)
        free_inspection(inspection);
}

/* --- Over ------------------------------------------------------------------------------------ */

static void end(struct inspection *inspection, enum inspection_outcome outcome, uint64_t next,
                size_t worker)
{
    (void)event_del(inspection->deadline);
    inspection->events->on_over(outcome, next, worker, inspection->owner);
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct inspection *inspection = argument;
    size_t worker = 0;

    (void)fd;
    (void)what;
    if (inspection->events == NULL)
        return;
    while (!inspection->questions[worker].is_pending)
        worker++;
    end(inspection, INSPECTION_OVERDUE, 0, worker);
}

void inspector_fini(struct inspector *inspector)
{
    struct inspection *inspection;

    while ((inspection = inspector->first) != NULL) {
        inspection->pending = 0; /* nobody has them any more */
        if (inspection->events != NULL)
            end(inspection, INSPECTION_ENDED, 0, 0);
        else
            free_inspection(inspection);
    }
}

/* --- Answers --------------------------------------------------------------------------------- */

static void ask(struct inspection *inspection, size_t worker)
{
    struct question *question = &inspection->questions[worker];

    question->is_pending = true;
    inspection->pending++;
    worker_ask(inspection->inspector->workers[worker], &question->inquiry);
}

static void ask_all(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->inspector->worker_count; i++)
        ask(inspection, i);
}

/* Return how many of the page are told of. */
static size_t told_count(const struct inspection *inspection)
{
    const struct lowest *page = &inspection->page;

    return page->count < page->size ? page->count : page->size - 1;
}

/* Ask what the next of the page are like, or be over. */
static void describe_next(struct inspection *inspection)
{
    const struct lowest *page = &inspection->page;
    const size_t count = told_count(inspection), left = count - inspection->described;
    const size_t batch = left < BATCH ? left : BATCH;

    if (batch == 0) {
        end(inspection, INSPECTION_DONE, page->count == page->size ? page->numbers[count - 1] : 0,
            0);
        return;
    }
    for (size_t i = 0; i < batch; i++)
        inspection->results[i].snapshot.id = 0;
    for (size_t i = 0; i < inspection->inspector->worker_count; i++) {
        struct inquiry *inquiry = &inspection->questions[i].inquiry;

        inquiry->kind = INQUIRY_DESCRIBE;
        inquiry->ids = page->numbers + inspection->described;
        inquiry->count = batch;
    }
    ask_all(inspection);
}

/* Put together what the workers have found. */
static void merge(struct inspection *inspection)
{
    struct lowest *page = &inspection->page;

    for (size_t i = 0; i < inspection->inspector->worker_count; i++) {
        const struct lowest *found = &inspection->questions[i].inquiry.found;

        for (size_t j = 0; j < found->count; j++) {
            if (lowest_would_keep(page, found->numbers[j]))
                lowest_keep(page, found->numbers[j]);
        }
    }
    lowest_sort(page);
    describe_next(inspection);
}

/* Tell of a batch. What has ended since it was found, or has changed, is left out. */
static void tell(struct inspection *inspection)
{
    const size_t count = inspection->questions[0].inquiry.count;

    for (size_t i = 0; i < count; i++) {
        const struct inquiry_result *result = &inspection->results[i];

        if (result->snapshot.id != 0 &&
            snapshot_filter_passes(&inspection->filter, &result->snapshot))
            inspection->events->on_result(result, inspection->owner);
    }
    inspection->described += count;
}

/* All have answered. */
static void go_on(struct inspection *inspection, enum inquiry_kind kind)
{
    switch (kind) {
    case INQUIRY_FIND:
        merge(inspection);
        return;
    case INQUIRY_DESCRIBE:
    case INQUIRY_CLOSE:
    case INQUIRY_RESET:
        tell(inspection);
        describe_next(inspection);
        return;
    case INQUIRY_LISTENERS:
        end(inspection, INSPECTION_DONE, 0, 0);
        return;
    }
}

static void on_answered(void *argument)
{
    struct question *question = argument;
    struct inspection *inspection = question->inquiry.asker;

    question->is_pending = false;
    if (--inspection->pending > 0)
        return;
    if (inspection->events == NULL)
        free_inspection(inspection);
    else
        go_on(inspection, question->inquiry.kind);
}

/* --- Questions ------------------------------------------------------------------------------- */

/* Make one for a page of so many. Return NULL with errno ENOMEM. */
static struct inspection *new_inspection(struct inspector *inspector, size_t page_size,
                                         const struct inspection_events *events, void *owner)
{
    struct inspection *inspection =
        calloc(1, sizeof *inspection + inspector->worker_count * sizeof inspection->questions[0]);
    const struct timeval patience = clock_timeval(inspector->patience_ms);

    if (inspection == NULL)
        return NULL;
    inspection->inspector = inspector;
    inspection->next = inspector->first;
    inspector->first = inspection;
    inspection->events = events;
    inspection->owner = owner;
    inspection->page.size = page_size + 1;
    inspection->page.numbers = calloc(page_size + 1, sizeof *inspection->page.numbers);
    inspection->results =
        calloc(page_size < BATCH ? page_size + 1 : BATCH, sizeof *inspection->results);
    inspection->deadline = evtimer_new(inspector->base, on_deadline, inspection);
    if (inspection->page.numbers == NULL || inspection->results == NULL ||
        inspection->deadline == NULL || event_add(inspection->deadline, &patience) < 0) {
        free_inspection(inspection);
        errno = ENOMEM;
        return NULL;
    }
    return inspection;
}

/* Prepare the questions. */
static void prepare(struct inspection *inspection, enum inquiry_kind kind)
{
    for (size_t i = 0; i < inspection->inspector->worker_count; i++) {
        struct question *question = &inspection->questions[i];

        question->inquiry = (struct inquiry){
            .kind = kind,
            .filter = &inspection->filter,
            .results = inspection->results,
            .is_pointless = &inspection->is_pointless,
            .home = inspection->inspector->mailbox,
            .answered = {on_answered, question, NULL, false},
            .asker = inspection,
        };
    }
}

struct inspection *inspection_list(struct inspector *inspector,
                                   const struct snapshot_filter *filter, uint64_t after,
                                   size_t limit, const struct inspection_events *events,
                                   void *owner)
{
    struct inspection *inspection = new_inspection(inspector, limit, events, owner);
    const size_t size = limit + 1;

    if (inspection == NULL)
        return NULL;
    inspection->found = calloc(inspector->worker_count * size, sizeof *inspection->found);
    if (inspection->found == NULL) {
        free_inspection(inspection);
        errno = ENOMEM;
        return NULL;
    }
    inspection->filter = *filter;
    prepare(inspection, INQUIRY_FIND);
    for (size_t i = 0; i < inspector->worker_count; i++) {
        struct inquiry *inquiry = &inspection->questions[i].inquiry;

        inquiry->after = after;
        inquiry->found = (struct lowest){.numbers = inspection->found + i * size, .size = size};
    }
    ask_all(inspection);
    return inspection;
}

/* Its id says which worker has it, if any: see table. */
struct inspection *inspection_of_one(struct inspector *inspector, enum inquiry_kind kind,
                                     uint64_t id, const struct inspection_events *events,
                                     void *owner)
{
    const size_t worker = (size_t)((id - 1) % inspector->worker_count);
    struct inspection *inspection = new_inspection(inspector, 1, events, owner);

    if (inspection == NULL)
        return NULL;
    prepare(inspection, kind);
    for (size_t i = 0; i < inspector->worker_count; i++)
        inspection->questions[i].inquiry.count = 1;
    lowest_keep(&inspection->page, id);
    inspection->questions[worker].inquiry.ids = inspection->page.numbers;
    ask(inspection, worker);
    return inspection;
}

struct inspection *inspection_of_listeners(struct inspector *inspector,
                                           const struct inspection_events *events, void *owner)
{
    struct inspection *inspection = new_inspection(inspector, 1, events, owner);

    if (inspection == NULL)
        return NULL;
    prepare(inspection, INQUIRY_LISTENERS);
    ask_all(inspection);
    return inspection;
}
