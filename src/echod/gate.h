/*
 * gate: lets clients in at a listener, or refuses them; counts whom it refused, and tells of it.
 * Decides nothing; admission does. Accepts nobody, and closes what it is told to.
 * Called by clients for each client that was accepted, by handshake once a PROXY header has said
 * whom a client is, and by connection; client_group makes one for each group.
 */
#ifndef ECHOD_GATE_H
#define ECHOD_GATE_H

#include "base/log.h"
#include "echod/admission.h"
#include "echod/admission_options.h"
#include "echod/counters.h"
#include "echod/peer.h"

#include <stdbool.h>

/* What the clients of one group meet. All zero: everybody is let in. */
struct gate {
    struct network_list allow, deny;
    bool has_networks;
    bool counts_sources;         /* as the group's options have it */
    bool resets;                 /* whom it refuses */
    struct admission *admission; /* of the listener, of all workers; not owned */
    struct counters *counters;
    struct log *log;
    const char *label; /* of the listener; not owned */
    struct log_limiter refusals, unknown;
};

/* Set the members that options decide. */
void gate_set_options(struct gate *gate, const struct admission_options *options);

/*
 * Let a client in, or refuse it: then count it and write a line, one a second at most. `source` is
 * whom it comes from; NULL: one that only the rate of the listener holds for. `known` gets what
 * gate_let_out takes, or NULL. Return whether it is let in.
 */
bool gate_lets_in(struct gate *gate, const union peer *source, struct admission_source **known)
    __attribute__((warn_unused_result));

/* Close the socket of a client that was refused. */
void gate_refuse(const struct gate *gate, int fd);

/* A client that was let in has left. NULL is fine. */
void gate_let_out(struct gate *gate, struct admission_source *known);

/* Count a client that is in under the limits of now: see admission_recount. */
void gate_recount(struct gate *gate, const union peer *source, struct admission_source **known);

#endif
