/*
 * walk: what a client, an operator and time do to one connection, a step at a time, with a clock
 * that is moved by hand. Stands in for clock.
 * Chooses no steps, and judges none; paths does.
 * Called by paths.
 */
#ifndef TESTS_UNIT_WALK_H
#define TESTS_UNIT_WALK_H

#include "echod/impair.h"
#include "echod/listener_options.h"
#include "scene.h"

#include <stdbool.h>
#include <stdint.h>

enum { WALK_LENGTH_MAX = 16 };

enum layer { PLAIN, TLS_1_2, TLS_1_3 };

/* How much of its handshake of TLS is over before the first step. */
enum shaken { UNSHAKEN, NEARLY_SHAKEN /* the client's last flight is to come */, SHAKEN };

/* What a connection goes through before its echo, and what is in the way of that. */
struct stage {
    enum layer layer;
    enum shaken shaken;
    unsigned proxy_versions;
    enum listener_identify identify;
    uint64_t rate, line_rate; /* bytes a second, of its own and together with others; 0: no limit */
    struct impair impair;
    const char *before; /* steps that each path begins with; NULL: none */
};

/* One path, as far as it was walked. */
struct walk {
    const struct stage *stage;
    struct client *client;
    size_t header_left;    /* bytes of the header that are to be sent before others */
    bool is_halved;        /* half of what comes before the echo has been sent */
    bool is_identity_left; /* it is to be read before the echo */
    bool is_gone;          /* the client has closed */
    bool is_garbled;       /* it has said what nobody understands */
    bool is_cut;           /* something happened after which bytes may be lost */
    bool is_told;          /* the operator told it to leave */
    bool is_secure;        /* the client speaks TLS */
    uint64_t read_before;  /* COUNTER_BYTES_IN of those before it */
    uint64_t handshake_ms, lifetime_ms, closing_ms; /* when these are over; 0: not known yet */
    char text[WALK_LENGTH_MAX + 1];                 /* the letters of its steps */
};

extern struct walk walk;

/* Let connections go through this from now on. Return false where this build cannot. */
bool walk_use(const struct stage *stage);

/* Forget it. */
void walk_leave(const struct stage *stage);

/* Begin one; and end it, whatever has become of its connection. */
void walk_begin(enum transport transport, const struct stage *stage);
void walk_end(void);

/* Take the step of a letter. Return false where it makes no sense: no path goes on from here. */
bool walk_step(char letter);

/* Turn the loop once, without waiting. A moment passes. */
void walk_turn(void);

/* Let so much time pass, in which no time-out is over, but what is held up may go on. */
void walk_pass(uint64_t milliseconds);

/* Let all deadlines be over but a lifetime's; the loop hears of that. */
void walk_pass_deadlines(void);

/* Send some more of what comes before the echo. Return false if nothing of it is left. */
bool walk_introduce(void);

/* Say FIN, in order, where that may still be said. */
void walk_finish(void);

bool walk_has_ended(void);

/* Tell whether the client can read on; and read so much of the echo, behind the identity. */
bool walk_may_receive(void);
void walk_receive(uint64_t size);

/* Tell whether its listener does no more than to tell its identity. */
bool walk_is_identity_all(void);

#endif
