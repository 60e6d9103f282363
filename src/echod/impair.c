#include <config.h>

#include "echod/impair.h"

#include "base/clock.h"
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_SYS_RANDOM_H
#include <sys/random.h>
#endif

#define MILLION UINT64_C(1000000)

enum { ORDINAL_SHIFT = 16 }; /* a datagram has less than 2^16 bytes, each with a position */

/* What a number is drawn for: decisions about the same place are independent. */
enum use { REFUSE, DELAY, CORRUPT, DROP, DUPLICATE, REORDER, TRUNCATE, CUT };

/* --- What is on ------------------------------------------------------------------------------ */

static bool is_point_set(const struct impair_point *point)
{
    return point->bytes > 0 || point->ms > 0;
}

bool impair_has_stream_faults(const struct impair *impair)
{
    return impair->bandwidth > 0 || impair->chunk_bytes > 0 || impair->stall.bytes > 0 ||
           is_point_set(&impair->close_after) || is_point_set(&impair->reset_after) ||
           impair->is_fin_withheld || impair->accept_delay_ms > 0 || impair->refuse > 0;
}

bool impair_has_datagram_faults(const struct impair *impair)
{
    return impair->drop > 0 || impair->duplicate > 0 || impair->reorder > 0 || impair->truncate > 0;
}

/* Jitter goes with a delay only. */
bool impair_is_on(const struct impair *impair)
{
    return impair->delay_ms > 0 || impair->corrupt > 0 || impair_has_stream_faults(impair) ||
           impair_has_datagram_faults(impair);
}

/* Tell whether connections that are left open end at an age. */
static bool ends_at_age(const struct impair *impair)
{
    return impair->close_after.ms > 0 || impair->reset_after.ms > 0;
}

const char *impair_find_conflict(const struct impair *impair, bool is_endless)
{
    const bool is_closed = is_point_set(&impair->close_after);
    const bool stays_open = is_endless && !ends_at_age(impair);

    if (impair->jitter_ms > impair->delay_ms)
        return "jitter goes with a delay that is at least as long; write delay= as well, or less "
               "jitter";
    if (is_closed && is_point_set(&impair->reset_after))
        return "close-after and reset-after cannot both be; leave one out";
    if (is_closed && impair->is_fin_withheld)
        return "truncate-fin sends no FIN, and close-after does; leave one out";
    if (stays_open && impair->is_fin_withheld)
        return "truncate-fin leaves connections open; add idle-timeout=, lifetime= or reset-after= "
               "with a duration";
    if (stays_open && impair->stall.bytes > 0 && impair->stall.ms == 0)
        return "stall-after without a duration leaves connections open; add one, or idle-timeout= "
               "or lifetime=";
    return NULL;
}

/* --- Description ----------------------------------------------------------------------------- */

/* Where a description is written; what has no room is cut. */
struct description {
    char *text;
    size_t size, length;
};

static void append(struct description *description, const char *name, const char *value)
{
    const size_t room = description->size - description->length;
    const int length =
        snprintf(description->text + description->length, room, "%s%s%s%s",
                 description->length == 0 ? "" : ",", name, value[0] == '\0' ? "" : "=", value);

    if (length > 0)
        description->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void append_duration(struct description *description, const char *name, uint64_t ms)
{
    char value[UNITS_TEXT_SIZE];

    units_format_duration(ms, value);
    if (ms > 0)
        append(description, name, value);
}

/* Write millionths as units_parse_percent reads them: "1%", "0.01%". */
static void append_share(struct description *description, const char *name, uint64_t millionths)
{
    char value[UNITS_TEXT_SIZE];
    int length = snprintf(value, sizeof value, "%" PRIu64 ".%04" PRIu64, millionths / 10000,
                          millionths % 10000);

    while (value[length - 1] == '0')
        length--;
    if (value[length - 1] == '.')
        length--;
    (void)snprintf(value + length, sizeof value - (size_t)length, "%%");
    if (millionths > 0)
        append(description, name, value);
}

static void append_size(struct description *description, const char *name, uint64_t bytes,
                        const char *suffix)
{
    char size[UNITS_TEXT_SIZE], value[UNITS_TEXT_SIZE + 32];

    units_format_size(bytes, size);
    (void)snprintf(value, sizeof value, "%s%s", size, suffix);
    if (bytes > 0)
        append(description, name, value);
}

static void append_point(struct description *description, const char *name,
                         const struct impair_point *point)
{
    append_size(description, name, point->bytes, "");
    append_duration(description, name, point->ms);
}

static void append_stall(struct description *description, const struct impair_stall *stall)
{
    char duration[UNITS_TEXT_SIZE], suffix[UNITS_TEXT_SIZE + 1] = "";

    units_format_duration(stall->ms, duration);
    if (stall->ms > 0)
        (void)snprintf(suffix, sizeof suffix, ":%s", duration);
    append_size(description, "stall-after", stall->bytes, suffix);
}

static bool has_chance(const struct impair *impair)
{
    return impair->jitter_ms > 0 || impair->corrupt > 0 || impair->refuse > 0 ||
           impair_has_datagram_faults(impair);
}

static void append_seed(struct description *description, const struct impair *impair)
{
    char value[UNITS_TEXT_SIZE];

    (void)snprintf(value, sizeof value, "%" PRIu64, impair->seed);
    if (has_chance(impair) && impair->seed != IMPAIR_ANY_SEED)
        append(description, "seed", value);
}

void impair_describe(const struct impair *impair, char *text, size_t size)
{
    struct description description = {.text = text, .size = size};

    text[0] = '\0';
    if (!impair_is_on(impair))
        return;
    append_duration(&description, "delay", impair->delay_ms);
    append_duration(&description, "jitter", impair->jitter_ms);
    append_size(&description, "bandwidth", impair->bandwidth, "/s");
    append_size(&description, "chunk", impair->chunk_bytes, "");
    append_stall(&description, &impair->stall);
    append_point(&description, "close-after", &impair->close_after);
    append_point(&description, "reset-after", &impair->reset_after);
    if (impair->is_fin_withheld)
        append(&description, "truncate-fin", "");
    append_duration(&description, "accept-delay", impair->accept_delay_ms);
    append_share(&description, "refuse", impair->refuse);
    append_share(&description, "drop", impair->drop);
    append_share(&description, "duplicate", impair->duplicate);
    append_share(&description, "reorder", impair->reorder);
    append_share(&description, "truncate", impair->truncate);
    append_share(&description, "corrupt", impair->corrupt);
    append_seed(&description, impair);
}

/* --- Numbers --------------------------------------------------------------------------------- */

/* Where the system has no random numbers, the time has to do. */
void impair_choose_seed(struct impair *impair)
{
    uint32_t seed; /* which a person can type */

    if (impair->seed != IMPAIR_ANY_SEED)
        return;
    if (getentropy(&seed, sizeof seed) < 0)
        seed = (uint32_t)clock_now_ns();
    impair->seed = seed;
}

/*
 * SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): the
 * n-th number of a sequence is a function of where it begins and of n.
 */
static const uint64_t gamma_step = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static uint64_t nth(uint64_t begin, uint64_t n)
{
    return mix(begin + (n + 1) * gamma_step);
}

uint64_t impair_key(uint64_t seed, uint64_t ordinal)
{
    return nth(mix(seed), ordinal);
}

/* Return where the sequence begins that is drawn from for one use. */
static uint64_t begin_of(uint64_t key, enum use use)
{
    return nth(key, (uint64_t)use);
}

static uint64_t draw(uint64_t key, enum use use, uint64_t place)
{
    return nth(begin_of(key, use), place);
}

/* Tell whether something happens that happens in so many of a million cases; by the upper half. */
static bool happens(uint64_t number, uint64_t millionths)
{
    return ((number >> 32) * MILLION) >> 32 < millionths;
}

static bool decide(uint64_t key, enum use use, uint64_t place, uint64_t millionths)
{
    return millionths > 0 && happens(draw(key, use, place), millionths);
}

/* --- Decisions ------------------------------------------------------------------------------- */

bool impair_refuses(const struct impair *impair, uint64_t key)
{
    return decide(key, REFUSE, 0, impair->refuse);
}

uint64_t impair_delay_us(const struct impair *impair, uint64_t key, uint64_t position)
{
    const uint64_t delay_us = impair->delay_ms * 1000, jitter_us = impair->jitter_ms * 1000;

    if (jitter_us == 0)
        return delay_us;
    return delay_us - jitter_us + draw(key, DELAY, position) % (2 * jitter_us + 1);
}

/* The lower half of the number says by what a byte differs: anything but nothing. */
size_t impair_corrupt(const struct impair *impair, uint64_t key, uint64_t position,
                      unsigned char *bytes, size_t length)
{
    const uint64_t begin = begin_of(key, CORRUPT);
    size_t count = 0;

    for (size_t i = 0; i < length; i++) {
        const uint64_t number = nth(begin, position + i);

        if (!happens(number, impair->corrupt))
            continue;
        bytes[i] ^= (unsigned char)(1 + (number & UINT32_MAX) % 255);
        count++;
    }
    return count;
}

struct impair_answer impair_judge_answer(const struct impair *impair, uint64_t key,
                                         uint64_t ordinal, size_t length)
{
    struct impair_answer answer = {
        .is_dropped = decide(key, DROP, ordinal, impair->drop),
        .is_duplicated = decide(key, DUPLICATE, ordinal, impair->duplicate),
        .is_reordered = decide(key, REORDER, ordinal, impair->reorder),
        .length = length,
    };

    if (length > 0 && decide(key, TRUNCATE, ordinal, impair->truncate))
        answer.length = (size_t)(draw(key, CUT, ordinal) % length);
    return answer;
}

size_t impair_corrupt_answer(const struct impair *impair, uint64_t key, uint64_t ordinal,
                             unsigned char *bytes, size_t length)
{
    return impair_corrupt(impair, key, ordinal << ORDINAL_SHIFT, bytes, length);
}
