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

/* From large to small, which is also the order in which a duration names them. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

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

/* Return the place in duration_units, from `first` on, of the unit that `text` begins with. */
static size_t find_duration_unit(const char *text, size_t first)
{
    const size_t length = strspn(text, "dhms");

    for (size_t i = first; i < LENGTH(duration_units); i++) {
        if (strlen(duration_units[i].name) == length &&
            strncmp(text, duration_units[i].name, length) == 0)
            return i;
    }
    return LENGTH(duration_units);
}

int units_parse_duration(const char *text, uint64_t *milliseconds)
{
    uint64_t total = 0;
    size_t first_unit = 0; /* units before it are used up */

    if (units_parse_count(text, &total) == 0)
        return multiply(total, 1000, milliseconds);

    total = 0;
    do {
        uint64_t number, part;
        size_t unit;

        if (read_digits(text, &text, &number) < 0)
            return -1;
        unit = find_duration_unit(text, first_unit);
        if (unit == LENGTH(duration_units)) {
            errno = EINVAL;
            return -1;
        }
        if (multiply(number, duration_units[unit].factor, &part) < 0)
            return -1;
        if (total > UINT64_MAX - part) {
            errno = ERANGE;
            return -1;
        }
        total += part;
        text += strlen(duration_units[unit].name);
        first_unit = unit + 1;
    } while (*text != '\0');

    *milliseconds = total;
    return 0;
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

void units_format_duration(uint64_t milliseconds, char text[UNITS_TEXT_SIZE])
{
    size_t length = 0;

    for (size_t i = 0; i < LENGTH(duration_units); i++) {
        const uint64_t number = milliseconds / duration_units[i].factor;

        if (number == 0)
            continue;
        length += (size_t)snprintf(text + length, UNITS_TEXT_SIZE - length, "%" PRIu64 "%s", number,
                                   duration_units[i].name);
        milliseconds %= duration_units[i].factor;
    }
    if (length == 0)
        (void)snprintf(text, UNITS_TEXT_SIZE, "0");
}
