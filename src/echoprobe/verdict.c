#include <config.h>

#include "echoprobe/verdict.h"

#include <assert.h>
#include <stdio.h>

void verdict_set(struct verdict *verdict, int status, const char *format, va_list arguments)
{
    verdict->status = status;
    (void)vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
}

void verdict_add(struct verdict *verdict, const char *name, enum figure_unit unit, double value)
{
    assert(verdict->figure_count < VERDICT_FIGURES);
    verdict->figures[verdict->figure_count++] = (struct figure){name, unit, value};
}
