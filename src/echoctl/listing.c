#include <config.h>

#include "echoctl/listing.h"

#include "base/process.h"
#include "base/units.h"
#include "echoctl/answers.h"
#include "echoctl/columns.h"
#include "echoctl/json.h"
#include "echoctl/target.h"
#include "echoctl/text.h"
#include "echoctl/words.h"

enum { PAGE_MAX = 1000 }; /* what the service gives at once, at most */

struct listing {
    const struct options *options;
    const struct service *service;
    struct columns columns;
    uint64_t left;  /* so many are still wanted */
    uint64_t after; /* ids greater than this */
    uint64_t pages;
    bool has_more;
};

/* --- What is asked --------------------------------------------------------------------------- */

static void add_duration(struct target *target, const char *name, uint64_t milliseconds)
{
    char text[UNITS_TEXT_SIZE];

    units_format_duration(milliseconds, text);
    if (milliseconds > 0)
        target_add_text(target, name, text);
}

static void write_target(const struct listing *listing, struct target *target)
{
    const struct options *options = listing->options;

    target_begin(target, "/connections");
    target_add_number(target, "limit", listing->left < PAGE_MAX ? listing->left : PAGE_MAX);
    if (listing->after > 0)
        target_add_number(target, "after", listing->after);
    target_add_text(target, "listener", options->listener);
    target_add_text(target, "peer", options->peer);
    target_add_text(target, "state", options->state);
    add_duration(target, "min_idle", options->min_idle_ms);
    add_duration(target, "min_age", options->min_age_ms);
    if (options->min_queued_bytes > 0)
        target_add_number(target, "min_queued", options->min_queued_bytes);
}

/* --- What is shown --------------------------------------------------------------------------- */

/* Print the connections of a page as elements of an array, of which the others came before. */
static void print_elements(const struct listing *listing, const char *connection)
{
    bool is_first = listing->pages == 0;

    for (; connection != NULL; connection = json_next(connection)) {
        (void)fputs(is_first ? "\n" : ",\n", stdout);
        text_print_json(stdout, connection, (size_t)(json_end(connection) - connection));
        is_first = false;
    }
}

static void print_rows(struct listing *listing, const char *first)
{
    struct connection_facts facts;
    struct columns_row row;

    for (const char *each = first; each != NULL; each = json_next(each)) {
        if (answers_read_connection(each, &facts)) {
            words_connection_row(&facts, &row);
            columns_widen(&listing->columns, &row);
        }
    }
    if (listing->pages == 0)
        columns_print_titles(&listing->columns, stdout);
    for (const char *each = first; each != NULL; each = json_next(each)) {
        if (answers_read_connection(each, &facts)) {
            words_connection_row(&facts, &row);
            columns_print(&listing->columns, &row, stdout);
        }
    }
}

static uint64_t count_elements(const char *element)
{
    uint64_t count = 0;

    for (; element != NULL; element = json_next(element))
        count++;
    return count;
}

/* --- Pages ----------------------------------------------------------------------------------- */

/* Find where the next page begins, which must lie behind this one. Return false if it does not. */
static bool find_next(struct listing *listing, const char *json)
{
    const char *next = json_member(json, "next");
    char text[ANSWERS_WORD_SIZE];
    uint64_t after;

    listing->has_more = next != NULL;
    if (next == NULL)
        return true;
    if (!json_text(next, text, sizeof text) || units_parse_count(text, &after) < 0 ||
        after <= listing->after)
        return false;
    listing->after = after;
    return true;
}

static int show_page(struct listing *listing, const char *json)
{
    const char *connections = json_member(json, "connections");
    const uint64_t count = count_elements(json_first(connections));

    if (!answers_are_connections(connections) || !find_next(listing, json))
        return service_misunderstand(listing->service, "no list of connections");
    if (listing->options->json)
        print_elements(listing, json_first(connections));
    else
        print_rows(listing, json_first(connections));
    listing->pages++;
    listing->left -= count < listing->left ? count : listing->left;
    return EXIT_STATUS_DONE;
}

static int get_page(struct listing *listing)
{
    struct http_reply answer;
    struct target target;
    const char *json;
    int status;

    write_target(listing, &target);
    status = service_ask_json(listing->service, "GET", target.text, NULL, &answer, &json);
    if (status != EXIT_STATUS_DONE)
        return status;
    if (listing->pages == 0 && listing->options->json)
        (void)fputs("{\"connections\":[", stdout);
    status = show_page(listing, json);
    http_reply_free(&answer);
    return status;
}

/* Say that there are more, if there are. */
static void end(const struct listing *listing)
{
    if (listing->options->json && listing->has_more)
        (void)printf("],\"next\":\"%llu\"}\n", (unsigned long long)listing->after);
    else if (listing->options->json)
        (void)fputs("]}\n", stdout);
    else if (listing->has_more)
        process_complain("echoctl", "there are more; --all shows them");
}

int listing_connections(const struct options *options, const struct service *service)
{
    struct listing listing = {
        .options = options,
        .service = service,
        .columns = columns_begin(words_connection_columns),
        .left = options->all ? UINT64_MAX : options->limit,
    };
    int status;

    do {
        status = get_page(&listing);
    } while (status == EXIT_STATUS_DONE && listing.has_more && listing.left > 0 && !ferror(stdout));
    if (status == EXIT_STATUS_DONE && !ferror(stdout))
        end(&listing);
    return status;
}
