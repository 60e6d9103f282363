/*
 * screen: a terminal that is drawn anew again and again, and is as it was when echoctl ends,
 * whatever ends it but KILL.
 * Does not know what is drawn.
 * Called by top.
 */
#ifndef ECHOCTL_SCREEN_H
#define ECHOCTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

/* Tell whether standard output is a terminal that can be drawn on. */
bool screen_is_there(void);

/*
 * Begin to draw on the alternate screen, and read keys from standard input as they are pressed, if
 * that is a terminal. There is one screen for the process.
 */
void screen_begin(void);

/* Show the normal screen again, as it was. */
void screen_end(void);

/* Draw text: as many of its lines as the screen has, and of each what it is wide enough for. */
void screen_draw(const char *text);

enum screen_event { SCREEN_TIMEOUT, SCREEN_RESIZED, SCREEN_KEY_REFRESH, SCREEN_KEY_QUIT };

/* Wait for a key, another size of the screen, or so long. */
enum screen_event screen_wait(uint64_t duration_ms);

#endif
