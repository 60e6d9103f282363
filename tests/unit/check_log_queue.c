/*
 * check_log_queue: lines come out as they went in, whole and in order, wherever the ring begins.
 * Knows no thread; check_log does.
 * Run by make check.
 */
#include <config.h>

#include "base/log_queue.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct log_queue *queue;

static void setup(void)
{
    queue = calloc(1, sizeof *queue);
    ck_assert_ptr_nonnull(queue);
}

static void teardown(void)
{
    free(queue);
}

/* Make a numbered line of some length, from 12 up, whose bytes tell its number. */
static void make_line(struct line *line, uint64_t number, size_t length)
{
    line->length = 0;
    line_append_digits(line, number, 10);
    memset(line->bytes + line->length, (char)('0' + number % 10), length - 1 - line->length);
    line->length = length - 1;
    line_append_text(line, "\n");
}

/* Put such a line. */
static bool put(uint64_t number, size_t length)
{
    struct line line;

    make_line(&line, number, length);
    return log_queue_put(queue, &line);
}

/* Take the first line, and see that it is the one of this number. */
static void take(uint64_t number, size_t length)
{
    struct line line, expected;

    make_line(&expected, number, length);
    log_queue_copy_line(queue, &line);
    ck_assert_uint_eq(line.length, length);
    ck_assert_int_eq(memcmp(line.bytes, expected.bytes, length), 0);
    log_queue_remove(queue, length);
}

static size_t length_of(uint64_t number)
{
    return 12 + (size_t)(number * 37 % (LINE_SIZE - 12));
}

START_TEST(lines_come_out_in_order_wherever_the_ring_begins)
{
    uint64_t first = 0, next = 0;

    while (next < 10000) { /* some five times round */
        while (put(next, length_of(next)))
            next++;
        ck_assert_uint_gt(queue->length, LOG_QUEUE_SIZE - LINE_SIZE);
        for (; first < next - next % 7; first++)
            take(first, length_of(first));
    }
    for (; first < next; first++)
        take(first, length_of(first));
    ck_assert_uint_eq(queue->length, 0);
}
END_TEST

START_TEST(a_full_queue_takes_a_line_whole_or_not_at_all)
{
    size_t before;

    while (put(1, LINE_SIZE))
        continue;
    ck_assert_uint_eq(queue->length, LOG_QUEUE_SIZE); /* a multiple of the line */
    log_queue_remove(queue, LINE_SIZE);
    ck_assert(put(2, LINE_SIZE - 50));
    before = queue->length;
    ck_assert(!put(3, 51));
    ck_assert_uint_eq(queue->length, before);
    ck_assert(put(4, 50));
    ck_assert(!put(5, 12));
}
END_TEST

START_TEST(the_first_bytes_lie_in_one_piece)
{
    const char *bytes;
    size_t length, all = 0;

    while (put(1, LINE_SIZE))
        continue;
    log_queue_remove(queue, (size_t)LINE_SIZE * 3);
    ck_assert(put(2, 100));
    ck_assert_uint_eq(log_queue_first(queue, 10, &bytes), 10);
    ck_assert_ptr_eq(bytes, queue->bytes + (size_t)LINE_SIZE * 3);
    while ((length = log_queue_first(queue, LOG_QUEUE_SIZE, &bytes)) > 0) {
        ck_assert(bytes >= queue->bytes);
        ck_assert(bytes + length <= queue->bytes + LOG_QUEUE_SIZE);
        log_queue_remove(queue, length);
        all += length;
    }
    ck_assert_uint_eq(all, LOG_QUEUE_SIZE - LINE_SIZE * 3 + 100);
}
END_TEST

START_TEST(what_is_dropped_is_counted_by_the_line)
{
    ck_assert_uint_eq(log_queue_drop(queue), 0);
    for (uint64_t i = 0; i < 100; i++)
        ck_assert(put(i, length_of(i)));
    log_queue_remove(queue, 5); /* of the first line, which is dropped, too */
    ck_assert_uint_eq(log_queue_drop(queue), 100);
    ck_assert_uint_eq(queue->length, 0);
    ck_assert(put(7, 100));
    take(7, 100);
}
END_TEST

START_TEST(an_empty_ring_begins_anew)
{
    const char *bytes;

    ck_assert(put(1, 100));
    ck_assert(put(2, 200));
    take(1, 100);
    take(2, 200);
    ck_assert(put(3, 300));
    ck_assert_uint_eq(log_queue_first(queue, LOG_QUEUE_SIZE, &bytes), 300);
    ck_assert_ptr_eq(bytes, queue->bytes);
}
END_TEST

static Suite *log_queue_suite(void)
{
    Suite *suite = suite_create("log_queue");
    TCase *ring = support_case(suite, "ring");

    tcase_add_checked_fixture(ring, setup, teardown);
    tcase_add_test(ring, lines_come_out_in_order_wherever_the_ring_begins);
    tcase_add_test(ring, a_full_queue_takes_a_line_whole_or_not_at_all);
    tcase_add_test(ring, the_first_bytes_lie_in_one_piece);
    tcase_add_test(ring, an_empty_ring_begins_anew);
    tcase_add_test(ring, what_is_dropped_is_counted_by_the_line);
    return suite;
}

int main(void)
{
    return support_run(log_queue_suite());
}
