/*
 * fuzz_proxy_header: what must be true of the parser of PROXY headers, whatever bytes come.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/proxy_header.h"

#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
    enum proxy_outcome outcome;
    struct proxy_header header;
    size_t length;
    struct error error;
};

static unsigned char *make_block(size_t size)
{
    unsigned char *block = malloc(size + (size == 0));

    fuzz_require(block != NULL);
    return block;
}

/* Parse bytes that end with their block, so that a read beyond their end is seen. */
static enum proxy_outcome parse_block(const unsigned char *bytes, size_t length,
                                      enum proxy_version versions, struct parsed *parsed)
{
    parsed->error.text[0] = '\0';
    parsed->outcome = proxy_header_parse(bytes, length, versions, &parsed->header, &parsed->length,
                                         &parsed->error);
    return parsed->outcome;
}

/* Parse the beginning of an input in a block of its own. */
static enum proxy_outcome parse(const unsigned char *input, size_t length,
                                enum proxy_version versions, struct parsed *parsed)
{
    unsigned char *bytes = make_block(length);

    memcpy(bytes, input, length);
    (void)parse_block(bytes, length, versions, parsed);
    free(bytes);
    return parsed->outcome;
}

static bool has_same_addresses(const struct proxy_header *left, const struct proxy_header *right)
{
    return left->has_addresses == right->has_addresses && left->is_datagram == right->is_datagram &&
           memcmp(&left->source, &right->source, sizeof left->source) == 0 &&
           memcmp(&left->destination, &right->destination, sizeof left->destination) == 0;
}

/* The versions cannot be confused. */
static void check_versions(const unsigned char *input, size_t length, enum proxy_outcome outcome)
{
    const bool is_text = input[0] == 'P';
    struct parsed one;

    fuzz_require(parse(input, length, PROXY_V1, &one) == (is_text ? outcome : PROXY_INVALID));
    fuzz_require(parse(input, length, PROXY_V2, &one) == (is_text ? PROXY_INVALID : outcome));
}

static void check_is_within(const unsigned char *input, size_t length, struct proxy_text text)
{
    if (text.bytes == NULL)
        return;
    fuzz_require(text.bytes > input && text.bytes <= input + length);
    fuzz_require(text.length <= (size_t)(input + length - text.bytes));
}

static void check_texts(const unsigned char *input, size_t length)
{
    struct parsed parsed;
    const struct proxy_tlvs *tlvs = &parsed.header.tlvs;

    fuzz_require(proxy_header_parse(input, length, PROXY_ANY, &parsed.header, &parsed.length,
                                    &parsed.error) == PROXY_COMPLETE);
    check_is_within(input, length, tlvs->alpn);
    check_is_within(input, length, tlvs->authority);
    check_is_within(input, length, tlvs->unique_id);
    check_is_within(input, length, tlvs->netns);
    check_is_within(input, length, tlvs->ssl.version);
    check_is_within(input, length, tlvs->ssl.cipher);
    check_is_within(input, length, tlvs->ssl.common_name);
}

/* Version 1 has no form for Unix and datagrams. */
static void check_format(const struct proxy_header *parsed, enum proxy_version version)
{
    unsigned char bytes[PROXY_FORMAT_SIZE];
    struct proxy_header header = *parsed;
    struct parsed again;
    size_t length;

    header.version = version;
    length = proxy_header_format(&header, bytes);
    fuzz_require(length <= sizeof bytes);
    fuzz_require(parse(bytes, length, version, &again) == PROXY_COMPLETE);
    fuzz_require(again.length == length);
    if (version == PROXY_V1 && (header.is_datagram || header.source.ss_family == AF_UNIX))
        fuzz_require(!again.header.has_addresses);
    else
        fuzz_require(has_same_addresses(&again.header, parsed));
}

/* What follows a header, and that nothing does, changes nothing in it. */
static void check_complete(const unsigned char *input, size_t length, const struct parsed *parsed)
{
    struct parsed alone;

    fuzz_require(parsed->length > 0 && parsed->length <= length);
    fuzz_require(parse(input, parsed->length, PROXY_ANY, &alone) == PROXY_COMPLETE);
    fuzz_require(alone.length == parsed->length);
    fuzz_require(has_same_addresses(&alone.header, &parsed->header));
    check_texts(input, parsed->length);
    check_format(&parsed->header, PROXY_V1);
    check_format(&parsed->header, PROXY_V2);
}

/* A sentence is one line of ASCII, since it quotes nothing. */
static void check_invalid(const struct parsed *parsed)
{
    fuzz_require(parsed->error.text[0] != '\0');
    for (const char *at = parsed->error.text; *at != '\0'; at++)
        fuzz_require(*at >= ' ' && *at <= '~' && *at != '?');
}

/*
 * Whoever is given more and more of the input decides once, and says what the whole says. What is
 * refused is looked at with ever larger pieces more: it takes a sentence each time.
 */
static void check_beginnings(const unsigned char *input, size_t length, const struct parsed *whole)
{
    const size_t end = whole->outcome == PROXY_COMPLETE ? whole->length : length;
    enum proxy_outcome before = PROXY_INCOMPLETE;
    unsigned char *block = make_block(end);
    struct parsed parsed;

    for (size_t i = 0, step = 1; i < end; i += step) {
        unsigned char *bytes = block + end - i;
        enum proxy_outcome outcome;

        memcpy(bytes, input, i);
        outcome = parse_block(bytes, i, PROXY_ANY, &parsed);
        fuzz_require(outcome != PROXY_COMPLETE);
        fuzz_require(before == PROXY_INCOMPLETE || outcome == PROXY_INVALID);
        before = outcome;
        step *= before == PROXY_INVALID ? 2 : 1;
    }
    free(block);
    fuzz_require(before == PROXY_INCOMPLETE || whole->outcome == PROXY_INVALID);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    struct parsed parsed;

    switch (parse(input, length, PROXY_ANY, &parsed)) {
    case PROXY_COMPLETE:
        check_complete(input, length, &parsed);
        break;
    case PROXY_INCOMPLETE:
        fuzz_require(length < PROXY_HEADER_MAX_SIZE);
        break;
    case PROXY_INVALID:
        check_invalid(&parsed);
        break;
    }
    if (length > 0)
        check_versions(input, length, parsed.outcome);
    check_beginnings(input, length, &parsed);
    return 0;
}
