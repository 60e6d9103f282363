/*
 * state: the states that a connection goes through, and their names.
 * Pure; how it goes from one to the next, connection_state decides.
 * Called by connection_state, by snapshot, and by admin_connections, which reads and writes names.
 */
#ifndef ECHOD_STATE_H
#define ECHOD_STATE_H

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_GREETING,
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_LINGERING,
    CONNECTION_ENDED,
};

/* Return a state in a word: "open". */
const char *state_name(enum connection_state state);

/* Read such a word, of a state before the end. Return 0, or -1. */
int state_parse(const char *text, enum connection_state *state) __attribute__((warn_unused_result));

#endif
