/*
 * tls_options: what a listener that speaks TLS is told, as plain data, and how its values are read.
 * Opens no file; tls_context does.
 * Called by listener_table and options_table, whose rows have these members, and by tls_context.
 */
#ifndef ECHOD_TLS_OPTIONS_H
#define ECHOD_TLS_OPTIONS_H

#include "base/error.h"
#include "base/setting.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TLS_FILES_SIZE = 1000, /* of a list of paths, as long as a listener's option may be */
    TLS_FILES = 64,        /* the most that such a list has */
    TLS_ALPN_SIZE = 256,
    TLS_CIPHERS_SIZE = 1000,
};

/* Whether clients show a certificate. */
enum tls_client_auth {
    TLS_CLIENT_AUTH_AUTO, /* all of them, if there is a client CA */
    TLS_CLIENT_AUTH_OFF,
    TLS_CLIENT_AUTH_REQUEST, /* those that have one; a wrong one is refused */
    TLS_CLIENT_AUTH_REQUIRE,
};

enum tls_min { TLS_MIN_1_2, TLS_MIN_1_3 };

/* Plain data, and no pointer in it. A list has semicolons between its items; empty: none. */
struct tls_options {
    char cert[TLS_FILES_SIZE];      /* paths of certificates */
    char key[TLS_FILES_SIZE];       /* of their keys, in the same order; empty: each with its own */
    char client_ca[TLS_FILES_SIZE]; /* one path */
    unsigned client_auth;           /* enum tls_client_auth */
    unsigned min_version;           /* enum tls_min */
    char alpn[TLS_ALPN_SIZE];       /* protocols, the preferred one first */
    char ciphers[TLS_CIPHERS_SIZE]; /* with colons between them; empty: see tls_context */
};

/*
 * Read a list of files, one file, protocols or ciphers into its member. Return 0, or -1 with what
 * would be right in `error`; each is a setting_parse.
 */
int tls_parse_files(const char *text, void *member, struct error *error);
int tls_parse_file(const char *text, void *member, struct error *error);
int tls_parse_alpn(const char *text, void *member, struct error *error);
int tls_parse_ciphers(const char *text, void *member, struct error *error);

/* Write any of them. Return false if it is empty; a setting_format. */
bool tls_format_text(const void *member, char text[SETTING_VALUE_SIZE]);

/* Return how many items a list has. */
size_t tls_list_count(const char *list);

/*
 * Copy the next item of a list, and move the list behind it. `item` has room for the whole list.
 * Return false if there is none.
 */
bool tls_list_next(const char **list, char *item);

#endif
