#include <config.h>

#include "echod/listener_values.h"

#include "base/network.h"
#include "base/units.h"
#include "echod/byte_rate.h"
#include "echod/impair.h"
#include "echod/listener_options.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (24 * 3600 * UINT64_C(1000))

static const uint64_t LONGEST_MS = 365 * DAY_MS;
static const uint64_t LARGEST_BYTES = UINT64_C(1) << 50; /* more than a connection ever carries */
static const uint64_t BANDWIDTH_MAX = BYTE_RATE_MAX;
static const double RATE_MIN = 1.0 / 3600, RATE_MAX = 1e9; /* a second */

/* Letters, digits and "._-" go into log lines and labels of metrics as they are. */
int listener_parse_name(const char *text, void *member, struct error *error)
{
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-");

    if (length == 0 || length >= LISTENER_NAME_SIZE || text[length] != '\0') {
        error_set(error, "a name of 1 to %d letters, digits, dots, dashes and underscores",
                  LISTENER_NAME_SIZE - 1);
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

int listener_parse_keepalive(const char *text, void *member, struct error *error)
{
    uint64_t milliseconds = 0;

    if (strcmp(text, "off") != 0 &&
        (units_parse_duration(text, &milliseconds) < 0 || milliseconds < 1000 ||
         milliseconds > 32767 * UINT64_C(1000))) {
        error_set(error, "off or a duration from 1s to 9h; write for example 5m");
        return -1;
    }
    *(uint64_t *)member = milliseconds;
    return 0;
}

/* Add a network to a list. Return 0, or -1 with what is wrong in `error`. */
static int add_network(const char *text, size_t length, struct network_list *list,
                       struct error *error)
{
    char item[NETWORK_TEXT_SIZE + 1]; /* longer than any: what is cut is still wrong */

    if (list->count == NETWORK_LIST_SIZE) {
        error_set(error, "there are more than %d", NETWORK_LIST_SIZE);
        return -1;
    }
    (void)snprintf(item, sizeof item, "%.*s", (int)length, text);
    return network_parse(item, &list->items[list->count++], error);
}

int listener_parse_networks(const char *text, void *member, struct error *error)
{
    struct network_list list = {.count = 0};
    struct error cause = {""};
    size_t length;

    do {
        length = strcspn(text, ";");
        if (add_network(text, length, &list, &cause) < 0) {
            error_set(error, "a list of networks: %s", cause.text);
            return -1;
        }
        text += length;
    } while (*text++ == ';');
    *(struct network_list *)member = list;
    return 0;
}

int listener_parse_device(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);

    if (length == 0 || length >= IFNAMSIZ || strpbrk(text, "/ ") != NULL) {
        error_set(error, "a network interface; write for example eth0");
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

int listener_parse_mode(const char *text, void *member, struct error *error)
{
    const size_t length = strspn(text, "01234567");

    if (length < 3 || length > 4 || text[length] != '\0' || strtol(text, NULL, 8) > 0777) {
        error_set(error, "permissions in octal; write for example 0660");
        return -1;
    }
    *(int *)member = (int)strtol(text, NULL, 8);
    return 0;
}

int listener_parse_rate(const char *text, void *member, struct error *error)
{
    double rate;

    if (units_parse_rate(text, &rate) < 0 || rate > RATE_MAX || (rate > 0 && rate < RATE_MIN)) {
        error_set(error, "a rate from 1/h to 1000M/s, or 0; write for example 1000/s, 0.5/s, 300/m "
                         "or 5k/s");
        return -1;
    }
    *(double *)member = rate;
    return 0;
}

/* --- Misbehaviour ---------------------------------------------------------------------------- */

int listener_parse_share(const char *text, void *member, struct error *error)
{
    if (units_parse_percent(text, member) == 0)
        return 0;
    error_set(error, "a share from 0%% to 100%%; write for example 10%% or 0.01%%");
    return -1;
}

/* Read an amount of bytes, with "/s" behind it or not. */
int listener_parse_bandwidth(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);
    char size[UNITS_TEXT_SIZE] = "";
    uint64_t bytes;

    if (length < sizeof size)
        memcpy(size, text, length + 1);
    if (length >= 2 && length < sizeof size && strcmp(text + length - 2, "/s") == 0)
        size[length - 2] = '\0';
    if (units_parse_size(size, &bytes) < 0 || bytes > BANDWIDTH_MAX) {
        error_set(error, "an amount of bytes a second, at most 8GiB/s, or 0; write for example "
                         "1MiB/s");
        return -1;
    }
    *(uint64_t *)member = bytes;
    return 0;
}

bool listener_format_bandwidth(const void *member, char text[SETTING_VALUE_SIZE])
{
    const uint64_t bytes = *(const uint64_t *)member;
    char size[UNITS_TEXT_SIZE];

    units_format_size(bytes, size);
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s%s", size, bytes == 0 ? "" : "/s");
    return true;
}

static int parse_bytes(const char *text, uint64_t *bytes)
{
    return units_parse_size(text, bytes) == 0 && *bytes > 0 && *bytes <= LARGEST_BYTES ? 0 : -1;
}

static int parse_time(const char *text, uint64_t *ms)
{
    return units_parse_duration(text, ms) == 0 && *ms > 0 && *ms <= LONGEST_MS ? 0 : -1;
}

/* "5m" is five minutes, and "5M" are bytes: only a duration's units are small letters. */
int listener_parse_point(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);
    const bool is_time = length > 0 && strchr("smhd", text[length - 1]) != NULL;
    struct impair_point point = {0};

    if ((is_time ? parse_time(text, &point.ms) : parse_bytes(text, &point.bytes)) < 0) {
        error_set(error, "an amount of bytes or a duration with its unit, of more than 0; write "
                         "for example 64KiB or 30s");
        return -1;
    }
    *(struct impair_point *)member = point;
    return 0;
}

int listener_parse_stall(const char *text, void *member, struct error *error)
{
    const size_t length = strcspn(text, ":");
    char size[UNITS_TEXT_SIZE] = "";
    struct impair_stall stall = {0};

    if (length < sizeof size)
        memcpy(size, text, length);
    if (parse_bytes(size, &stall.bytes) < 0 ||
        (text[length] != '\0' && parse_time(text + length + 1, &stall.ms) < 0)) {
        error_set(error, "an amount of bytes of more than 0, with a colon and a duration behind it "
                         "or not; write for example 64KiB or 64KiB:30s");
        return -1;
    }
    *(struct impair_stall *)member = stall;
    return 0;
}
