#include <config.h>

#include "echod/admission_options.h"

#include "base/units.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct admission_limits admission_options_limits(const struct admission_options *options)
{
    return (struct admission_limits){
        .rate = options->accept_rate,
        .rate_per_source = options->accept_rate_per_source,
        .connections_per_source = options->max_connections_per_source,
        .prefixes = {(uint8_t)options->source_prefix_v4, (uint8_t)options->source_prefix_v6},
    };
}

bool admission_format_networks(const void *member, char text[SETTING_VALUE_SIZE])
{
    const struct network_list *list = member;
    size_t length = 0;

    for (size_t i = 0; i < list->count; i++) {
        char item[NETWORK_TEXT_SIZE];

        network_format(&list->items[i], item);
        length += (size_t)snprintf(text + length, SETTING_VALUE_SIZE - length, "%s%s",
                                   i == 0 ? "" : ";", item);
    }
    return list->count > 0;
}

bool admission_format_rate(const void *member, char text[SETTING_VALUE_SIZE])
{
    char rate[UNITS_TEXT_SIZE];

    units_format_rate(*(const double *)member, rate);
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s", rate);
    return true;
}
