/*
 * check_table: ids that never come back, slots that do.
 * Knows of a table only what its header says, the layout of an id included.
 * Run by make check.
 */
#include <config.h>

#include "echod/table.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>

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
    struct table_cursor cursor = {0};

    ck_assert_uint_eq(table_count(table), 0);
    ck_assert_ptr_null(table_find(table, 1));
    ck_assert_ptr_null(table_remove(table, 1));
    ck_assert_ptr_null(table_next(table, &cursor));
    table_free(table);
    table_free(NULL);
}
END_TEST

START_TEST(clients_who_come_one_after_the_other_are_counted_through)
{
    struct table *table = new_table(0, 1);

    for (uint64_t i = 1; i <= 1000; i++) {
        ck_assert_uint_eq(insert(table, &things[0]), i);
        ck_assert_ptr_nonnull(table_remove(table, i));
    }
    table_free(table);
}
END_TEST

START_TEST(clients_who_stay_are_counted_through)
{
    struct table *table = new_table(0, 1);

    for (uint64_t i = 1; i <= 1000; i++)
        ck_assert_uint_eq(insert(table, &things[i]), i);
    table_free(table);
}
END_TEST

START_TEST(each_place_of_a_stride_has_its_own_ids)
{
    struct table *table = new_table(1, 3);

    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(insert(table, &things[i]), i * 3 + 1 + 1);
    table_free(table);
}
END_TEST

/* The header's layout: so many slots as a power of 2 are used before there are more. */
START_TEST(slots_are_reused_last_freed_first)
{
    enum { COUNT = 128 };
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
        ck_assert_uint_eq(insert(table, &things[i]), order[i] + COUNT);
    ck_assert_uint_eq(insert(table, &things[0]), 2 * COUNT + 1); /* the first of twice as many */
    for (int i = 0; i < COUNT; i++)
        ck_assert_ptr_null(table_find(table, ids[i]));
    table_free(table);
}
END_TEST

START_TEST(ids_that_never_were_find_nothing)
{
    static const uint64_t wild[] = {
        0,  UINT64_MAX, UINT64_MAX - 1,    UINT64_C(1) << 63,       TABLE_ID_MAX, TABLE_ID_MAX + 1,
        17, 33,         UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT32_MAX,
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
        /* The right slot, of 16, with other numbers. */
        for (int bit = 4; bit < 64; bit++) {
            ck_assert_ptr_null(table_find(table, ids[i] + (UINT64_C(1) << bit)));
            ck_assert_ptr_null(table_remove(table, ids[i] + (UINT64_C(1) << bit)));
        }
    }
    for (uint64_t id = 11; id < 5000; id++)
        ck_assert_ptr_null(table_find(table, id));
    ck_assert_uint_eq(table_count(table), 10);
    table_free(table);
}
END_TEST

START_TEST(a_free_slot_is_not_found_by_the_id_that_it_will_have)
{
    struct table *table = new_table(0, 1);
    uint64_t first = insert(table, &things[0]), next;

    ck_assert_ptr_nonnull(table_remove(table, first));
    for (uint64_t id = 0; id < 10; id++) {
        ck_assert_ptr_null(table_find(table, id));
        ck_assert_ptr_null(table_remove(table, id));
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

        ck_assert_uint_eq((id - 1) % TABLES, place);
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

START_TEST(ids_of_other_places_find_nothing)
{
    enum { FIRST = 2, STRIDE = 4 };
    struct table *table = new_table(FIRST, STRIDE);

    (void)insert(table, &things[0]);
    for (uint64_t id = 0; id < 100; id++)
        ck_assert_ptr_eq(table_find(table, id), id == FIRST + 1 ? &things[0] : NULL);
    table_free(table);
}
END_TEST

/* Use each id that is left, one after the other, and return how many there were. */
static uint64_t use_up(struct table *table)
{
    uint64_t count = 0, id;

    for (; (id = table_insert(table, &things[0])) != 0; count++) {
        support_assert(id <= TABLE_ID_MAX);
        support_assert(table_remove(table, id) == &things[0]);
    }
    support_assert(errno == ENOMEM);
    return count;
}

/* The widest stride has the fewest ids. */
START_TEST(ids_run_out_with_an_error)
{
    const uint32_t stride = UINT32_MAX, first = _i == 0 ? 0 : stride - 1;
    struct table *table = new_table(first, stride);

    ck_assert_uint_eq(use_up(table), (TABLE_ID_MAX - first - 1) / stride + 1);
    for (int i = 0; i < 100; i++) {
        errno = 0;
        ck_assert_uint_eq(table_insert(table, &things[0]), 0);
        ck_assert_int_eq(errno, ENOMEM);
    }
    ck_assert_uint_eq(table_count(table), 0);
    table_free(table);
}
END_TEST

/* Slots are split until no id is left but the one that is used. */
START_TEST(no_id_is_wasted)
{
    struct table *table = new_table(0, UINT32_MAX);
    const uint64_t first = insert(table, &things[1]);

    ck_assert_uint_eq(use_up(table), (TABLE_ID_MAX - 1) / UINT32_MAX);
    ck_assert_ptr_eq(table_find(table, first), &things[1]);
    ck_assert_uint_eq(table_count(table), 1);
    table_free(table);
}
END_TEST

START_TEST(next_visits_each_once)
{
    enum { COUNT = 1000 };
    struct table *table = new_table(1, 2);
    unsigned visits[COUNT] = {0};
    struct table_cursor cursor = {0};

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
    struct table_cursor cursor = {0};
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
        struct table_cursor cursor = {0};
        size_t guests = 0;

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

enum { OPERATIONS = 1000000, MODEL_SIZE = 4000, GONE_SIZE = 1000 };

struct model {
    struct table *table;
    uint64_t ids[MODEL_SIZE];
    void *values[MODEL_SIZE];
    size_t count;
    uint64_t gone[GONE_SIZE];   /* some of the ids that were removed */
    uint64_t taken[OPERATIONS]; /* every id that was handed out */
    size_t taken_count;
};

static void model_insert(struct model *model, uint64_t *seed)
{
    void *value = &things[support_random(seed) % sizeof things];
    uint64_t id = table_insert(model->table, value);

    support_assert(id > 0 && id <= TABLE_ID_MAX);
    model->taken[model->taken_count++] = id;
    model->ids[model->count] = id;
    model->values[model->count++] = value;
}

static void model_remove(struct model *model, uint64_t *seed)
{
    size_t place = (size_t)(support_random(seed) % model->count);
    uint64_t id = model->ids[place];

    support_assert(table_remove(model->table, id) == model->values[place]);
    model->gone[support_random(seed) % GONE_SIZE] = id;
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
    struct table_cursor cursor = {0};
    size_t visited = 0;

    while (table_next(model->table, &cursor) != NULL)
        visited++;
    support_assert(visited == model->count);
}

static int compare_ids(const void *one, const void *other)
{
    const uint64_t id = *(const uint64_t *)one, other_id = *(const uint64_t *)other;

    return (id > other_id) - (id < other_id);
}

/* Check that no id was handed out twice. */
static void model_check_ids(struct model *model)
{
    qsort(model->taken, model->taken_count, sizeof *model->taken, compare_ids);
    for (size_t i = 1; i < model->taken_count; i++)
        support_assert(model->taken[i - 1] < model->taken[i]);
}

START_TEST(a_million_operations_agree_with_a_model)
{
    enum { PHASE = 20000 };
    uint64_t seed = (uint64_t)_i; /* which check prints where a test fails */
    struct model *model = calloc(1, sizeof *model);

    ck_assert_ptr_nonnull(model);
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
    model_check_ids(model);
    table_free(model->table);
    free(model);
}
END_TEST

START_TEST(steps_tell_ids_and_take_one_slot_each_however_few_are_used)
{
    enum { COUNT = 500, STAYS = 77, SLOTS = 512 };
    struct table *table = new_table(2, 5);
    uint64_t ids[COUNT];
    struct table_cursor cursor = {0};
    struct table_entry entry;
    unsigned steps = 0, found = 0;

    for (int i = 0; i < COUNT; i++)
        ids[i] = insert(table, &things[i]);
    for (int i = 0; i < COUNT; i++) {
        if (i != STAYS)
            ck_assert_ptr_nonnull(table_remove(table, ids[i]));
    }
    for (; table_step(table, &cursor, &entry); steps++) {
        if (entry.value == NULL)
            continue;
        found++;
        ck_assert_ptr_eq(entry.value, &things[STAYS]);
        ck_assert_uint_eq(entry.id, ids[STAYS]);
    }
    ck_assert_uint_eq(steps, SLOTS);
    ck_assert_uint_eq(found, 1);
    table_free(table);
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
    tcase_add_test(ids, clients_who_come_one_after_the_other_are_counted_through);
    tcase_add_test(ids, clients_who_stay_are_counted_through);
    tcase_add_test(ids, each_place_of_a_stride_has_its_own_ids);
    tcase_add_test(ids, slots_are_reused_last_freed_first);
    tcase_add_test(ids, ids_that_never_were_find_nothing);
    tcase_add_test(ids, a_free_slot_is_not_found_by_the_id_that_it_will_have);
    tcase_add_test(ids, tables_of_one_stride_share_no_id);
    tcase_add_test(ids, ids_of_other_places_find_nothing);
    tcase_add_loop_test(ids, ids_run_out_with_an_error, 0, 2);
    tcase_add_test(ids, no_id_is_wasted);
    tcase_add_test(next, next_visits_each_once);
    tcase_add_test(next, next_may_remove_what_it_visits);
    tcase_add_test(next, next_visits_what_stays_once_while_others_come_and_go);
    tcase_add_test(next, steps_tell_ids_and_take_one_slot_each_however_few_are_used);
    tcase_add_loop_test(model, a_million_operations_agree_with_a_model, 1, 4);
    return suite;
}

int main(void)
{
    return support_run(table_suite());
}
