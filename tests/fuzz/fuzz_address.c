/*
 * fuzz_address: what must be true of addresses with options, whatever text comes.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/address.h"
#include "base/network.h"
#include "base/setting_kind.h"
#include "echod/listen.h"
#include "echod/listener_options.h"
#include "echod/listener_table.h"

#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A sentence is one line, and says what would be right. */
static void check_error(const struct error *error)
{
    const size_t length = strlen(error->text);

    fuzz_require(length > 0 && length < sizeof error->text);
    for (const char *at = error->text; *at != '\0'; at++)
        fuzz_require((unsigned char)*at >= ' ' && *at != 0x7f);
}

/* What was read can be written, and read again as the same. */
static void check_listened(const char *text)
{
    struct address address, again;
    struct error error = {""};
    char written[ADDRESS_TEXT_SIZE], rewritten[ADDRESS_TEXT_SIZE];

    if (address_parse(text, &address, &error) < 0) {
        check_error(&error);
        fuzz_require(error.text[0] == '"'); /* it quotes the text */
        return;
    }
    address_format(&address, written);
    fuzz_require(strlen(written) < sizeof written - 1);
    fuzz_require(strncmp(written, address_prefix(&address), strlen(address_prefix(&address))) == 0);
    fuzz_require(address_parse(written, &again, &error) == 0);
    fuzz_require(address_is_equal(&address, &again) && address_is_equal(&again, &address));
    address_format(&again, rewritten);
    fuzz_require(strcmp(written, rewritten) == 0);
}

/* The same of whom to connect to, whose port is never missing. */
static void check_target(const char *text)
{
    struct address address, again;
    struct error error = {""};
    char written[ADDRESS_TEXT_SIZE];

    if (address_parse_target(text, 7, &address, &error) < 0) {
        check_error(&error);
        return;
    }
    fuzz_require(address.scheme == ADDRESS_UNIX || address.port != 0);
    address_format(&address, written);
    fuzz_require(strlen(written) < sizeof written - 1);
    fuzz_require(address_parse_target(written, 8, &again, &error) == 0);
    fuzz_require(address_is_equal(&address, &again));
}

static void check_network(const char *text)
{
    struct network network, again;
    struct error error = {""};
    char written[NETWORK_TEXT_SIZE];

    if (network_parse(text, &network, &error) < 0) {
        check_error(&error);
        return;
    }
    fuzz_require(network.prefix_length <= 128);
    network_format(&network, written);
    fuzz_require(network_parse(written, &again, &error) == 0);
    fuzz_require(network.prefix_length == again.prefix_length);
    fuzz_require(memcmp(network.address, again.address, sizeof network.address) == 0);
}

/* --- Options --------------------------------------------------------------------------------- */

static bool is_number(const struct setting *setting)
{
    return setting->type == SETTING_COUNT || setting->type == SETTING_SIZE ||
           setting->type == SETTING_DURATION || setting->type == SETTING_INTERVAL;
}

/* What was given goes with the address, and is within its bounds. */
static void check_given(const struct listen *listen)
{
    for (size_t i = 0; i < listener_table_length(); i++) {
        const struct listener_row *row = &listener_table()[i];
        uint64_t number;

        if ((listen->options.given & UINT64_C(1) << i) == 0)
            continue;
        fuzz_require(listener_row_applies(row, &listen->address));
        fuzz_require(strstr(listen->options_text, row->setting.name) != NULL);
        if (!is_number(&row->setting))
            continue;
        memcpy(&number, setting_const_member(&row->setting, &listen->options), sizeof number);
        if (number == SETTING_AUTO && row->setting.has_auto)
            continue;
        fuzz_require(number >= row->setting.minimum && number <= row->setting.maximum);
    }
}

/* Two listeners have the same options, as far as a value can be written. */
static void check_same_options(const struct listener_options *one,
                               const struct listener_options *other)
{
    char text[SETTING_VALUE_SIZE], other_text[SETTING_VALUE_SIZE];

    fuzz_require(one->given == other->given);
    for (size_t i = 0; i < listener_table_length(); i++) {
        const struct setting *setting = &listener_table()[i].setting;

        if (setting->type == SETTING_PARSED)
            continue;
        fuzz_require(strcmp(setting_kind_of(setting)->format(
                                setting, setting_const_member(setting, one), text),
                            setting_kind_of(setting)->format(
                                setting, setting_const_member(setting, other), other_text)) == 0);
    }
}

/* Options in two parts are those in one. */
static void check_parts(const struct listen *listen)
{
    struct listener_options whole, parts;
    struct error error = {""};
    char *first = strdup(listen->options_text);
    char *comma;

    fuzz_require(first != NULL);
    memset(&whole, 0, sizeof whole);
    memset(&parts, 0, sizeof parts);
    comma = strchr(first, ',');
    if (comma != NULL) {
        *comma = '\0';
        fuzz_require(
            listener_options_parse(listen->options_text, &listen->address, &whole, &error) == 0);
        fuzz_require(listener_options_parse(first, &listen->address, &parts, &error) == 0);
        fuzz_require(listener_options_parse(comma + 1, &listen->address, &parts, &error) == 0);
        check_same_options(&whole, &parts);
    }
    free(first);
}

/* The first commas end the address, so what is written back reads as the same listener. */
static void check_listener(const char *text)
{
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    struct listen_list list = {0}, again = {0};
    struct error error = {""};
    char written[SETTING_VALUE_SIZE];

    errno = 0;
    if (listen_list_add(text, &origin, &list, &error) < 0) {
        fuzz_require(errno != 0 && errno != ENOMEM && list.count == 0);
        check_error(&error);
        fuzz_require(error.text[0] == '"');
        return;
    }
    fuzz_require(list.count == 1);
    fuzz_require(listen_list_format(&list, 0, written) == &list.items[0].origin);
    fuzz_require(listen_list_add(written, &origin, &again, &error) == 0);
    fuzz_require(listen_list_is_equal(&list, &again));
    check_same_options(&list.items[0].options, &again.items[0].options);
    check_given(&list.items[0]);
    check_parts(&list.items[0]);
    listen_list_free(&list);
    listen_list_free(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);

    check_listened(text);
    check_target(text);
    check_network(text);
    check_listener(text);
    free(text);
    return 0;
}
