/*
 * check_datagram_filter: what passes is counted as received, what does not by the reason as well;
 * of a train the rate lets a part pass.
 * Opens no socket.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_filter.h"

#include "support.h"

#include <arpa/inet.h>
#include <string.h>

enum { OWN_PORT = 13265, CLIENT_PORT = 40000, SEGMENT_BYTES = 100 };

static struct datagram_ports own_ports;
static struct datagram_filter filter;
static struct counters counters;
static size_t length; /* of the last that passed */

static void setup(void)
{
    datagram_ports_add(&own_ports, OWN_PORT);
    filter = (struct datagram_filter){.own_ports = &own_ports};
}

static void teardown(void)
{
    datagram_filter_fini(&filter);
}

static void limit(bool are_low_ports_allowed, double per_second)
{
    ck_assert_int_eq(datagram_filter_change(&filter, are_low_ports_allowed, per_second), 0);
}

/* Have a datagram, or a train, from a port of 192.0.2.1. */
static bool passes(uint16_t port, size_t bytes, uint16_t segment_bytes)
{
    const struct sockaddr_in source = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(0xC0000201)}};
    struct datagram datagram = {.length = bytes,
                                .arrival = {.hops = 64, .segment_bytes = segment_bytes}};

    memcpy(&datagram.source, &source, sizeof source);
    return datagram_filter_passes(&filter, &datagram, &counters, &length);
}

static void expect(enum counter which, uint64_t value)
{
    ck_assert_uint_eq(counters_get(&counters, which), value);
}

START_TEST(what_passes_is_answered_whole)
{
    ck_assert(passes(CLIENT_PORT, 7, 0));
    ck_assert_uint_eq(length, 7);
    ck_assert(passes(CLIENT_PORT, 0, 0)); /* an empty one has an answer, too */
    ck_assert_uint_eq(length, 0);
    ck_assert(passes(CLIENT_PORT, 250, SEGMENT_BYTES));
    ck_assert_uint_eq(length, 250);
    expect(COUNTER_DATAGRAMS_IN, 5);
    expect(COUNTER_DATAGRAM_BYTES_IN, 257);
}
END_TEST

START_TEST(what_does_not_pass_is_counted_by_its_reason)
{
    ck_assert(!passes(OWN_PORT, 250, SEGMENT_BYTES));
    ck_assert(!passes(53, 10, 0));
    expect(COUNTER_DATAGRAMS_IN, 4);
    expect(COUNTER_DATAGRAM_BYTES_IN, 260);
    expect(COUNTER_DATAGRAMS_FROM_OWN_PORT, 3);
    expect(COUNTER_DATAGRAMS_FROM_LOW_PORT, 1);
    limit(true, 0);
    ck_assert(passes(53, 10, 0));
}
END_TEST

START_TEST(of_a_train_passes_what_the_rate_allows)
{
    limit(false, 3);
    ck_assert(passes(CLIENT_PORT, 450, SEGMENT_BYTES));
    ck_assert_uint_eq(length, 300);
    ck_assert(!passes(CLIENT_PORT, 1, 0));
    expect(COUNTER_DATAGRAMS_IN, 6);
    expect(COUNTER_DATAGRAMS_ABOVE_RATE, 3);
    limit(false, 0);
    ck_assert(passes(CLIENT_PORT, 1, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datagram_filter");
    TCase *filters = support_case(suite, "filter");

    tcase_add_checked_fixture(filters, setup, teardown);
    tcase_add_test(filters, what_passes_is_answered_whole);
    tcase_add_test(filters, what_does_not_pass_is_counted_by_its_reason);
    tcase_add_test(filters, of_a_train_passes_what_the_rate_allows);
    return support_run(suite);
}
