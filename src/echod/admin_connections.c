#include <config.h>

#include "echod/admin_connections.h"

#include "base/network.h"
#include "base/text_buffer.h"
#include "base/units.h"
#include "echod/admin_answer.h"
#include "echod/admin_audit.h"
#include "echod/inspection.h"
#include "echod/snapshot.h"
#include "echod/state.h"
#include "echod/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LIMIT = 100 };

/* An answer that waits for the workers. */
struct listing {
    struct http_request *request;
    const struct admin_context *context;
    struct inspection *inspection;
    struct text_buffer body;
    uint64_t id; /* of the one that is asked for */
    size_t count;
};

/* --- JSON ------------------------------------------------------------------------------------ */

static void put_text(struct text_buffer *body, const char *name, const char *value)
{
    text_buffer_printf(body, ",\"%s\":", name);
    text_buffer_append_json(body, value);
}

static void put_number(struct text_buffer *body, const char *name, uint64_t value)
{
    text_buffer_printf(body, ",\"%s\":", name);
    text_buffer_append_number(body, value);
}

static void put_peer(struct text_buffer *body, const char *name, const union peer *peer)
{
    char text[ADDRESS_TEXT_SIZE];

    peer_format(peer, text);
    put_text(body, name, text);
}

static void put_tls(struct text_buffer *body, const struct tls_facts *tls)
{
    text_buffer_append_text(body, ",\"tls\":{\"version\":");
    text_buffer_append_json(body, tls->version);
    put_text(body, "cipher", tls->cipher);
    put_text(body, "sni", tls->server_name);
    put_text(body, "alpn", tls->protocol);
    put_text(body, "subject", tls->subject);
    text_buffer_printf(body, ",\"resumed\":%s}", tls->is_resumed ? "true" : "false");
}

static void put_connection(struct text_buffer *body, const struct inquiry_result *result,
                           size_t worker_count)
{
    const struct snapshot *snapshot = &result->snapshot;

    text_buffer_append_text(body, "{\"id\":");
    text_buffer_append_number(body, snapshot->id);
    put_text(body, "listener", snapshot->listener);
    put_peer(body, "peer", &snapshot->peer);
    if (snapshot->has_via)
        put_peer(body, "via", &snapshot->via);
    put_text(body, "state", state_name(snapshot->state));
    put_number(body, "age_ms", snapshot->age_ms);
    put_number(body, "idle_ms", snapshot->idle_ms);
    put_number(body, "in_bytes", snapshot->bytes_in);
    put_number(body, "out_bytes", snapshot->bytes_out);
    put_number(body, "queued_bytes", snapshot->queued_bytes);
    put_number(body, "worker", (snapshot->id - 1) % worker_count);
    if (result->has_tls)
        put_tls(body, &result->tls);
    text_buffer_append_text(body, "}");
}

/* --- Answers --------------------------------------------------------------------------------- */

static void on_result(const struct inquiry_result *result, void *owner)
{
    struct listing *listing = owner;

    if (listing->count++ > 0)
        text_buffer_append_text(&listing->body, ",");
    put_connection(&listing->body, result, listing->context->view->worker_count);
}

/* It was answered. */
static void free_listing(struct listing *listing)
{
    admin_context_note_answer(listing->context);
    inspection_drop(listing->inspection);
    text_buffer_clear(&listing->body);
    free(listing);
}

/* Answer that nothing came of it, if so. */
static bool has_failed(const struct listing *listing, enum inspection_outcome outcome,
                       size_t worker)
{
    switch (outcome) {
    case INSPECTION_DONE:
        return false;
    case INSPECTION_OVERDUE:
        admin_answer_error(listing->request, 503, "Worker %zu does not answer.", worker);
        return true;
    case INSPECTION_ENDED:
        admin_answer_error(listing->request, 503, "echod ends.");
        return true;
    }
    abort(); /* no such outcome */
}

static void on_list_over(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner)
{
    struct listing *listing = owner;

    if (!has_failed(listing, outcome, worker)) {
        text_buffer_append_text(&listing->body, "]");
        if (next > 0)
            text_buffer_printf(&listing->body, ",\"next\":\"%" PRIu64 "\"", next);
        text_buffer_append_text(&listing->body, "}\n");
        admin_answer_json(listing->request, 200, &listing->body);
    }
    free_listing(listing);
}

static void on_one_over(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner)
{
    struct listing *listing = owner;

    (void)next;
    if (has_failed(listing, outcome, worker)) {
        free_listing(listing);
        return;
    }
    if (listing->count == 0) {
        admin_answer_error(listing->request, 404, "There is no connection %" PRIu64 ".",
                           listing->id);
    } else {
        text_buffer_append_text(&listing->body, "\n");
        admin_answer_json(listing->request, 200, &listing->body);
    }
    free_listing(listing);
}

/* Make what waits. Return NULL after an answer. */
static struct listing *new_listing(struct http_request *request,
                                   const struct admin_context *context)
{
    struct listing *listing = calloc(1, sizeof *listing);

    if (listing == NULL) {
        admin_answer_error(request, 503, "Memory is short.");
        return NULL;
    }
    listing->request = request;
    listing->context = context;
    return listing;
}

/* Wait for the workers, if they could be asked. */
static void wait_for(struct listing *listing, struct inspection *inspection)
{
    listing->inspection = inspection;
    if (inspection != NULL)
        return;
    admin_answer_error(listing->request, 503, "Memory is short.");
    free_listing(listing);
}

/* --- Parameters ------------------------------------------------------------------------------ */

/* What a page is asked for. */
struct query {
    struct snapshot_filter filter;
    uint64_t after, limit;
};

/* Each reads a parameter that is there. Return false after an answer. */

static bool refuse(struct http_request *request, const char *name, const char *value,
                   const char *right)
{
    admin_answer_error(request, 400, "%s is %s, not \"%s\".", name, right, value);
    return false;
}

static bool read_page(struct http_request *request, struct query *query)
{
    const char *limit = http_request_query(request, "limit");
    const char *after = http_request_query(request, "after");

    query->limit = DEFAULT_LIMIT;
    query->after = 0;
    if (limit != NULL && (units_parse_count(limit, &query->limit) < 0 || query->limit < 1 ||
                          query->limit > INSPECTION_PAGE_MAX))
        return refuse(request, "limit", limit, "a number from 1 to 1000");
    if (after != NULL && units_parse_count(after, &query->after) < 0)
        return refuse(request, "after", after, "the id of a connection");
    return true;
}

static bool has_listener(const struct listener_stats_list *list, const char *label)
{
    const struct listener_stats *stats = list->first;

    while (stats != NULL && (stats->is_of_datagrams || strcmp(stats->label, label) != 0))
        stats = stats->next;
    return stats != NULL;
}

static bool read_listener(struct http_request *request, const struct admin_context *context,
                          struct snapshot_filter *filter)
{
    const char *listener = http_request_query(request, "listener");

    if (listener == NULL)
        return true;
    if (!has_listener(context->view->stats, listener))
        return refuse(request, "listener", listener,
                      "the name or address of a listener that has connections");
    (void)snprintf(filter->listener, sizeof filter->listener, "%s", listener);
    return true;
}

static bool read_peer(struct http_request *request, struct snapshot_filter *filter)
{
    const char *peer = http_request_query(request, "peer");
    struct error error = {""};

    filter->has_network = peer != NULL;
    if (peer != NULL && network_parse(peer, &filter->network, &error) < 0)
        return refuse(request, "peer", peer, "an address or a network, such as 192.0.2.0/24");
    return true;
}

static bool read_state(struct http_request *request, struct snapshot_filter *filter)
{
    const char *state = http_request_query(request, "state");

    filter->has_state = state != NULL;
    if (state != NULL && state_parse(state, &filter->state) < 0)
        return refuse(request, "state", state, "handshake, greeting, open, draining or lingering");
    return true;
}

static bool read_amount(struct http_request *request, const char *name,
                        int (*parse)(const char *text, uint64_t *amount), const char *right,
                        uint64_t *amount)
{
    const char *value = http_request_query(request, name);

    *amount = 0;
    if (value != NULL && parse(value, amount) < 0)
        return refuse(request, name, value, right);
    return true;
}

static bool read_query(struct http_request *request, const struct admin_context *context,
                       struct query *query)
{
    static const char duration[] = "a duration, such as 90s or 1h30m";
    struct snapshot_filter *filter = &query->filter;

    *query = (struct query){.limit = DEFAULT_LIMIT};
    return read_page(request, query) && read_listener(request, context, filter) &&
           read_peer(request, filter) && read_state(request, filter) &&
           read_amount(request, "min_idle", units_parse_duration, duration, &filter->min_idle_ms) &&
           read_amount(request, "min_age", units_parse_duration, duration, &filter->min_age_ms) &&
           read_amount(request, "min_queued", units_parse_size, "a size, such as 64KiB",
                       &filter->min_queued_bytes);
}

/* Read the id in a path. Return false after an answer: there is none, then. */
static bool read_id(struct http_request *request, const char *text, uint64_t *id)
{
    if (units_parse_count(text, id) == 0 && *id > 0 && *id <= TABLE_ID_MAX)
        return true;
    admin_answer_error(request, 404, "There is no connection \"%s\".", text);
    return false;
}

/* --- Resources ------------------------------------------------------------------------------- */

void admin_connections_answer_list(struct http_request *request,
                                   const struct admin_context *context, const char *rest)
{
    static const struct inspection_events events = {on_result, on_list_over};
    struct listing *listing;
    struct query query;

    (void)rest;
    if (!read_query(request, context, &query))
        return;
    listing = new_listing(request, context);
    if (listing == NULL)
        return;
    text_buffer_append_text(&listing->body, "{\"connections\":[");
    wait_for(listing, inspection_list(context->inspector, &query.filter, query.after,
                                      (size_t)query.limit, &events, listing));
}

static void ask_of_one(struct http_request *request, const struct admin_context *context,
                       enum inquiry_kind kind, uint64_t id)
{
    static const struct inspection_events events = {on_result, on_one_over};
    struct listing *listing = new_listing(request, context);

    if (listing == NULL)
        return;
    listing->id = id;
    wait_for(listing, inspection_of_one(context->inspector, kind, id, &events, listing));
}

void admin_connections_answer_one(struct http_request *request, const struct admin_context *context,
                                  const char *rest)
{
    uint64_t id;

    if (read_id(request, rest, &id))
        ask_of_one(request, context, INQUIRY_DESCRIBE, id);
}

void admin_connections_end_one(struct http_request *request, const struct admin_context *context,
                               const char *rest)
{
    const char *abort_text = http_request_query(request, "abort");
    const bool is_reset = abort_text != NULL && strcmp(abort_text, "1") == 0;
    uint64_t id;

    if (!read_id(request, rest, &id))
        return;
    if (abort_text != NULL && !is_reset && strcmp(abort_text, "0") != 0) {
        (void)refuse(request, "abort", abort_text, "1 or 0");
        return;
    }
    admin_audit(request, context, "%s connection %" PRIu64, is_reset ? "reset" : "close", id);
    ask_of_one(request, context, is_reset ? INQUIRY_RESET : INQUIRY_CLOSE, id);
}
