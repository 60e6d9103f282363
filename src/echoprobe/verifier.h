/*
 * verifier: whether what comes back on a connection is what was sent: right bytes are counted,
 * wrong ones kept until there is enough to judge them by.
 * Receives nothing; what a fault is, fault knows.
 * Called by stream.
 */
#ifndef ECHOPROBE_VERIFIER_H
#define ECHOPROBE_VERIFIER_H

#include "echoprobe/fault.h"
#include "echoprobe/pattern.h"
#include "echoprobe/preface.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set the members up to `sent`, and leave the rest zero. */
struct verifier {
    const struct pattern *pattern;
    uint64_t number; /* of the connection */
    /* Bytes were changed in place, and the stream goes on behind them. */
    void (*on_corrupted)(void *argument, const struct fault *fault);
    void *argument;
    const struct preface *preface; /* what was sent ahead, and may come back; or NULL */
    bool has_tls;

    uint64_t sent;     /* its owner says it */
    uint64_t returned; /* so many are right, or were reported */

    unsigned char *evidence; /* what came from `returned` on, the first byte wrong; or NULL */
    size_t evidence_length, evidence_size; /* bytes that are kept, and for which there is room */
};

enum verifier_outcome {
    VERIFIER_AGREES,  /* all that came is right, or was reported */
    VERIFIER_WAITS,   /* something is wrong; more is needed to say what */
    VERIFIER_OBJECTS, /* something is wrong, and the stream does not go on: see the fault */
    VERIFIER_FAILS,   /* there is no memory for what is wrong */
};

/* Take bytes that came, at least one. */
enum verifier_outcome verifier_take(struct verifier *verifier, const unsigned char *bytes,
                                    size_t length, struct fault *fault);

/*
 * Nothing more will come: judge what is kept, if anything is. Return VERIFIER_AGREES or
 * VERIFIER_OBJECTS.
 */
enum verifier_outcome verifier_judge(struct verifier *verifier, struct fault *fault);

/* Tell whether something is kept that was not judged. */
bool verifier_is_waiting(const struct verifier *verifier);

/* Tell whether that, and all before it, may be the preface: nothing has come back then. */
bool verifier_suspects_preface(const struct verifier *verifier);

/* Free what is kept. */
void verifier_fini(struct verifier *verifier);

#endif
