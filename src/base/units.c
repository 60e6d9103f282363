#include <config.h>

#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define KIB UINT64_C(1024)
#define KB  UINT64_C(1000)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", KIB},
    {"MiB", KIB *KIB},
    {"GiB", KIB *KIB *KIB},
    {"TiB", KIB *KIB *KIB *KIB},
    {"K", KIB},
    {"M", KIB *KIB},
    {"G", KIB *KIB *KIB},
    {"T", KIB *KIB *KIB *KIB},
    {"kB", KB},
    {"MB", KB *KB},
    {"GB", KB *KB *KB},
    {"TB", KB *KB *KB *KB},
};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* From large to small, which is also the order in which a duration names them. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

/* The same in microseconds. */
static const struct unit interval_units[] = {
    {"d", UINT64_C(86400000000)},
    {"h", UINT64_C(3600000000)},
    {"m", 60000000},
    {"s", 1000000},
    {"ms", 1000},
    {"us", 1},
};

/* The highest rate, in millionths a second: a double holds it, and in an hour it fits 64 bits. */
#define RATE_MILLIONTHS_MAX (UINT64_C(1) << 52)

/* Seconds that a rate counts for. */
static const struct unit rate_units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/h", 3600}};

static int multiply(uint64_t number, uint64_t factor, uint64_t *product)
{
    if (number > UINT64_MAX / factor) {
        errno = ERANGE;
        return -1;
    }
    *product = number * factor;
    return 0;
}

/* Read digits up to the first other character, and point `end` there. At least one is needed. */
static int read_digits(const char *text, const char **end, uint64_t *number)
{
    uint64_t value = 0;
    const char *next = text;

    for (; *next >= '0' && *next <= '9'; next++) {
        const unsigned digit = (unsigned)(*next - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            errno = ERANGE;
            return -1;
        }
        value = value * 10 + digit;
    }
    if (next == text) {
        errno = EINVAL;
        return -1;
    }
    *end = next;
    *number = value;
    return 0;
}

int units_parse_count(const char *text, uint64_t *count)
{
    const char *end;
    uint64_t number;

    if (read_digits(text, &end, &number) < 0)
        return -1;
    if (*end != '\0') {
        errno = EINVAL;
        return -1;
    }
    *count = number;
    return 0;
}

int units_parse_size(const char *text, uint64_t *bytes)
{
    const char *unit;
    uint64_t number;

    if (read_digits(text, &unit, &number) < 0)
        return -1;
    for (size_t i = 0; i < LENGTH(size_units); i++) {
        if (strcasecmp(unit, size_units[i].name) == 0)
            return multiply(number, size_units[i].factor, bytes);
    }
    errno = EINVAL;
    return -1;
}

/* Return the first of `count` units that `text` begins with, or NULL. */
static const struct unit *find_unit(const struct unit *units, size_t count, const char *text)
{
    const size_t length = strspn(text, "dhmsu");

    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == length && strncmp(text, units[i].name, length) == 0)
            return &units[i];
    }
    return NULL;
}

/* Read numbers, each with a unit, as long as they go from large units to small ones. */
static int read_durations(const char *text, const struct unit *units, size_t count,
                          uint64_t *duration)
{
    const struct unit *const end = units + count;
    uint64_t total = 0;

    do {
        uint64_t number, part;
        const struct unit *unit;

        if (read_digits(text, &text, &number) < 0)
            return -1;
        unit = find_unit(units, (size_t)(end - units), text);
        if (unit == NULL) {
            errno = EINVAL;
            return -1;
        }
        if (multiply(number, unit->factor, &part) < 0)
            return -1;
        if (total > UINT64_MAX - part) {
            errno = ERANGE;
            return -1;
        }
        total += part;
        text += strlen(unit->name);
        units = unit + 1;
    } while (*text != '\0');

    *duration = total;
    return 0;
}

/* Read a number with up to `decimals` decimals, and this text behind it, in its smallest parts. */
static int parse_decimal(const char *text, unsigned decimals, const char *suffix, uint64_t *parts)
{
    uint64_t whole, fraction = 0, factor = 1;
    const char *point, *end;

    if (read_digits(text, &point, &whole) < 0)
        return -1;
    end = point;
    if (*point == '.' && read_digits(point + 1, &end, &fraction) < 0)
        return -1;
    if (strcmp(end, suffix) != 0 || end - point > (ptrdiff_t)decimals + 1) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned i = 1; i <= decimals; i++) {
        factor *= 10;
        if (point + i >= end)
            fraction *= 10;
    }
    if (multiply(whole, factor, &whole) < 0)
        return -1;
    if (whole > UINT64_MAX - fraction) {
        errno = ERANGE;
        return -1;
    }
    *parts = whole + fraction;
    return 0;
}

int units_parse_duration(const char *text, uint64_t *milliseconds)
{
    const int status = parse_decimal(text, 3, "", milliseconds);

    if (status == 0 || errno == ERANGE)
        return status;
    return read_durations(text, duration_units, LENGTH(duration_units), milliseconds);
}

int units_parse_interval(const char *text, uint64_t *microseconds)
{
    const int status = parse_decimal(text, 6, "", microseconds);

    if (status == 0 || errno == ERANGE)
        return status;
    return read_durations(text, interval_units, LENGTH(interval_units), microseconds);
}

/* Read what follows a number, of these units. Return its factor, or 0 with errno. */
static uint64_t read_unit(const char *text, const struct unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, units[i].name) == 0)
            return units[i].factor;
    }
    errno = EINVAL;
    return 0;
}

/* Read a rate: how many millionths come in how many seconds. */
static int read_rate(const char *text, uint64_t *millionths, uint64_t *seconds)
{
    const size_t length = strspn(text, "0123456789.");
    const char *rest = text + length;
    char number[UNITS_TEXT_SIZE] = "";
    uint64_t factor = 1;

    if (length < sizeof number)
        memcpy(number, text, length);
    if (*rest == 'k' || *rest == 'M')
        factor = *rest++ == 'k' ? KB : KB * KB;
    *seconds = read_unit(rest, rate_units, LENGTH(rate_units));
    if (*seconds == 0 || parse_decimal(number, 6, "", millionths) < 0)
        return -1;
    if (multiply(*millionths, factor, millionths) < 0)
        return -1;
    if (*millionths / *seconds <= RATE_MILLIONTHS_MAX)
        return 0;
    errno = ERANGE;
    return -1;
}

int units_parse_rate(const char *text, double *per_second)
{
    uint64_t millionths, seconds;

    if (read_rate(text, &millionths, &seconds) < 0)
        return -1;
    *per_second = (double)millionths / 1e6 / (double)seconds;
    return 0;
}

int units_parse_percent(const char *text, uint64_t *millionths)
{
    uint64_t parts;

    if (parse_decimal(text, 4, "%", &parts) < 0)
        return -1;
    if (parts > 1000000) {
        errno = ERANGE;
        return -1;
    }
    *millionths = parts;
    return 0;
}

const char *units_bytes(uint64_t count)
{
    return count == 1 ? "byte" : "bytes";
}

void units_format_size(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t name = 0;

    while (name + 1 < LENGTH(names) && bytes != 0 && bytes % KIB == 0) {
        bytes /= KIB;
        name++;
    }
    (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%s", bytes, names[name]);
}

/* Write a duration as the units have it. */
static void format_durations(uint64_t duration, const struct unit *units, size_t count,
                             char text[UNITS_TEXT_SIZE])
{
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t number = duration / units[i].factor;

        if (number == 0)
            continue;
        length += (size_t)snprintf(text + length, UNITS_TEXT_SIZE - length, "%" PRIu64 "%s", number,
                                   units[i].name);
        duration %= units[i].factor;
    }
    if (length == 0)
        (void)snprintf(text, UNITS_TEXT_SIZE, "0");
}

void units_format_duration(uint64_t milliseconds, char text[UNITS_TEXT_SIZE])
{
    format_durations(milliseconds, duration_units, LENGTH(duration_units), text);
}

void units_format_interval(uint64_t microseconds, char text[UNITS_TEXT_SIZE])
{
    format_durations(microseconds, interval_units, LENGTH(interval_units), text);
}

/* The first unit of time that needs no more decimals than are read. */
void units_format_rate(double per_second, char text[UNITS_TEXT_SIZE])
{
    static const struct unit periods[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
    uint64_t millionths = 0;
    size_t period = 0;

    for (; period < LENGTH(periods); period++) {
        const double exact = per_second * (double)periods[period].factor * 1e6;

        millionths = (uint64_t)(exact + 0.5);
        if (exact - (double)millionths < 1e-3 && (double)millionths - exact < 1e-3)
            break;
    }
    if (period == LENGTH(periods))
        period--;
    (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64, millionths / 1000000);
    if (millionths % 1000000 != 0) {
        size_t length = strlen(text);

        length += (size_t)snprintf(text + length, UNITS_TEXT_SIZE - length, ".%06" PRIu64,
                                   millionths % 1000000);
        while (text[length - 1] == '0')
            text[--length] = '\0';
    }
    if (millionths != 0)
        (void)snprintf(text + strlen(text), UNITS_TEXT_SIZE - strlen(text), "%s",
                       periods[period].name);
}
