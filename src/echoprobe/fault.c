#include <config.h>

#include "echoprobe/fault.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SHOWN = 8,    /* bytes of each side that a sentence shows */
    PROOF = 4,    /* so many equal bytes are no coincidence */
    NEAR = 65536, /* the numbers of one run lie close together, */
    RESUMED = 16, /* so many right bytes in a row end a run of wrong ones */
};

static const uint64_t ahead = UINT64_C(1) << 32; /* and its connections get about equally far */

static const char *const names[FAULT_KINDS] = {
    [FAULT_NONE] = "none",
    [FAULT_CONNECT] = "connect",
    [FAULT_HANDSHAKE] = "handshake",
    [FAULT_UNVERIFIED] = "unverified",
    [FAULT_UNSENT] = "unsent",
    [FAULT_REFUSED] = "refused",
    [FAULT_LOST] = "lost",
    [FAULT_DUPLICATED] = "duplicated",
    [FAULT_REORDERED] = "reordered",
    [FAULT_TRUNCATED] = "truncated",
    [FAULT_FOREIGN] = "foreign",
    [FAULT_CORRUPTED] = "corrupted",
    [FAULT_INSERTED] = "inserted",
    [FAULT_RESET] = "reset",
    [FAULT_MISADDRESSED] = "misaddressed",
    [FAULT_UNIDENTIFIED] = "unidentified",
};

const char *fault_name(enum fault_kind kind)
{
    return names[kind];
}

bool fault_is_of_connecting(enum fault_kind kind)
{
    return kind == FAULT_CONNECT || kind == FAULT_HANDSHAKE || kind == FAULT_UNVERIFIED;
}

void fault_set(struct fault *fault, enum fault_kind kind, uint64_t offset, uint64_t count,
               const char *format, ...)
{
    va_list arguments;

    *fault = (struct fault){.kind = kind, .offset = offset, .count = count};
    va_start(arguments, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
}

/* What came, and what should have come. */
struct evidence {
    const struct pattern *pattern;
    uint64_t number, position, sent;
    const unsigned char *bytes;
    size_t length;
    uint64_t begin; /* the position that sentences call offset 0 */
};

static void append_hex(struct fault *fault, const unsigned char *bytes, size_t length)
{
    size_t end = strlen(fault->text);

    for (size_t i = 0; i < length && i < SHOWN && end + 4 < sizeof fault->text; i++) {
        (void)snprintf(fault->text + end, sizeof fault->text - end, " %02x", bytes[i]);
        end += 3;
    }
}

/* Complete the sentence with the bytes that were expected and those that came. */
static void show_bytes(struct fault *fault, const struct evidence *evidence)
{
    const uint64_t position = evidence->position;
    unsigned char expected[SHOWN];
    size_t end;

    if (position < evidence->sent) {
        const uint64_t left = evidence->sent - position;
        const size_t length = left < SHOWN ? (size_t)left : SHOWN;

        pattern_fill(evidence->pattern, evidence->number, position, expected, length);
        end = strlen(fault->text);
        (void)snprintf(fault->text + end, sizeof fault->text - end, ": expected");
        append_hex(fault, expected, length);
    } else {
        end = strlen(fault->text);
        (void)snprintf(fault->text + end, sizeof fault->text - end, ": expected nothing");
    }
    end = strlen(fault->text);
    (void)snprintf(fault->text + end, sizeof fault->text - end, ", found");
    append_hex(fault, evidence->bytes, evidence->length);
}

static const char *bytes_are(uint64_t count)
{
    return count == 1 ? "byte is" : "bytes are";
}

/* Tell whether all of the bytes from `first` on stand at `position` in the stream. */
static bool continues(const struct evidence *evidence, size_t first, uint64_t position)
{
    const size_t length = evidence->length - first;

    return pattern_match(evidence->pattern, evidence->number, position, evidence->bytes + first,
                         length) == length;
}

/* Tell whether what should have come first came later. */
static bool comes_later(const struct evidence *evidence, uint64_t missing)
{
    const size_t length = missing < PATTERN_LOCATE_BYTES ? (size_t)missing : PATTERN_LOCATE_BYTES;

    for (size_t i = 1; length >= 2 && i + length <= evidence->length; i++) {
        if (pattern_match(evidence->pattern, evidence->number, evidence->position,
                          evidence->bytes + i, length) == length)
            return true;
    }
    return false;
}

/* Count the wrong bytes of the run that begins the evidence, and set where it ends. */
static uint64_t count_differing(const struct evidence *evidence, uint64_t *extent)
{
    const uint64_t left = evidence->sent - evidence->position;
    const size_t length = evidence->length < left ? evidence->length : (size_t)left;
    uint64_t differing = 0;

    *extent = 0;
    for (size_t i = 0; i < length && i < *extent + RESUMED; i++) {
        if (pattern_match(evidence->pattern, evidence->number, evidence->position + i,
                          evidence->bytes + i, 1) == 1)
            continue;
        differing++;
        *extent = i + 1;
    }
    return differing;
}

static void judge_in_place(const struct evidence *evidence, struct fault *fault)
{
    const uint64_t offset = evidence->position - evidence->begin;
    uint64_t extent;
    const uint64_t count = count_differing(evidence, &extent);

    fault_set(fault, FAULT_CORRUPTED, offset, count, "%" PRIu64 " %s at offset %" PRIu64, count,
              count == 1 ? "byte differs" : "bytes differ, the first", offset);
    fault->extent = extent;
    show_bytes(fault, evidence);
}

/* The bytes from `skipped` on stand at `found` in the stream, those before it nowhere. */
static void judge_shifted(const struct evidence *evidence, size_t skipped, uint64_t found,
                          struct fault *fault)
{
    const uint64_t position = evidence->position;
    const uint64_t offset = position - evidence->begin;
    uint64_t count;

    if (found == position + skipped && position < evidence->sent) {
        judge_in_place(evidence, fault);
        return;
    }
    if (found == position || (found < position && skipped > 0)) {
        count = skipped + (position - found);
        fault_set(fault, FAULT_INSERTED, offset, count,
                  "%" PRIu64 " %s that nobody sent at offset %" PRIu64, count, units_bytes(count),
                  offset);
    } else if (found < position) {
        count = position - found;
        count = count < evidence->length ? count : evidence->length;
        fault_set(fault, FAULT_DUPLICATED, offset, count,
                  "%" PRIu64 " %s once more at offset %" PRIu64, count,
                  count == 1 ? "byte comes" : "bytes come", offset);
    } else if (comes_later(evidence, found - position)) {
        count = found - position;
        fault_set(fault, FAULT_REORDERED, offset, count,
                  "the bytes at offset %" PRIu64 " come before those at offset %" PRIu64,
                  offset + count, offset);
    } else {
        count = found - position - skipped;
        fault_set(fault, FAULT_LOST, offset, count, "%" PRIu64 " %s missing at offset %" PRIu64,
                  count, bytes_are(count), offset);
    }
    show_bytes(fault, evidence);
}

/* The bytes stand at `place` in the stream of another connection, of this run or of any other. */
static void judge_foreign(const struct evidence *evidence, uint64_t owner, uint64_t place,
                          struct fault *fault)
{
    const uint64_t offset = evidence->position - evidence->begin;

    if (owner <= evidence->number + NEAR && place <= 2 * evidence->sent + ahead)
        fault_set(fault, FAULT_FOREIGN, offset, evidence->length,
                  "bytes of connection %" PRIu64 " at offset %" PRIu64, owner, offset);
    else
        fault_set(fault, FAULT_FOREIGN, offset, evidence->length,
                  "bytes of another echoprobe at offset %" PRIu64, offset);
    show_bytes(fault, evidence);
}

/* Too few bytes to say where they come from by themselves: try what is likely. */
static void judge_short(const struct evidence *evidence, struct fault *fault)
{
    const uint64_t position = evidence->position, sent = evidence->sent;
    const uint64_t offset = position - evidence->begin;
    const size_t length = evidence->length;

    if (length <= position - evidence->begin && continues(evidence, 0, position - length) &&
        (length >= PROOF || position == sent)) {
        judge_shifted(evidence, 0, position - length, fault);
        return;
    }
    for (uint64_t from = position + 1; length >= 2 && from + length <= sent; from++) {
        if (continues(evidence, 0, from) && (length >= PROOF || from + length == sent)) {
            judge_shifted(evidence, 0, from, fault);
            return;
        }
    }
    if (position + length <= sent) {
        judge_in_place(evidence, fault);
        return;
    }
    for (size_t skipped = 1; skipped < length; skipped++) {
        if (length - skipped >= PROOF && continues(evidence, skipped, position)) {
            judge_shifted(evidence, skipped, position, fault);
            return;
        }
    }
    fault_set(fault, FAULT_INSERTED, offset, length, "%zu %s that nobody sent at offset %" PRIu64,
              length, units_bytes(length), offset);
    show_bytes(fault, evidence);
}

static void judge_bytes(const struct evidence *evidence, struct fault *fault)
{
    const uint64_t own = evidence->number & ((UINT64_C(1) << PATTERN_NUMBER_BITS) - 1);
    const size_t length = evidence->length;
    uint64_t owner, place;

    for (size_t skipped = 0; skipped < length; skipped++) {
        if (!pattern_locate(evidence->pattern, evidence->bytes + skipped, length - skipped, &owner,
                            &place))
            continue;
        if (owner == own && place >= evidence->sent)
            continue; /* by chance the byte before the stream's first */
        if (owner != own)
            judge_foreign(evidence, owner, place, fault);
        else
            judge_shifted(evidence, skipped, place, fault);
        return;
    }
    judge_short(evidence, fault);
}

void fault_judge_stream(const struct pattern *pattern, uint64_t number, uint64_t position,
                        uint64_t sent, const unsigned char *bytes, size_t length,
                        struct fault *fault)
{
    const struct evidence evidence = {pattern, number, position, sent, bytes, length, 0};

    judge_bytes(&evidence, fault);
}

void fault_judge_datagram(const struct pattern *pattern, uint64_t number, uint64_t position,
                          size_t size, const unsigned char *bytes, size_t length,
                          struct fault *fault)
{
    const size_t common = size < length ? size : length;
    const size_t matching = pattern_match(pattern, number, position, bytes, common);
    const struct evidence evidence = {pattern,         number,           position + matching,
                                      position + size, bytes + matching, length - matching,
                                      position};

    if (matching < common)
        judge_bytes(&evidence, fault);
    else if (length < size)
        fault_set(fault, FAULT_TRUNCATED, length, size - length, "only %zu of %zu bytes came back",
                  length, size);
    else if (length > size)
        judge_short(&evidence, fault);
    else
        *fault = (struct fault){.kind = FAULT_NONE};
}
