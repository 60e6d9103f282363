/*
 * check_table: ids that never come back, slots that do.
 * Knows of a table only what its header says, the layout of an id included.
 * Run by make check.
 */
#include <config.h>

#include "echod/table.h"

#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define NUMBER_MASK ((UINT64_C(1) << TABLE_NUMBER_BITS) - 1)

/* Things to store; their addresses are all that counts. */
static char things[4096];

static struct table *new_table(uint32_t first, uint32_t stride)
{
    struct table *table = table_new(first, stride);

    ck_assert_ptr_nonnull(table);
    return table;
}

static uint64_t insert(struct table *table, void *value)
{
    uint64_t id = table_insert(table, value);

    ck_assert_uint_gt(id, 0);
    ck_assert_uint_le(id, TABLE_ID_MAX);
    ck_assert_ptr_eq(table_find(table, id), value);
    return id;
}

static uint64_t number_of(uint64_t id)
{
    return id & NUMBER_MASK;
}

START_TEST(what_was_stored_is_found_until_it_is_removed)
{
    struct table *table = new_table(0, 1);
    uint64_t first = insert(table, &things[0]), second = insert(table, &things[1]);

    ck_assert_uint_ne(first, second);
    ck_assert_uint_eq(table_count(table), 2);
    ck_assert_ptr_eq(table_find(table, first), &things[0]);
    ck_assert_ptr_eq(table_remove(table, first), &things[0]);
    ck_assert_uint_eq(table_count(table), 1);
    ck_assert_ptr_null(table_find(table, first));
    ck_assert_ptr_null(table_remove(table, first));
    ck_assert_uint_eq(table_count(table), 1);
    ck_assert_ptr_eq(table_find(table, second), &things[1]);
    table_free(table);
}
END_TEST

START_TEST(the_same_pointer_may_be_stored_twice)
{
    struct table *table = new_table(0, 1);
    uint64_t first = insert(table, &things[0]), second = insert(table, &things[0]);

    ck_assert_uint_ne(first, second);
    ck_assert_ptr_eq(table_remove(table, first), &things[0]);
    ck_assert_ptr_eq(table_find(table, second), &things[0]);
    table_free(table);
}
END_TEST

START_TEST(an_empty_table_is_fine)
{
    struct table *table = new_table(0, 1);
    size_t cursor = 0;

    ck_assert_uint_eq(table_count(table), 0);
    ck_assert_ptr_null(table_find(table, 1));
    ck_assert_ptr_null(table_remove(table, 1));
    ck_assert_ptr_null(table_next(table, &cursor));
    table_free(table);
    table_free(NULL);
}
END_TEST

START_TEST(ids_are_made_as_the_header_says)
{
    struct table *table = new_table(1, 3);
    uint64_t uses;

    for (uint64_t slot = 0; slot < 1000; slot++)
        ck_assert_uint_eq(number_of(insert(table, &things[slot])), slot * 3 + 1 + 1);
    table_free(table);

    table = new_table(0, 1);
    uses = insert(table, &things[0]) >> TABLE_NUMBER_BITS;
    for (int i = 1; i < 1000; i++) {
        ck_assert_ptr_nonnull(table_remove(table, uses << TABLE_NUMBER_BITS | 1));
        ck_assert_uint_eq(insert(table, &things[0]), (uses + 1) << TABLE_NUMBER_BITS | 1);
        uses++;
    }
    table_free(table);
}
END_TEST

START_TEST(slots_are_reused_last_freed_first)
{
    enum { COUNT = 100 };
    struct table *table = new_table(0, 1);
    uint64_t ids[COUNT], order[COUNT], seed = 2;

    for (int i = 0; i < COUNT; i++)
        order[i] = ids[i] = insert(table, &things[i]);
    for (int i = COUNT - 1; i > 0; i--) {
        size_t other = (size_t)(support_random(&seed) % (uint64_t)(i + 1));
        uint64_t id = order[i];

        order[i] = order[other];
        order[other] = id;
    }
    for (int i = 0; i < COUNT; i++)
        ck_assert_ptr_nonnull(table_remove(table, order[i]));
    for (int i = COUNT - 1; i >= 0; i--)
        ck_assert_uint_eq(number_of(insert(table, &things[i])), number_of(order[i]));
    ck_assert_uint_eq(number_of(insert(table, &things[0])), COUNT + 1);
    for (int i = 0; i < COUNT; i++)
        ck_assert_ptr_null(table_find(table, ids[i]));
    table_free(table);
}
END_TEST

START_TEST(ids_that_never_were_find_nothing)
{
    static const uint64_t wild[] = {
        0,
        UINT64_MAX,
        UINT64_MAX - 1,
        UINT64_C(1) << 63,
        TABLE_ID_MAX,
        TABLE_ID_MAX + 1,
        NUMBER_MASK,
        NUMBER_MASK + 1,
        UINT64_C(1) << 32,
        (UINT64_C(1) << 32) + 1,
        UINT32_MAX,
    };
    struct table *table = new_table(0, 1);
    uint64_t ids[10];

    for (int i = 0; i < 10; i++)
        ids[i] = insert(table, &things[i]);
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        ck_assert_ptr_null(table_find(table, wild[i]));
        ck_assert_ptr_null(table_remove(table, wild[i]));
    }
    for (int i = 0; i < 10; i++) {
        /* The right slot, with each other count of uses in turn. */
        for (int bit = TABLE_NUMBER_BITS; bit < 64; bit++) {
            ck_assert_ptr_null(table_find(table, ids[i] ^ UINT64_C(1) << bit));
            ck_assert_ptr_null(table_remove(table, ids[i] ^ UINT64_C(1) << bit));
        }
    }
    for (uint64_t slot = 10; slot < 5000; slot++)
        ck_assert_ptr_null(table_find(table, (ids[0] & ~NUMBER_MASK) | (slot + 1)));
    ck_assert_uint_eq(table_count(table), 10);
    table_free(table);
}
END_TEST

START_TEST(a_free_slot_is_not_found_by_the_id_that_it_will_have)
{
    struct table *table = new_table(0, 1);
    uint64_t first = insert(table, &things[0]), next;

    ck_assert_ptr_nonnull(table_remove(table, first));
    for (uint64_t uses = 0; uses < 10; uses++) {
        ck_assert_ptr_null(table_find(table, uses << TABLE_NUMBER_BITS | number_of(first)));
        ck_assert_ptr_null(table_remove(table, uses << TABLE_NUMBER_BITS | number_of(first)));
    }
    ck_assert_uint_eq(table_count(table), 0);
    next = insert(table, &things[1]);
    ck_assert_ptr_null(table_find(table, first));
    ck_assert_ptr_eq(table_find(table, next), &things[1]);
    table_free(table);
}
END_TEST

START_TEST(tables_of_one_stride_share_no_id)
{
    enum { TABLES = 5, STEPS = 2000 };
    struct table *tables[TABLES];
    uint64_t seed = 3;

    for (uint32_t i = 0; i < TABLES; i++)
        tables[i] = new_table(i, TABLES);
    for (int step = 0; step < STEPS; step++) {
        uint32_t place = (uint32_t)(support_random(&seed) % TABLES);
        uint64_t id = insert(tables[place], &things[place]);

        ck_assert_uint_eq((number_of(id) - 1) % TABLES, place);
        for (uint32_t i = 0; i < TABLES; i++) {
            if (i == place)
                continue;
            ck_assert_ptr_null(table_find(tables[i], id));
            ck_assert_ptr_null(table_remove(tables[i], id));
        }
        if (support_random(&seed) % 2 == 0)
            ck_assert_ptr_eq(table_remove(tables[place], id), &things[place]);
    }
    for (uint32_t i = 0; i < TABLES; i++)
        table_free(tables[i]);
}
END_TEST

START_TEST(small_numbers_of_other_tables_find_nothing)
{
    enum { FIRST = 2, STRIDE = 4 };
    struct table *table = new_table(FIRST, STRIDE);
    uint64_t uses = insert(table, &things[0]) & ~NUMBER_MASK;

    for (uint64_t number = 0; number < 100; number++)
        ck_assert_ptr_eq(table_find(table, uses | number), number == FIRST + 1 ? &things[0] : NULL);
    table_free(table);
}
END_TEST

/* How many numbers a place among so many tables has, where it is few. */
static const struct {
    uint32_t first, stride;
    unsigned ids;
} narrow[] = {
    {0, UINT32_C(1) << 27, 2},
    {(UINT32_C(1) << 27) - 2, UINT32_C(1) << 27, 2},
    {(UINT32_C(1) << 27) - 1, UINT32_C(1) << 27, 1}, /* 2^28 has no room */
    {0, (UINT32_C(1) << 28) - 1, 1},
    {(UINT32_C(1) << 28) - 2, (UINT32_C(1) << 28) - 1, 1},
};

START_TEST(numbers_run_out_with_an_error)
{
    struct table *table = new_table(narrow[_i].first, narrow[_i].stride);
    uint64_t id = 0;

    for (unsigned i = 0; i < narrow[_i].ids; i++) {
        id = insert(table, &things[i]);
        ck_assert_uint_eq(number_of(id), (uint64_t)i * narrow[_i].stride + narrow[_i].first + 1);
    }
    for (int i = 0; i < 3; i++) {
        errno = 0;
        ck_assert_uint_eq(table_insert(table, &things[0]), 0);
        ck_assert_int_eq(errno, ENOMEM);
    }
    ck_assert_uint_eq(table_count(table), narrow[_i].ids);
    if (id != 0) {
        ck_assert_ptr_nonnull(table_remove(table, id));
        ck_assert_uint_eq(number_of(insert(table, &things[0])), number_of(id));
    }
    table_free(table);
}
END_TEST

START_TEST(a_slot_that_used_up_its_ids_is_retired)
{
    struct table *table = new_table(0, 1);
    uint64_t id, previous = 0;

    while (number_of(id = table_insert(table, &things[0])) == 1) {
        if (id <= previous || id > TABLE_ID_MAX)
            ck_abort_msg("%" PRIu64 " follows %" PRIu64, id, previous);
        if (table_remove(table, id) != &things[0])
            ck_abort_msg("%" PRIu64 " was lost", id);
        previous = id;
    }
    ck_assert_uint_eq(number_of(id), 2);
    ck_assert_uint_ge(previous, TABLE_ID_MAX - (2 << TABLE_NUMBER_BITS)); /* hardly one is wasted */
    ck_assert_ptr_null(table_find(table, previous));
    ck_assert_ptr_null(table_remove(table, previous));
    ck_assert_uint_eq(table_count(table), 1);
    ck_assert_ptr_null(table_find(table, 1));
    ck_assert_ptr_null(table_find(table, UINT64_C(1) << TABLE_NUMBER_BITS | 1));
    ck_assert_ptr_nonnull(table_remove(table, id));
    ck_assert_uint_eq(number_of(insert(table, &things[0])), 2);
    ck_assert_uint_eq(number_of(insert(table, &things[1])), 3);
    table_free(table);
}
END_TEST

START_TEST(next_visits_each_once)
{
    enum { COUNT = 1000 };
    struct table *table = new_table(1, 2);
    unsigned visits[COUNT] = {0};
    size_t cursor = 0;

    for (int i = 0; i < COUNT; i++) {
        uint64_t id = insert(table, &things[i]);

        if (i % 3 == 0)
            ck_assert_ptr_nonnull(table_remove(table, id));
    }
    for (char *thing; (thing = table_next(table, &cursor)) != NULL;)
        visits[thing - things]++;
    ck_assert_ptr_null(table_next(table, &cursor));
    for (int i = 0; i < COUNT; i++) {
        bool is_there = i % 3 != 0;

        ck_assert_uint_eq(visits[i], is_there);
    }
    table_free(table);
}
END_TEST

START_TEST(next_may_remove_what_it_visits)
{
    enum { COUNT = 500 };
    struct table *table = new_table(0, 1);
    uint64_t ids[COUNT];
    size_t cursor = 0;
    unsigned visits = 0;

    for (int i = 0; i < COUNT; i++)
        ids[i] = insert(table, &things[i]);
    for (char *thing; (thing = table_next(table, &cursor)) != NULL; visits++)
        ck_assert_ptr_eq(table_remove(table, ids[thing - things]), thing);
    ck_assert_uint_eq(visits, COUNT);
    ck_assert_uint_eq(table_count(table), 0);
    table_free(table);
}
END_TEST

START_TEST(next_visits_what_stays_once_while_others_come_and_go)
{
    enum { STAY = 300, GUESTS = 3000, ROUNDS = 50 };
    uint64_t seed = 4;

    for (int round = 0; round < ROUNDS; round++) {
        struct table *table = new_table(0, 1);
        uint64_t ids[GUESTS] = {0};
        unsigned visits[sizeof things] = {0};
        size_t cursor = 0, guests = 0;

        /* Those that stay lie among some that will go. */
        for (int i = 0; i < STAY; i++) {
            (void)insert(table, &things[i]);
            if (support_random(&seed) % 2 == 0) {
                ids[guests] = insert(table, &things[STAY + guests]);
                guests++;
            }
        }
        for (char *thing; (thing = table_next(table, &cursor)) != NULL;) {
            visits[thing - things]++;
            for (uint64_t n = support_random(&seed) % 4; n > 0; n--) {
                size_t guest = (size_t)(support_random(&seed) % (guests + 1));

                if (guest == guests && guests < GUESTS) {
                    ids[guests] = insert(table, &things[STAY + guests]);
                    guests++;
                } else if (guest < guests) {
                    (void)table_remove(table, ids[guest]);
                }
            }
        }
        for (size_t i = 0; i < STAY; i++)
            ck_assert_msg(visits[i] == 1, "round %d: %zu was visited %u times", round, i,
                          visits[i]);
        for (size_t i = STAY; i < STAY + GUESTS; i++)
            ck_assert_msg(visits[i] <= 1, "round %d: %zu was visited %u times", round, i,
                          visits[i]);
        table_free(table);
    }
}
END_TEST

/* A million operations against a model: a plain list of what is stored, and ids that are gone. */

enum { MODEL_SIZE = 4000, GONE_SIZE = 1000 };

struct model {
    struct table *table;
    uint64_t ids[MODEL_SIZE];
    void *values[MODEL_SIZE];
    size_t count;
    uint64_t gone[GONE_SIZE];          /* some of the ids that were removed */
    uint64_t free_numbers[MODEL_SIZE]; /* the last one is handed out next */
    size_t free_count;
    uint64_t *last_uses; /* by slot: an id is new if it has more */
};

static void model_insert(struct model *model, uint64_t *seed)
{
    void *value = &things[support_random(seed) % sizeof things];
    uint64_t expected =
        model->free_count > 0 ? model->free_numbers[--model->free_count] : model->count + 1;
    uint64_t id = table_insert(model->table, value);

    support_assert(id > 0 && id <= TABLE_ID_MAX);
    support_assert(number_of(id) == expected);
    support_assert(model->last_uses[expected] < (id >> TABLE_NUMBER_BITS) + 1);
    model->last_uses[expected] = (id >> TABLE_NUMBER_BITS) + 1;
    model->ids[model->count] = id;
    model->values[model->count++] = value;
}

static void model_remove(struct model *model, uint64_t *seed)
{
    size_t place = (size_t)(support_random(seed) % model->count);
    uint64_t id = model->ids[place];

    support_assert(table_remove(model->table, id) == model->values[place]);
    model->gone[support_random(seed) % GONE_SIZE] = id;
    model->free_numbers[model->free_count++] = number_of(id);
    model->count--;
    model->ids[place] = model->ids[model->count];
    model->values[place] = model->values[model->count];
}

static void model_look(const struct model *model, uint64_t *seed)
{
    uint64_t gone = model->gone[support_random(seed) % GONE_SIZE];

    support_assert(table_find(model->table, gone) == NULL);
    support_assert(table_remove(model->table, gone) == NULL);
    if (model->count > 0) {
        size_t place = (size_t)(support_random(seed) % model->count);

        support_assert(table_find(model->table, model->ids[place]) == model->values[place]);
    }
    support_assert(table_count(model->table) == model->count);
}

static void model_walk(const struct model *model)
{
    size_t cursor = 0, visited = 0;

    while (table_next(model->table, &cursor) != NULL)
        visited++;
    support_assert(visited == model->count);
}

START_TEST(a_million_operations_agree_with_a_model)
{
    enum { OPERATIONS = 1000000, PHASE = 20000 };
    uint64_t seed = (uint64_t)_i; /* which check prints where a test fails */
    struct model *model = calloc(1, sizeof *model);

    ck_assert_ptr_nonnull(model);
    model->last_uses = calloc(MODEL_SIZE + 1, sizeof *model->last_uses);
    ck_assert_ptr_nonnull(model->last_uses);
    model->table = new_table(0, 1);
    for (uint64_t step = 0; step < OPERATIONS; step++) {
        /* Phases in which the table grows, and others in which it shrinks. */
        bool grows = support_random(&seed) % 8 < (step / PHASE % 2 == 0 ? 5 : 3);

        if (grows && model->count < MODEL_SIZE)
            model_insert(model, &seed);
        else if (model->count > 0)
            model_remove(model, &seed);
        model_look(model, &seed);
        if (step % PHASE == 0)
            model_walk(model);
    }
    for (size_t i = 0; i < model->count; i++)
        support_assert(table_find(model->table, model->ids[i]) == model->values[i]);
    table_free(model->table);
    free(model->last_uses);
    free(model);
}
END_TEST

static Suite *table_suite(void)
{
    Suite *suite = suite_create("table");
    TCase *basics = support_case(suite, "basics");
    TCase *ids = support_case(suite, "ids");
    TCase *next = support_case(suite, "next");
    TCase *model = support_case(suite, "model");

    tcase_add_test(basics, what_was_stored_is_found_until_it_is_removed);
    tcase_add_test(basics, the_same_pointer_may_be_stored_twice);
    tcase_add_test(basics, an_empty_table_is_fine);
    tcase_add_test(ids, ids_are_made_as_the_header_says);
    tcase_add_test(ids, slots_are_reused_last_freed_first);
    tcase_add_test(ids, ids_that_never_were_find_nothing);
    tcase_add_test(ids, a_free_slot_is_not_found_by_the_id_that_it_will_have);
    tcase_add_test(ids, tables_of_one_stride_share_no_id);
    tcase_add_test(ids, small_numbers_of_other_tables_find_nothing);
    tcase_add_loop_test(ids, numbers_run_out_with_an_error, 0,
                        (int)(sizeof narrow / sizeof narrow[0]));
    tcase_add_test(ids, a_slot_that_used_up_its_ids_is_retired);
    tcase_add_test(next, next_visits_each_once);
    tcase_add_test(next, next_may_remove_what_it_visits);
    tcase_add_test(next, next_visits_what_stays_once_while_others_come_and_go);
    tcase_add_loop_test(model, a_million_operations_agree_with_a_model, 1, 4);
    return suite;
}

int main(void)
{
    return support_run(table_suite());
}
