#include <config.h>

#include "echod/state.h"

#include <stdlib.h>
#include <string.h>

const char *state_name(enum connection_state state)
{
    switch (state) {
    case CONNECTION_HANDSHAKE:
        return "handshake";
    case CONNECTION_GREETING:
        return "greeting";
    case CONNECTION_OPEN:
        return "open";
    case CONNECTION_DRAINING:
        return "draining";
    case CONNECTION_LINGERING:
        return "lingering";
    case CONNECTION_ENDED:
        return "ended";
    }
    abort(); /* no such state */
}

int state_parse(const char *text, enum connection_state *state)
{
    for (*state = CONNECTION_HANDSHAKE; *state < CONNECTION_ENDED; (*state)++) {
        if (strcmp(text, state_name(*state)) == 0)
            return 0;
    }
    return -1;
}
