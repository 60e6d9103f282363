/*
 * columns: a table for people: rows of cells under titles, each column as wide as it needs. Pure.
 * Knows nothing of what the cells say. What is put into one is escaped, and has no space in it.
 * Called by words, listing, looks and top.
 */
#ifndef ECHOCTL_COLUMNS_H
#define ECHOCTL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    COLUMNS_MAX = 12,
    COLUMNS_CELL_SIZE = 256, /* what is longer ends in "..." */
};

struct column {
    const char *title;
    bool is_number; /* stands at the right */
};

struct columns {
    const struct column *columns; /* up to one without a title */
    size_t widths[COLUMNS_MAX];   /* in characters */
};

struct columns_row {
    size_t count;
    char cells[COLUMNS_MAX][COLUMNS_CELL_SIZE];
};

/* Begin a table, as wide as its titles. */
struct columns columns_begin(const struct column *columns);

/* Begin a row with columns_row.count 0, and add its cells: text from anywhere; "-" if it is empty.
 */
void columns_add(struct columns_row *row, const char *text);
void columns_add_count(struct columns_row *row, uint64_t count);

/* Make room for a row that will be printed. */
void columns_widen(struct columns *columns, const struct columns_row *row);

/* Print a line: the titles, or a row. */
void columns_print_titles(const struct columns *columns, FILE *stream);
void columns_print(const struct columns *columns, const struct columns_row *row, FILE *stream);

#endif
