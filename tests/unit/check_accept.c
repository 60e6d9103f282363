/*
 * check_accept: how much a header Accept wants a media type.
 * Tests no choice; check_exposition does.
 * Run by make check.
 */
#include <config.h>

#include "base/accept.h"

#include "support.h"

#include <stddef.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *const versions[] = {"1.0.0", "0.0.1", NULL};

/* A header, and how much it wants "a/b" in one of these versions. */
static const struct {
    const char *header;
    unsigned quality;
} samples[] = {
    {"a/b", 1000},
    {"A/B", 1000},
    {" a/b ", 1000},
    {"c/d, a/b", 1000},
    {"c/d,\ta/b;q=0.5", 500},
    {"a/b;q=0.5,a/b;q=0.25", 500},
    {"a/b ; q=0.125 ; version=1.0.0", 125},
    {"a/b;version=\"0.0.1\";q=1.000", 1000},
    {"a/b;Version=1.0.0;Q=1", 1000},
    {"a/b;charset=utf-8;q=0", 0},
    {"a/b;version=2.0.0", 0},
    {"a/b;version=\"\"", 0},
    {"a/b;version=2.0.0,a/b;version=0.0.1;q=0.001", 1},
    {"a/b;q=.5", 0}, /* is no number there */
    {"a/b;q=0.", 0},
    {"a/b;q=1.", 1000},
    {"a/b;q=1.001", 0},
    {"a/b;q=2", 0},
    {"a/b;q=-1", 0},
    {"a/b;q=0x1", 0},
    {"a/b;q=", 0},
    {"a/b;q", 0},
    {"a/b;q=0.1239", 123},
    {"a/bc", 0},
    {"a/", 0},
    {"*/*", 0},
    {"a/*", 0},
    {"", 0},
    {",;,=;=,", 0},
    {"a/b;;", 1000},
    {"a/b;version", 0},
};

START_TEST(a_header_wants)
{
    ck_assert_uint_eq(accept_quality(samples[_i].header, "a/b", versions), samples[_i].quality);
}
END_TEST

START_TEST(without_versions_any_is_as_good)
{
    ck_assert_uint_eq(accept_quality("a/b;version=7;q=0.7", "a/b", NULL), 700);
}
END_TEST

static Suite *accept_suite(void)
{
    Suite *suite = suite_create("accept");
    TCase *headers = support_case(suite, "headers");

    tcase_add_loop_test(headers, a_header_wants, 0, COUNT_OF(samples));
    tcase_add_test(headers, without_versions_any_is_as_good);
    return suite;
}

int main(void)
{
    return support_run(accept_suite());
}
