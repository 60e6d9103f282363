/*
 * fuzz_verifier: what must be true of echoprobe's verdict on a stream and on a datagram, whatever a
 * server answers: it is never told to be right where one byte is not, and right ones never wrong.
 * The input says what the server does with the bytes: keeps, changes, drops, repeats, adds some.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "echoprobe/verifier.h"

#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { NUMBER = 5, SIZE = 1024, ROOM = 8192 };

static const struct pattern pattern = {UINT64_C(0x0123456789abcdef)};

/* What the server answers, and how its answer comes. */
struct answer {
    unsigned char sent[SIZE];
    unsigned char bytes[ROOM];
    size_t length;
    size_t position; /* so far it has read what was sent */
};

/* What was told of the answer. */
struct told {
    uint64_t corrupted; /* bytes, from a first wrong one to behind a last one */
    uint64_t end;       /* of those that were told last */
    const struct answer *answer;
};

static void append(struct answer *answer, const unsigned char *bytes, size_t length)
{
    const size_t room = sizeof answer->bytes - answer->length;

    length = length < room ? length : room;
    memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += length;
}

/* Do one thing, as two bytes say: what, and how much of it. */
static void act(struct answer *answer, unsigned what, unsigned amount)
{
    const size_t left = SIZE - answer->position;
    const size_t length = amount < left ? amount : left;
    const unsigned char byte = (unsigned char)amount;

    switch (what % 6) {
    case 0: /* echo */
        append(answer, answer->sent + answer->position, length);
        answer->position += length;
        break;
    case 1: /* drop */
        answer->position += length;
        break;
    case 2: /* change a byte, or not */
        if (left > 0 && answer->length < sizeof answer->bytes) {
            append(answer, answer->sent + answer->position++, 1);
            answer->bytes[answer->length - 1] ^= byte;
        }
        break;
    case 3: /* add a byte */
        append(answer, &byte, 1);
        break;
    case 4: /* go back, so that bytes come again */
        answer->position -= amount < answer->position ? amount : answer->position;
        break;
    case 5: { /* what another connection sent */
        unsigned char foreign[SIZE];

        pattern_fill(&pattern, NUMBER + 1, answer->position, foreign, length);
        append(answer, foreign, length);
        break;
    }
    }
}

/* What is told to be changed lies within what came, and begins and ends with a wrong byte. */
static void on_corrupted(void *argument, const struct fault *fault)
{
    struct told *told = argument;
    const struct answer *answer = told->answer;
    const uint64_t last = fault->offset + fault->extent - 1;

    fuzz_require(fault->kind == FAULT_CORRUPTED && fault->extent > 0);
    fuzz_require(fault->count > 0 && fault->count <= fault->extent);
    fuzz_require(fault->offset >= told->end && last < answer->length && last < SIZE);
    fuzz_require(answer->bytes[fault->offset] != answer->sent[fault->offset]);
    fuzz_require(answer->bytes[last] != answer->sent[last]);
    told->end = last + 1;
    told->corrupted += fault->count;
}

/* Return how many bytes of the answer differ from what was sent, up to a position. */
static uint64_t count_wrong(const struct answer *answer, uint64_t end)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < end; i++)
        count += answer->bytes[i] != answer->sent[i];
    return count;
}

/* Hand the answer over in pieces, and judge what is left. */
static enum verifier_outcome verify(struct verifier *verifier, const struct answer *answer,
                                    size_t piece, struct fault *fault)
{
    for (size_t done = 0, length; done < answer->length; done += length) {
        const size_t left = answer->length - done;
        enum verifier_outcome outcome;

        length = piece < left ? piece : left;
        outcome = verifier_take(verifier, answer->bytes + done, length, fault);
        fuzz_require(outcome != VERIFIER_FAILS);
        fuzz_require((outcome == VERIFIER_WAITS) == verifier_is_waiting(verifier));
        if (outcome == VERIFIER_OBJECTS)
            return outcome;
    }
    return verifier_judge(verifier, fault);
}

/* All that was not objected to is right, or was told, byte by byte. */
static enum verifier_outcome check_stream(const struct answer *answer, size_t piece)
{
    struct told told = {.answer = answer};
    struct fault fault = {.kind = FAULT_NONE};
    struct verifier verifier = {
        .pattern = &pattern,
        .number = NUMBER,
        .on_corrupted = on_corrupted,
        .argument = &told,
        .sent = SIZE,
    };
    const enum verifier_outcome outcome = verify(&verifier, answer, piece, &fault);

    fuzz_require(verifier.returned <= SIZE && verifier.returned <= answer->length);
    fuzz_require(told.end <= verifier.returned);
    fuzz_require(count_wrong(answer, verifier.returned) == told.corrupted);
    fuzz_require(!verifier_is_waiting(&verifier));
    if (outcome == VERIFIER_AGREES)
        fuzz_require(verifier.returned == answer->length);
    else
        fuzz_require(fault.kind != FAULT_NONE && fault.kind != FAULT_CORRUPTED && fault.text[0]);
    verifier_fini(&verifier);
    return outcome;
}

/* A datagram is the one that was sent, byte by byte, or has a fault. */
static void check_datagram(const struct answer *answer, size_t size)
{
    const bool is_right = answer->length == size && memcmp(answer->bytes, answer->sent, size) == 0;
    struct fault fault = {.kind = FAULT_NONE};

    fault_judge_datagram(&pattern, NUMBER, 0, size, answer->bytes, answer->length, &fault);
    fuzz_require((fault.kind == FAULT_NONE) == is_right);
    fuzz_require(is_right || fault.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    struct answer answer = {.length = 0};
    size_t piece;

    if (length == 0)
        return 0;
    piece = (size_t)input[0] + 1;
    pattern_fill(&pattern, NUMBER, 0, answer.sent, SIZE);
    for (size_t i = 1; i + 1 < length; i += 2)
        act(&answer, input[i], input[i + 1]);
    (void)check_stream(&answer, piece);
    check_datagram(&answer, SIZE);
    check_datagram(&answer, answer.position);
    return 0;
}
