/*
 * fuzz_units: what must be true of amounts, durations, rates and shares, whatever text comes.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/units.h"

#include "fuzz.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef int parse_function(const char *text, uint64_t *number);
typedef void format_function(uint64_t number, char text[UNITS_TEXT_SIZE]);

static void format_count(uint64_t number, char text[UNITS_TEXT_SIZE])
{
    (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64, number);
}

/* Whatever number it is, its text says the same one, and nothing shorter than a number can. */
static void check_number(uint64_t number, parse_function *parse, format_function *format)
{
    char text[UNITS_TEXT_SIZE], again[UNITS_TEXT_SIZE];
    uint64_t read_number;

    format(number, text);
    fuzz_require(strlen(text) < UNITS_TEXT_SIZE - 1); /* it was not cut */
    fuzz_require(parse(text, &read_number) == 0);
    fuzz_require(read_number == number);
    format(read_number, again);
    fuzz_require(strcmp(text, again) == 0);
}

/* A text says one number, or none for one of two reasons; then the number stays as it was. */
static bool check_text(const char *text, parse_function *parse, format_function *format)
{
    const uint64_t untouched = 0x5a5a5a5a5a5a5a5a;
    uint64_t number = untouched;

    errno = 0;
    if (parse(text, &number) < 0) {
        fuzz_require(errno == EINVAL || errno == ERANGE);
        fuzz_require(number == untouched);
        return false;
    }
    fuzz_require(text[0] >= '0' && text[0] <= '9');
    if (format != NULL)
        check_number(number, parse, format);
    return true;
}

/* Whatever is a number alone is that number of each unit's smallest one, where it is not too much.
 */
static void check_count(const char *text)
{
    uint64_t count, bytes, milliseconds, microseconds;

    if (!check_text(text, units_parse_count, format_count))
        return;
    fuzz_require(units_parse_count(text, &count) == 0);
    fuzz_require(units_parse_size(text, &bytes) == 0 && bytes == count);
    if (units_parse_duration(text, &milliseconds) == 0)
        fuzz_require(milliseconds / 1000 == count && milliseconds % 1000 == 0);
    else
        fuzz_require(errno == ERANGE && count > UINT64_MAX / 1000);
    if (units_parse_interval(text, &microseconds) == 0)
        fuzz_require(microseconds / 1000000 == count && microseconds % 1000000 == 0);
    else
        fuzz_require(errno == ERANGE && count > UINT64_MAX / 1000000);
}

/* A duration is an interval of a thousand times as many parts. */
static void check_duration(const char *text)
{
    uint64_t milliseconds, microseconds;

    (void)check_text(text, units_parse_interval, units_format_interval);
    if (!check_text(text, units_parse_duration, units_format_duration))
        return;
    fuzz_require(units_parse_duration(text, &milliseconds) == 0);
    if (units_parse_interval(text, &microseconds) == 0)
        fuzz_require(microseconds / 1000 == milliseconds && microseconds % 1000 == 0);
    else
        fuzz_require(errno == ERANGE && milliseconds > UINT64_MAX / 1000);
}

static void check_percent(const char *text)
{
    uint64_t millionths;

    if (!check_text(text, units_parse_percent, NULL))
        return;
    fuzz_require(units_parse_percent(text, &millionths) == 0);
    fuzz_require(millionths <= 1000000 && text[strlen(text) - 1] == '%');
}

/* A rate's text says it to a billionth a second. */
static void check_rate(const char *text)
{
    char again[UNITS_TEXT_SIZE];
    double rate = -1, read_rate;

    errno = 0;
    if (units_parse_rate(text, &rate) < 0) {
        fuzz_require((errno == EINVAL || errno == ERANGE) && rate < 0);
        return;
    }
    fuzz_require(rate >= 0 && rate < 4.51e9);
    units_format_rate(rate, again);
    fuzz_require(strlen(again) < UNITS_TEXT_SIZE - 1);
    fuzz_require(units_parse_rate(again, &read_rate) == 0);
    fuzz_require(fabs(read_rate - rate) <= 1e-9 + rate * 1e-15);
}

/* Eight bytes are a number that no text needs to say. */
static void check_bytes(const unsigned char *input)
{
    uint64_t number;

    memcpy(&number, input, sizeof number);
    check_number(number, units_parse_count, format_count);
    check_number(number, units_parse_size, units_format_size);
    check_number(number, units_parse_duration, units_format_duration);
    check_number(number, units_parse_interval, units_format_interval);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);

    check_count(text);
    (void)check_text(text, units_parse_size, units_format_size);
    check_duration(text);
    check_percent(text);
    check_rate(text);
    if (length == sizeof(uint64_t))
        check_bytes(input);
    free(text);
    return 0;
}
