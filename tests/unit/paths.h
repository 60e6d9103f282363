/*
 * paths: every order of the steps of walk, up to a length, and what holds wherever they lead: a
 * model checker whose model is echod itself.
 * Chooses neither stages nor steps; the tests do.
 * Called by check_connection_paths and check_connection_hindrances.
 */
#ifndef TESTS_UNIT_PATHS_H
#define TESTS_UNIT_PATHS_H

#include "scene.h"
#include "walk.h"

#include <stddef.h>

/* See that the path that was begun ends, and that nothing is lost on it. It is over then. */
void paths_end(void);

/*
 * Go all paths of these steps through a stage, over a transport, and end each in two ways: by a
 * client that goes on in order, and by one that does nothing any more. ECHOD_TEST_PATH_LENGTH says
 * how long they are, if it is set, and otherwise the length given; with TLS one less, since each
 * has its handshake.
 */
void paths_walk_all(enum transport transport, const struct stage *stage, const char *letters,
                    size_t length);

#endif
