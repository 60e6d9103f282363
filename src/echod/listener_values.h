/*
 * listener_values: values of listener options whose types are their own: from text to members of
 * struct listener_options. Pure. Called by listener_table and options_table, whose
 * rows name them.
 *
 * Each reads a text into its member (setting_parse): it returns 0, or -1 with what would be right
 * in `error`, as a sentence goes on.
 */
#ifndef ECHOD_LISTENER_VALUES_H
#define ECHOD_LISTENER_VALUES_H

#include "base/error.h"
#include "base/setting.h"

#include <stdbool.h>

/* Into a text of LISTENER_NAME_SIZE. */
int listener_parse_name(const char *text, void *member, struct error *error);

/* Into milliseconds, 0: off. */
int listener_parse_keepalive(const char *text, void *member, struct error *error);

/* Into a struct network_list. */
int listener_parse_networks(const char *text, void *member, struct error *error);

/* Into a text of IFNAMSIZ. */
int listener_parse_device(const char *text, void *member, struct error *error);

/* Into an int of permissions. */
int listener_parse_mode(const char *text, void *member, struct error *error);

/* Into a double, how often a second. */
int listener_parse_rate(const char *text, void *member, struct error *error);

/* Into millionths. */
int listener_parse_share(const char *text, void *member, struct error *error);

/* Into bytes a second; and from these, a setting_format. */
int listener_parse_bandwidth(const char *text, void *member, struct error *error);
bool listener_format_bandwidth(const void *member, char text[SETTING_VALUE_SIZE]);

/* Into a struct impair_point: an age if the text has a unit of time, else an amount of bytes. */
int listener_parse_point(const char *text, void *member, struct error *error);

/* Into a struct impair_stall. */
int listener_parse_stall(const char *text, void *member, struct error *error);

#endif
