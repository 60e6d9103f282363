#include <config.h>

#include "base/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A part of the header. */
struct span {
    const char *begin, *end;
};

static bool is_space(char character)
{
    return character == ' ' || character == '\t';
}

static struct span trimmed(struct span span)
{
    while (span.begin < span.end && is_space(*span.begin))
        span.begin++;
    while (span.begin < span.end && is_space(span.end[-1]))
        span.end--;
    return span;
}

/* Take what stands before the next separator, or the end, from a span's beginning. */
static struct span take_until(struct span *rest, char separator)
{
    const size_t length = (size_t)(rest->end - rest->begin);
    const char *found = length == 0 ? NULL : memchr(rest->begin, separator, length);
    const struct span taken = {rest->begin, found == NULL ? rest->end : found};

    rest->begin = found == NULL ? rest->end : found + 1;
    return trimmed(taken);
}

/* Tokens are compared without regard to case. */
static bool is_text(struct span span, const char *text)
{
    const size_t length = strlen(text);

    return (size_t)(span.end - span.begin) == length && strncasecmp(span.begin, text, length) == 0;
}

/* Return the thousandths that "0.5" stands for (RFC 9110, 12.4.2), 0 if it is none of these. */
static unsigned read_quality(struct span text)
{
    unsigned thousandths = 0, unit = 1000;

    for (const char *at = text.begin; at < text.end && unit > 0; at++) {
        if (at == text.begin + 1 && *at == '.')
            continue;
        if (*at < '0' || *at > '9' || (at == text.begin && *at > '1'))
            return 0;
        thousandths += (unsigned)(*at - '0') * unit;
        unit /= 10;
    }
    return thousandths > ACCEPT_QUALITY_MAX ? 0 : thousandths;
}

static bool is_one_of(struct span version, const char *const *versions)
{
    if (version.end - version.begin >= 2 && *version.begin == '"')
        version = (struct span){version.begin + 1, version.end - 1};
    while (versions != NULL && *versions != NULL && !is_text(version, *versions))
        versions++;
    return versions == NULL || *versions != NULL;
}

/* Return what a range such as "text/plain;version=0.0.4;q=0.5" says of a type. */
static unsigned quality_in(struct span range, const char *type, const char *const *versions)
{
    unsigned quality = ACCEPT_QUALITY_MAX;

    if (!is_text(take_until(&range, ';'), type))
        return 0;
    while (range.begin < range.end) {
        struct span parameter = take_until(&range, ';');
        const struct span name = take_until(&parameter, '=');

        parameter = trimmed(parameter);
        if (is_text(name, "version") && !is_one_of(parameter, versions))
            return 0;
        if (is_text(name, "q"))
            quality = read_quality(parameter);
    }
    return quality;
}

unsigned accept_quality(const char *header, const char *type, const char *const *versions)
{
    struct span rest = {header, header + strlen(header)};
    unsigned highest = 0;

    while (rest.begin < rest.end) {
        const unsigned quality = quality_in(take_until(&rest, ','), type, versions);

        if (quality > highest)
            highest = quality;
    }
    return highest;
}
