/*
 * check_reload: a reload changes all or nothing, ends in any case, and leaves nothing behind.
 * Looks no host up and starts no worker: both are stand-ins. The real ones are in test_reload.
 * Run by make check.
 */
#include <config.h>

#include "base/date.h"
#include "echod/options_reader.h"
#include "echod/reload.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WORKERS = 2 };

/* What a look-up has to tell, and to whom. */
struct lookup {
    bool is_over;
    lookup_callback *on_found;
    void *argument;
};

static struct {
    char path[sizeof "/tmp/check_reload-XXXXXX"];
    struct options options;
    struct sockets sockets;
    struct listener_stats_list stats;
    struct connection_limit limit;
    struct supervise supervise;
    struct worker *workers[WORKERS];
    struct reload reload;
    struct lookup *lookup; /* under way, or done and not freed */
    int lookups_freed;
    int changes; /* that workers were asked for */
    uint64_t idle_timeout_ms;
} scene;

/* --- Stand-ins ------------------------------------------------------------------------------- */

struct lookup *lookup_start(const struct listen_list *addresses, lookup_callback *on_found,
                            void *argument)
{
    (void)addresses;
    ck_assert_ptr_null(scene.lookup);
    scene.lookup = calloc(1, sizeof *scene.lookup);
    ck_assert_ptr_nonnull(scene.lookup);
    *scene.lookup = (struct lookup){.on_found = on_found, .argument = argument};
    return scene.lookup;
}

bool lookup_is_over(struct lookup *lookup)
{
    return lookup->is_over;
}

void lookup_free(struct lookup *lookup)
{
    ck_assert_ptr_eq(lookup, scene.lookup);
    scene.lookups_freed += lookup != NULL;
    free(lookup);
    scene.lookup = NULL;
}

int lookup_find(struct lookup *lookup, const struct address *address, struct addrinfo **found)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    char port[sizeof "65535"];

    (void)lookup;
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    return getaddrinfo(address->host, port, &hints, found);
}

void worker_follow_pauses(struct worker *worker)
{
    (void)worker;
}

void worker_change(struct worker *worker, const struct options *options, uint64_t max_queued_bytes)
{
    (void)worker;
    (void)max_queued_bytes;
    scene.changes++;
    scene.idle_timeout_ms = options->idle_timeout_ms;
}

/* --- Scene ----------------------------------------------------------------------------------- */

static void on_error(const struct error *error, void *argument)
{
    (void)argument;
    ck_abort_msg("%s", error->text);
}

static void write_file(const char *text)
{
    FILE *file = fopen(scene.path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void open_sockets(void)
{
    const struct passed passed = {0};

    ck_assert_int_eq(sockets_open(&scene.sockets, &scene.options.listen, WORKERS, &passed,
                                  support_log(LOG_FORMAT_TEXT), on_error, NULL),
                     0);
    scene.stats.worker_count = WORKERS;
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.sockets.endpoints), 0);
}

/* Read the options of a command line, open their sockets, and be ready to reload. */
static void start(int argument_count, char *arguments[])
{
    ck_assert_int_eq(options_read(&scene.options, argument_count, arguments, on_error, NULL), 0);
    open_sockets();
    scene.supervise = (struct supervise){.fd = -1, .log = support_log(LOG_FORMAT_TEXT)};
    scene.reload = (struct reload){
        .options = &scene.options,
        .sockets = &scene.sockets,
        .stats = &scene.stats,
        .limit = &scene.limit,
        .supervise = &scene.supervise,
        .base = support_base(),
        .mailbox = mailbox_new(support_base()),
        .log = support_log(LOG_FORMAT_TEXT),
        .workers = scene.workers,
        .worker_count = WORKERS,
    };
    ck_assert_int_eq(reload_init(&scene.reload), 0);
}

/* The same with a file. */
static void start_with(const char *text)
{
    static char program[] = "echod", option[] = "--config";
    static char *arguments[] = {program, option, scene.path, NULL};

    write_file(text);
    start(3, arguments);
}

static void setup(void)
{
    int fd;

    memset(&scene, 0, sizeof scene);
    (void)strcpy(scene.path, "/tmp/check_reload-XXXXXX");
    fd = mkstemp(scene.path);
    ck_assert_int_ge(fd, 0);
    support_close(&fd);
}

static void teardown(void)
{
    reload_fini(&scene.reload);
    ck_assert_ptr_null(scene.lookup);
    mailbox_free(scene.reload.mailbox);
    listener_stats_fini(&scene.stats);
    sockets_close(&scene.sockets);
    options_free(&scene.options);
    (void)unlink(scene.path);
}

/* --- What happens ---------------------------------------------------------------------------- */

static void end_lookup(void)
{
    ck_assert_int_eq(scene.reload.state, RELOAD_LOOKUP);
    scene.lookup->is_over = true;
    scene.lookup->on_found(scene.lookup->argument);
    support_loop_settle();
}

static void let_workers_change(void)
{
    ck_assert_int_eq(scene.reload.state, RELOAD_CHANGE);
    ck_assert_int_eq(scene.changes % WORKERS, 0);
    for (int i = 0; i < WORKERS; i++)
        reload_on_worker_changed(&scene.reload);
}

static void end_deadline(void)
{
    ck_assert(event_pending(scene.reload.lookup_deadline, EV_TIMEOUT, NULL));
    event_active(scene.reload.lookup_deadline, EV_TIMEOUT, 1);
    support_loop_settle();
}

static size_t stats_count(void)
{
    size_t count = 0;

    for (const struct listener_stats *one = scene.stats.first; one != NULL; one = one->next)
        count++;
    return count;
}

/* A reload of one listener has come to nothing. */
static void expect_nothing_changed(void)
{
    const struct endpoint *endpoint = &scene.sockets.endpoints.items[0];

    ck_assert_int_eq(scene.reload.state, RELOAD_NONE);
    ck_assert_int_eq(scene.changes, 0);
    ck_assert_ptr_null(scene.lookup);
    ck_assert(!event_pending(scene.reload.lookup_deadline, EV_TIMEOUT, NULL));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    ck_assert_uint_eq(stats_count(), 1);
    ck_assert(!endpoint->is_leaving);
    ck_assert_str_eq(endpoint->next_options.name, endpoint->options.name);
    ck_assert_ptr_eq(endpoint->stats, scene.stats.first);
}

static void expect_refusals(unsigned count)
{
    ck_assert_uint_eq(support_count(support_log_text(), "HUP: the configuration is not changed"),
                      count);
    ck_assert_uint_eq(atomic_load(&scene.reload.outcomes.refused), count);
}

/* What any thread may read of the reloads that were done, and of the last one. */
static void expect_done(unsigned count, bool is_last_refused)
{
    const struct reload_outcomes *outcomes = &scene.reload.outcomes;
    const uint64_t since_s = atomic_load(&outcomes->options_since_s);
    const uint64_t now_s = (uint64_t)date_now().tv_sec; /* time(2) may be a tick behind */

    ck_assert_uint_eq(atomic_load(&outcomes->done), count);
    ck_assert_int_eq(atomic_load(&outcomes->is_last_refused), is_last_refused);
    ck_assert_uint_le(since_s, now_s);
    ck_assert_uint_ge(since_s, now_s - 100);
}

/* --- Tests ----------------------------------------------------------------------------------- */

START_TEST(all_workers_change_before_it_is_in_effect)
{
    start_with("listen tcp://127.0.0.1:0\n");
    write_file("listen tcp://127.0.0.1:0,name=after\nlisten tcp://[::1]:0\nidle-timeout 5s\n");
    reload_request(&scene.reload);
    end_lookup();
    ck_assert_int_eq(scene.changes, WORKERS);
    ck_assert_uint_eq(scene.idle_timeout_ms, 5000);
    ck_assert(!event_pending(scene.reload.lookup_deadline, EV_TIMEOUT, NULL));
    reload_on_worker_changed(&scene.reload);
    ck_assert_uint_ne(scene.options.idle_timeout_ms, 5000);
    reload_on_worker_changed(&scene.reload);
    ck_assert_int_eq(scene.reload.state, RELOAD_NONE);
    ck_assert_uint_eq(scene.options.idle_timeout_ms, 5000);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 2);
    ck_assert_str_eq(scene.sockets.endpoints.items[0].options.name, "after");
    ck_assert_str_eq(scene.sockets.endpoints.items[0].stats->label, "after");
    expect_refusals(0);
    expect_done(1, false);
    support_assert_matches(support_log_text(),
                           "listening on tcp://\\[::1\\]:.*HUP: the configuration of /tmp/.* is in "
                           "effect\n$");
}
END_TEST

START_TEST(it_is_noted_where_listeners_are_and_where_they_were)
{
    const struct endpoint *endpoints;
    const struct listener_stats *a, *b;
    char second[ADDRESS_TEXT_SIZE];

    start_with("listen tcp://127.0.0.1:0,name=a\nlisten tcp://127.0.0.1:0,name=b\n");
    listener_stats_note_places(&scene.stats, &scene.sockets.endpoints);
    endpoints = scene.sockets.endpoints.items;
    memcpy(second, endpoints[1].name, sizeof second);
    a = endpoints[0].stats;
    b = endpoints[1].stats;
    ck_assert_str_eq(a->place->addresses, endpoints[0].name);
    ck_assert(a->place->is_open && b->place->is_open && !a->place->is_tls);
    write_file("listen tcp://127.0.0.1:0,name=b\n");
    for (int i = 0; i < 2; i++) { /* the second changes nothing */
        const struct listener_place *place = b->place;

        reload_request(&scene.reload);
        end_lookup();
        let_workers_change();
        ck_assert_str_eq(b->place->addresses, scene.sockets.endpoints.items[0].name);
        ck_assert(b->place->is_open);
        ck_assert(i == 0 || b->place == place);
        ck_assert(!a->place->is_open);
        ck_assert_str_eq(a->place->addresses, a->place->before->addresses);
        ck_assert_str_eq(b->place->before->addresses, second);
        scene.changes = 0;
    }
}
END_TEST

START_TEST(what_is_wrong_with_the_file_is_said)
{
    start_with("listen tcp://127.0.0.1:0\n");
    write_file("listen tcp://127.0.0.1:0\nno-such-setting 1\n");
    reload_request(&scene.reload);
    expect_nothing_changed();
    support_assert_matches(support_log_text(), "error: .*:2: \"no-such-setting\" is no setting.*"
                                               "HUP: the configuration is not changed\n$");
    expect_refusals(1);
    expect_done(0, true);
}
END_TEST

START_TEST(without_a_file_there_is_nothing_to_read)
{
    static char program[] = "echod", no_config[] = "--no-config", option[] = "--listen",
                address[] = "tcp://127.0.0.1:0";
    static char *arguments[] = {program, no_config, option, address, NULL};

    start(4, arguments);
    reload_request(&scene.reload);
    expect_nothing_changed();
    support_assert_matches(support_log_text(), "there is no configuration file to read again");
}
END_TEST

START_TEST(an_address_in_use_leaves_nothing_behind)
{
    char text[200];
    struct sockaddr_in address;
    int taken = support_bind_tcp(&address);

    ck_assert_int_eq(listen(taken, 1), 0);
    start_with("listen tcp://127.0.0.1:0,name=before\n");
    (void)snprintf(text, sizeof text,
                   "listen tcp://127.0.0.1:0,name=after\nlisten udp://127.0.0.1:0\n"
                   "listen tcp://127.0.0.1:%u\n",
                   (unsigned)ntohs(address.sin_port));
    write_file(text);
    reload_request(&scene.reload);
    end_lookup();
    expect_nothing_changed();
    expect_refusals(1);
    support_close(&taken);
}
END_TEST

START_TEST(too_many_listeners_leave_nothing_behind)
{
    struct rlimit before, few;

    start_with("listen tcp://127.0.0.1:0,name=before\n");
    write_file("listen tcp://127.0.0.1:0,name=after\nlisten tcp://127.0.0.1:0,name=more\n");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    reload_request(&scene.reload);
    few = (struct rlimit){.rlim_cur = 28, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    end_lookup();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_nothing_changed();
    support_assert_matches(support_log_text(), "limit of open files is .* with 2 listeners need .*"
                                               "HUP: the configuration is not changed\n$");
}
END_TEST

START_TEST(a_look_up_without_end_is_given_up)
{
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request(&scene.reload);
    ck_assert_int_eq(scene.reload.state, RELOAD_LOOKUP);
    end_deadline();
    expect_nothing_changed();
    ck_assert_int_eq(scene.lookups_freed, 1);
    reload_request(&scene.reload);
    end_lookup();
    let_workers_change();
    support_assert_matches(support_log_text(),
                           "hosts cannot be looked up within 5 minutes.*is not changed.*"
                           "is in effect\n$");
}
END_TEST

START_TEST(what_is_found_at_the_last_moment_counts)
{
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request(&scene.reload);
    scene.lookup->is_over = true; /* its message is under way */
    end_deadline();
    ck_assert_int_eq(scene.reload.state, RELOAD_LOOKUP);
    end_lookup();
    let_workers_change();
    expect_refusals(0);
}
END_TEST

START_TEST(a_message_of_a_look_up_that_was_given_up_is_ignored)
{
    start_with("listen tcp://127.0.0.1:0\n");
    mailbox_post(scene.reload.mailbox, &scene.reload.looked_up);
    support_loop_settle();
    expect_nothing_changed();
    reload_request(&scene.reload);
    mailbox_post(scene.reload.mailbox, &scene.reload.looked_up);
    support_loop_settle();
    ck_assert_int_eq(scene.reload.state, RELOAD_LOOKUP);
    ck_assert_int_eq(scene.changes, 0);
}
END_TEST

START_TEST(a_hup_during_a_reload_is_answered_afterwards)
{
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request(&scene.reload);
    reload_request(&scene.reload);
    reload_request(&scene.reload);
    end_lookup();
    let_workers_change();
    end_deadline(); /* of the second */
    ck_assert_int_eq(scene.reload.state, RELOAD_NONE);
    reload_request(&scene.reload);
    reload_request(&scene.reload);
    end_deadline();
    end_lookup(); /* of the fourth */
    let_workers_change();
    ck_assert_int_eq(scene.lookups_freed, 4);
    expect_refusals(2);
    expect_done(2, false);
}
END_TEST

static void note_end(struct reload_waiter *waiter, const struct error *error)
{
    struct error *end = waiter->owner;

    ck_assert_str_eq(end->text, "");
    error_set(end, "%s", error == NULL ? "done" : error->text);
}

START_TEST(who_waits_is_told_and_named)
{
    struct error ends[3] = {{""}};
    struct reload_waiter waiters[3];

    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct reload_waiter){.on_end = note_end, .owner = &ends[i]};
        (void)snprintf(waiters[i].name, sizeof waiters[i].name, "operator %d", i);
    }
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request_for(&scene.reload, &waiters[0]);
    reload_request_for(&scene.reload, &waiters[1]); /* too late for the one that has begun */
    reload_request(&scene.reload);
    end_lookup();
    let_workers_change();
    ck_assert_str_eq(ends[0].text, "done");
    ck_assert_str_eq(ends[1].text, "");
    end_deadline();
    ck_assert_ptr_nonnull(strstr(ends[1].text, "cannot be looked up"));
    reload_stop(&scene.reload);
    reload_request_for(&scene.reload, &waiters[2]);
    ck_assert_ptr_nonnull(strstr(ends[2].text, "about to end"));
    ck_assert_ptr_nonnull(strstr(support_log_text(), "operator 0: the configuration of "));
    ck_assert_ptr_nonnull(
        strstr(support_log_text(), "operator 1 and others: the configuration is not changed"));
    ck_assert_ptr_nonnull(strstr(support_log_text(), "operator 2: echod is about to end"));
}
END_TEST

START_TEST(after_a_stop_nothing_is_changed)
{
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request(&scene.reload);
    reload_stop(&scene.reload);
    reload_request(&scene.reload);
    end_lookup();
    expect_nothing_changed();
    reload_request(&scene.reload);
    expect_nothing_changed();
    ck_assert_uint_eq(support_count(support_log_text(), "HUP: echod is about to end"), 2);
    expect_refusals(0);
}
END_TEST

START_TEST(what_a_stop_interrupts_is_freed)
{
    start_with("listen tcp://127.0.0.1:0\n");
    reload_request(&scene.reload);
}
END_TEST

static Suite *reload_suite(void)
{
    Suite *suite = suite_create("reload");
    TCase *tests = support_case(suite, "reload");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, all_workers_change_before_it_is_in_effect);
    tcase_add_test(tests, it_is_noted_where_listeners_are_and_where_they_were);
    tcase_add_test(tests, what_is_wrong_with_the_file_is_said);
    tcase_add_test(tests, without_a_file_there_is_nothing_to_read);
    tcase_add_test(tests, an_address_in_use_leaves_nothing_behind);
    tcase_add_test(tests, too_many_listeners_leave_nothing_behind);
    tcase_add_test(tests, a_look_up_without_end_is_given_up);
    tcase_add_test(tests, what_is_found_at_the_last_moment_counts);
    tcase_add_test(tests, a_message_of_a_look_up_that_was_given_up_is_ignored);
    tcase_add_test(tests, a_hup_during_a_reload_is_answered_afterwards);
    tcase_add_test(tests, who_waits_is_told_and_named);
    tcase_add_test(tests, after_a_stop_nothing_is_changed);
    tcase_add_test(tests, what_a_stop_interrupts_is_freed);
    return suite;
}

int main(void)
{
    return support_run(reload_suite());
}
