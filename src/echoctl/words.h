/*
 * words: what the service tells, in words and figures for people.
 * Asks nobody; what comes from clients is escaped by text and columns.
 * Called by looks, listing and top.
 */
#ifndef ECHOCTL_WORDS_H
#define ECHOCTL_WORDS_H

#include "echoctl/answers.h"
#include "echoctl/columns.h"

#include <stdio.h>

enum { WORDS_SIZE = 32 }; /* of any figure */

/* Write bytes in binary units, to two or three digits: "512", "1.2KiB", "23MiB". */
void words_size(uint64_t bytes, char text[WORDS_SIZE]);

/* Write a duration in its two largest units: "250ms", "12s", "3m12s", "4d1h". */
void words_duration(uint64_t milliseconds, char text[WORDS_SIZE]);

/* Print what there is to say of a service, and of a connection, a line for each fact. */
void words_print_service(const struct service_facts *facts, FILE *stream);
void words_print_connection(const struct connection_facts *facts, FILE *stream);

/* The columns of listeners and of connections, and a row of each. */
extern const struct column words_listener_columns[], words_connection_columns[];
void words_listener_row(const struct listener_facts *facts, struct columns_row *row);
void words_connection_row(const struct connection_facts *facts, struct columns_row *row);

/* Add a count of a listener's connections, which one of datagrams has none of. */
void words_add_connections(struct columns_row *row, const struct listener_facts *facts,
                           uint64_t count);

#endif
