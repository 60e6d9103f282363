/*
 * greet: tells a client who serves it, before its echo or instead of it.
 * Makes no text; identify does.
 * Called by connection, for listeners that ask for it, and by serve and serve_impaired when
 * something was sent.
 */
#ifndef ECHOD_GREET_H
#define ECHOD_GREET_H

struct connection;

/*
 * Tell it; the echo begins when that has left, so that its account has nothing else in it.
 * Return 0, or -1 if there is no memory for it.
 */
int greet_begin(struct connection *connection) __attribute__((warn_unused_result));

/* Go on when something of it was sent. It may end the connection. */
void greet_on_sent(struct connection *connection);

#endif
