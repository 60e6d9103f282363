/*
 * check_gate: whom nobody can count any more is let in all the same, which is counted and told. All
 * else is seen from outside, in tests/system/test_admission.py; it would take 65,536 clients there.
 * Run by make check.
 */
#include <config.h>

#include "echod/gate.h"

#include "support.h"

#include <arpa/inet.h>

static struct counters counters;

static struct gate make_gate(struct admission *admission)
{
    const struct admission_limits limits = {.connections_per_source = 2,
                                            .prefixes = {SOURCE_PREFIX_V4, SOURCE_PREFIX_V6}};

    ck_assert_int_eq(admission_reserve(admission), 0);
    admission_set_limits(admission, &limits);
    return (struct gate){.admission = admission,
                         .counters = &counters,
                         .log = support_log(LOG_FORMAT_TEXT),
                         .label = "public"};
}

static union peer peer_of(uint32_t number)
{
    return (union peer){
        .v4 = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr = {htonl(number)}}};
}

START_TEST(whom_it_cannot_count_it_lets_in)
{
    static const struct source_seed seed = {{1, 2}};
    struct admission *admission = admission_new(&seed);
    struct gate gate = make_gate(admission);
    struct admission_source *known;
    union peer peer;

    for (uint32_t i = 1; i <= ADMISSION_SOURCES; i++) {
        peer = peer_of(i);
        support_assert(gate_lets_in(&gate, &peer, &known) && known != NULL);
    }
    peer = peer_of(0xcb007101);
    for (int i = 0; i < 3; i++) {
        ck_assert(gate_lets_in(&gate, &peer, &known));
        ck_assert_ptr_null(known);
    }
    ck_assert_uint_eq(counters_get(&counters, COUNTER_SOURCES_UNKNOWN), 3);
    gate_let_out(&gate, known);
    support_assert_matches(support_log_text(),
                           "^[^ ]+ warning: 203\\.0\\.113\\.1:7 is not counted by source at "
                           "public: more sources are connected than echod can count\n");
    admission_free(admission);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");

    tcase_add_test(support_case(suite, "gate"), whom_it_cannot_count_it_lets_in);
    return support_run(suite);
}
