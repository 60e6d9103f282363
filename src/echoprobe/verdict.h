/*
 * verdict: what a check of a path found: a status, a sentence, and figures with their units.
 * Plain data; prints nothing.
 * Filled by the checks, read by report and plugin.
 */
#ifndef ECHOPROBE_VERDICT_H
#define ECHOPROBE_VERDICT_H

#include <stdarg.h>
#include <stddef.h>

enum { VERDICT_TEXT_SIZE = 512, VERDICT_FIGURES = 6 };

enum figure_unit { FIGURE_BYTES, FIGURE_SECONDS };

struct figure {
    const char *name; /* without the unit; static */
    enum figure_unit unit;
    double value;
};

struct verdict {
    int status;                   /* the EXIT_STATUS_* of options.h that the program ends with */
    char text[VERDICT_TEXT_SIZE]; /* without a full stop; cut if it is longer */
    size_t figure_count;
    struct figure figures[VERDICT_FIGURES];
};

/* Write status and sentence, vprintf-style; the figures stay. */
void verdict_set(struct verdict *verdict, int status, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Add a figure, of which there are at most VERDICT_FIGURES. */
void verdict_add(struct verdict *verdict, const char *name, enum figure_unit unit, double value);

#endif
