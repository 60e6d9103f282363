#include <config.h>

#include "echoprobe/verifier.h"

#include "echoprobe/greeting.h"

#include <stdlib.h>
#include <string.h>

enum {
    EVIDENCE_BYTES = 262144, /* the most wrong bytes that are kept before they are judged */
    FIRST_BYTES = 4096,      /* there is room for these at first, and twice as many each time */
    ALERT_BYTES = 7,         /* of TLS, with the head of its record */
    PREFACE_PROOF = 12,      /* so many bytes of the preface came back by no coincidence */
};

/*
 * Tell whether these bytes, and all before them, are the preface, as far as they go: the other end
 * takes it for what it has to echo.
 */
static bool is_preface(const struct verifier *verifier, const unsigned char *bytes, size_t length)
{
    const struct preface *preface = verifier->preface;

    return preface != NULL && verifier->returned < preface->length &&
           preface_matches(preface, (size_t)verifier->returned, bytes, length) &&
           pattern_match(verifier->pattern, verifier->number, 0, preface->bytes,
                         (size_t)verifier->returned) == verifier->returned;
}

/* Count as returned what is right of these bytes, and return how many that are. */
static size_t accept_right(struct verifier *verifier, const unsigned char *bytes, size_t length)
{
    const uint64_t left = verifier->sent - verifier->returned;
    const size_t matching = pattern_match(verifier->pattern, verifier->number, verifier->returned,
                                          bytes, left < length ? (size_t)left : length);

    verifier->returned += matching;
    return matching;
}

/* Tell whether it is an alert of TLS, which answers what is none (RFC 8446, 5.1 and 6). */
static bool is_alert(const unsigned char *bytes, size_t length)
{
    return length >= ALERT_BYTES && bytes[0] == 21 && bytes[1] == 3 && bytes[2] <= 4 &&
           bytes[3] == 0 && bytes[4] == 2 && (bytes[5] == 1 || bytes[5] == 2);
}

static void judge_bytes(const struct verifier *verifier, const unsigned char *bytes, size_t length,
                        struct fault *fault)
{
    if (verifier->returned + length >= PREFACE_PROOF && is_preface(verifier, bytes, length))
        fault_set(fault, FAULT_INSERTED, 0, verifier->preface->length,
                  "the PROXY header came back: the service does not expect one");
    else if (verifier->returned == 0 && !verifier->has_tls && is_alert(bytes, length))
        fault_set(fault, FAULT_INSERTED, 0, ALERT_BYTES,
                  "the other end speaks TLS, and sent an alert: ask it with tls://");
    else if (verifier->returned == 0 && greeting_is_unasked(bytes, length))
        fault_set(fault, FAULT_INSERTED, 0, 0,
                  "the service says who it is before it echoes: ask with --identify");
    else
        fault_judge_stream(verifier->pattern, verifier->number, verifier->returned, verifier->sent,
                           bytes, length, fault);
}

/* Where bytes were changed in place, the stream goes on behind them. */
enum verifier_outcome verifier_judge(struct verifier *verifier, struct fault *fault)
{
    size_t done = 0;

    while (done < verifier->evidence_length) {
        const unsigned char *bytes = verifier->evidence + done;

        judge_bytes(verifier, bytes, verifier->evidence_length - done, fault);
        if (fault->kind != FAULT_CORRUPTED) {
            verifier_fini(verifier);
            return VERIFIER_OBJECTS;
        }
        verifier->on_corrupted(verifier->argument, fault);
        verifier->returned += fault->extent;
        done += (size_t)fault->extent;
        done += accept_right(verifier, verifier->evidence + done, verifier->evidence_length - done);
    }
    verifier_fini(verifier);
    return VERIFIER_AGREES;
}

/* Make room for so many bytes, or as many as may be kept. Return whether there was memory. */
static bool make_room(struct verifier *verifier, size_t length)
{
    size_t size = verifier->evidence_size == 0 ? FIRST_BYTES : verifier->evidence_size;
    unsigned char *evidence;

    while (size < EVIDENCE_BYTES && size - verifier->evidence_length < length)
        size *= 2;
    if (verifier->evidence != NULL && size == verifier->evidence_size)
        return true;
    evidence = realloc(verifier->evidence, size);
    if (evidence == NULL)
        return false;
    verifier->evidence = evidence;
    verifier->evidence_size = size;
    return true;
}

/* Keep what is wrong until there is enough to judge it by. Return how many bytes had room. */
static size_t keep_evidence(struct verifier *verifier, const unsigned char *bytes, size_t length)
{
    const size_t room = verifier->evidence_size - verifier->evidence_length;

    length = length < room ? length : room;
    memcpy(verifier->evidence + verifier->evidence_length, bytes, length);
    verifier->evidence_length += length;
    return length;
}

static bool has_all_evidence(const struct verifier *verifier)
{
    const uint64_t end = verifier->returned + verifier->evidence_length;

    if (is_preface(verifier, verifier->evidence, verifier->evidence_length) &&
        end < verifier->preface->length)
        return false; /* a message may be shorter than the preface */
    return verifier->evidence_length == EVIDENCE_BYTES || end >= verifier->sent;
}

enum verifier_outcome verifier_take(struct verifier *verifier, const unsigned char *bytes,
                                    size_t length, struct fault *fault)
{
    size_t done = 0;

    while (done < length) {
        if (verifier->evidence == NULL) {
            done += accept_right(verifier, bytes + done, length - done);
            if (done == length)
                break;
        }
        if (!make_room(verifier, length - done))
            return VERIFIER_FAILS;
        done += keep_evidence(verifier, bytes + done, length - done);
        if (has_all_evidence(verifier) && verifier_judge(verifier, fault) == VERIFIER_OBJECTS)
            return VERIFIER_OBJECTS;
    }
    return verifier_is_waiting(verifier) ? VERIFIER_WAITS : VERIFIER_AGREES;
}

bool verifier_is_waiting(const struct verifier *verifier)
{
    return verifier->evidence != NULL;
}

bool verifier_suspects_preface(const struct verifier *verifier)
{
    return verifier->evidence != NULL &&
           is_preface(verifier, verifier->evidence, verifier->evidence_length);
}

void verifier_fini(struct verifier *verifier)
{
    free(verifier->evidence);
    verifier->evidence = NULL;
    verifier->evidence_length = verifier->evidence_size = 0;
}
