#include <config.h>

#include "echod/listener_options.h"

#include "base/setting_kind.h"
#include "echod/listener_table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEM_LENGTH = 1023 }; /* of 16 networks of IPv6 */

void listener_options_set_defaults(struct listener_options *options)
{
    options->given = 0;
    options->name[0] = '\0';
    options->log = LISTENER_LOG_ALL;
    options->max_connections = SETTING_AUTO;
    options->rate_limit_total = 0;
    options->proxy = LISTENER_PROXY_OFF;
    options->proxy_from.count = 0;
    options->identify = LISTENER_IDENTIFY_OFF;
    options->keepalive_ms = 2 * 3600 * UINT64_C(1000); /* RFC 1122, 4.2.3.6: no less by default */
    options->user_timeout_ms = 0;
    options->fastopen = 0;
    options->mark = 0;
    options->nodelay = true;
    options->v6only = true;
    options->freebind = false;
    options->device[0] = '\0';
    options->mode = LISTENER_ANY_MODE;
    options->owner = (struct privileges_user){0};
    options->group = (struct privileges_group){0};
    options->low_ports = LISTENER_LOW_PORTS_DROP;
    options->rate = 0;
    options->impair = (struct impair){.seed = IMPAIR_ANY_SEED};
}

/* A certificate that was given without a key has it in its own file: it has no other one's. */
static void keep_own_key(struct listener_options *options)
{
    if (listener_options_has(options, "cert") && !listener_options_has(options, "key"))
        options->tls.key[0] = '\0';
}

void listener_options_inherit(struct listener_options *options,
                              const struct listener_options *defaults)
{
    for (size_t i = 0; i < listener_table_length(); i++) {
        const struct setting *setting = &listener_table()[i].setting;

        if ((options->given & UINT64_C(1) << i) == 0)
            (void)setting_kind_of(setting)->copy(setting, setting_member(setting, options),
                                                 setting_const_member(setting, defaults));
    }
    keep_own_key(options);
}

uint64_t listener_options_low_water_bytes(const struct listener_options *options)
{
    if (options->low_water_bytes == SETTING_AUTO)
        return options->high_water_bytes / 4;
    return options->low_water_bytes;
}

/* --- Reading --------------------------------------------------------------------------------- */

static const struct listener_row *find_row(const char *name)
{
    for (size_t i = 0; i < listener_table_length(); i++) {
        if (strcmp(listener_table()[i].setting.name, name) == 0)
            return &listener_table()[i];
    }
    return NULL;
}

bool listener_options_has(const struct listener_options *options, const char *name)
{
    const struct listener_row *row = find_row(name);

    return row != NULL && (options->given & UINT64_C(1) << (row - listener_table())) != 0;
}

/* Write the names of the options that go with an address, as many as there is room for. */
static void list_options(const struct address *address, char *text, size_t size)
{
    static const char rest[] = ", and those in --help=listen";
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < listener_table_length(); i++) {
        const char *name = listener_table()[i].setting.name;

        if (!listener_row_applies(&listener_table()[i], address))
            continue;
        if (length + strlen(name) + sizeof rest + 2 > size) {
            (void)snprintf(text + length, size - length, "%s", rest);
            return;
        }
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", length == 0 ? "" : ", ", name);
    }
}

static int refuse_option(const char *name, const struct address *address, struct error *error)
{
    char possible[ERROR_TEXT_SIZE / 2];

    list_options(address, possible, sizeof possible);
    error_set(error, "\"%s\" is no option of %s; these are: %s", name, address_prefix(address),
              possible);
    errno = EINVAL;
    return -1;
}

/* Read one option, "NAME=VALUE" or "NAME". */
static int parse_item(char *item, const struct address *address, struct listener_options *options,
                      struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_DEFAULT}; /* no list is among them */
    char *equals = strchr(item, '=');
    const char *value = equals == NULL ? NULL : equals + 1;
    const struct listener_row *row;

    if (equals != NULL)
        *equals = '\0';
    row = find_row(item);
    if (row == NULL || !listener_row_applies(row, address))
        return refuse_option(item, address, error);
    if (value == NULL)
        value = row->setting.implied;
    if (value == NULL) {
        error_set(error, "%s: a value is missing; write %s=%s", item, item, row->setting.argument);
        errno = EINVAL;
        return -1;
    }
    if (setting_kind_of(&row->setting)
            ->set(&row->setting, setting_member(&row->setting, options), value, &origin, error) ==
        0) {
        options->given |= UINT64_C(1) << (row - listener_table());
        return 0;
    }
    setting_name_in_error(&row->setting, "", error);
    return -1;
}

int listener_options_parse(const char *text, const struct address *address,
                           struct listener_options *options, struct error *error)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, ",");
        char item[MAX_ITEM_LENGTH + 1];

        if (length > MAX_ITEM_LENGTH) {
            error_set(error, "an option is longer than %d characters; shorten it", MAX_ITEM_LENGTH);
            errno = EINVAL;
            return -1;
        }
        memcpy(item, text, length);
        item[length] = '\0';
        if (parse_item(item, address, options, error) < 0)
            return -1;
        text += length;
        text += *text == ',';
    }
    return 0;
}

/* --- Help ------------------------------------------------------------------------------------ */

void listener_options_print_help(FILE *stream)
{
    for (size_t i = 0; i < listener_table_length(); i++) {
        const struct setting *setting = &listener_table()[i].setting;
        char term[64];

        if (setting->section != NULL)
            (void)fprintf(stream, "%s%s\n", i == 0 ? "" : "\n", setting->section);
        (void)snprintf(term, sizeof term, "  %s=%s", setting->name, setting->argument);
        settings_print_entry(term, setting->help, stream);
    }
}
