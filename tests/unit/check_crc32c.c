/*
 * check_crc32c: the checksum of known bytes, in one piece and in several.
 * Knows no header.
 * Run by make check.
 */
#include <config.h>

#include "base/crc32c.h"

#include "support.h"

#include <string.h>

/* The examples of RFC 3720, B.4, as numbers; "123456789" is the check value that catalogues have.
 */
static uint32_t checksum_of(unsigned char (*byte)(size_t index), size_t length)
{
    unsigned char bytes[64];

    for (size_t i = 0; i < length; i++)
        bytes[i] = byte(i);
    return crc32c_extend(0, bytes, length);
}

static unsigned char zero(size_t index)
{
    (void)index;
    return 0;
}

static unsigned char one(size_t index)
{
    (void)index;
    return 0xff;
}

static unsigned char up(size_t index)
{
    return (unsigned char)index;
}

static unsigned char down(size_t index)
{
    return (unsigned char)(31 - index);
}

static unsigned char digit(size_t index)
{
    return (unsigned char)('1' + index);
}

START_TEST(the_checksum_of_known_bytes_is_known)
{
    ck_assert_uint_eq(checksum_of(zero, 32), 0x8a9136aa);
    ck_assert_uint_eq(checksum_of(one, 32), 0x62a8ab43);
    ck_assert_uint_eq(checksum_of(up, 32), 0x46dd794e);
    ck_assert_uint_eq(checksum_of(down, 32), 0x113fdb5c);
    ck_assert_uint_eq(checksum_of(digit, 9), 0xe3069283);
    ck_assert_uint_eq(checksum_of(digit, 0), 0);
}
END_TEST

START_TEST(pieces_have_the_checksum_of_the_whole)
{
    static const unsigned char bytes[] = "123456789";

    for (size_t first = 0; first <= 9; first++) {
        const uint32_t crc = crc32c_extend(0, bytes, first);

        ck_assert_uint_eq(crc32c_extend(crc, bytes + first, 9 - first), 0xe3069283);
    }
}
END_TEST

static Suite *crc32c_suite(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *core = support_case(suite, "core");

    tcase_add_test(core, the_checksum_of_known_bytes_is_known);
    tcase_add_test(core, pieces_have_the_checksum_of_the_whole);
    return suite;
}

int main(void)
{
    return support_run(crc32c_suite());
}
