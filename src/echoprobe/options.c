#include <config.h>

#include "echoprobe/options.h"

#include "base/command_line.h"
#include "echoprobe/options_fit.h"
#include "echoprobe/options_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KIB UINT64_C(1024)

enum {
    ECHO_PORT = 7, /* RFC 862 */
    PLUGIN_COUNT = 5,
    PLUGIN_INTERVAL_US = 200000,
    PLUGIN_DEADLINE_MS = 10000, /* as other plugins have it */
};

/* Tell whether it is more than a ping. */
static bool asks_for_load(const struct options *options)
{
    return options->connections > 1 || options->duration_ms > 0 ||
           options->window != SETTING_AUTO || options->rate > 0 || options->stream ||
           options->churn || options->threads > 1;
}

static void resolve_plugin(struct options *options)
{
    if (options_check(options) != NULL)
        return;
    if (options->count == 0 && options->duration_ms == 0)
        options->count = PLUGIN_COUNT;
    if (options->interval_us == SETTING_AUTO && !options->is_load)
        options->interval_us = PLUGIN_INTERVAL_US;
    if (options->deadline_ms == 0)
        options->deadline_ms = options->duration_ms + PLUGIN_DEADLINE_MS;
}

static void resolve_auto(struct options *options)
{
    if (options->plugin)
        resolve_plugin(options);
    if (options->size_bytes == SETTING_AUTO && options->stream)
        options->size_bytes = options->target.scheme == ADDRESS_UDP ? 1472 : 64 * KIB;
    else if (options->size_bytes == SETTING_AUTO)
        options->size_bytes =
            options->identify && options->target.scheme == ADDRESS_UDP ? 1024 : 64;
    if (options->interval_us == SETTING_AUTO)
        options->interval_us = options->is_load ? 0 : 1000000;
    if (options->window == SETTING_AUTO && options->churn)
        options->window = 1;
    else if (options->window == SETTING_AUTO && (options->rate > 0 || options->interval_us > 0))
        options->window = 1024;
    else if (options->window == SETTING_AUTO)
        options->window = options->stream ? 16 : 1;
}

static int read_command_line(struct options *options, int argument_count, char *arguments[],
                             struct error *error)
{
    *options = (struct options){0};
    if (settings_set_defaults(options_rows(), options, error) < 0 ||
        command_line_parse(options_rows(), options, NULL, argument_count, arguments, error) < 0)
        return -1;
    return 0;
}

/* Check that the values fit together, and settle what was left open. */
static int complete(struct options *options, struct error *error)
{
    options->is_load = asks_for_load(options);
    options->is_lasting |= options->targets != NULL || options->metrics.is_set;
    if (options_fit(options, error) < 0)
        return -1;
    resolve_auto(options);
    return 0;
}

int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error)
{
    if (read_command_line(options, argument_count, arguments, error) < 0)
        return -1;
    if (options->show_help || options->show_version)
        return 0;
    return complete(options, error);
}

/* --- One of several targets ------------------------------------------------------------------- */

static void leave_out_tls(struct tls_plan *tls)
{
    free(tls->ca);
    free(tls->certificate);
    free(tls->key);
    free(tls->server_name);
    *tls = (struct tls_plan){0};
}

static void leave_out_useless(struct options *options)
{
    if (!options->target.is_tls)
        leave_out_tls(&options->tls);
    if (options->target.scheme == ADDRESS_UDP)
        options->proxy = (struct preface_plan){0};
    if (options->target.scheme != ADDRESS_UNIX)
        return;
    options->ipv4 = options->ipv6 = false;
    options->sockets = (struct socket_plan){0};
}

/* Set what a target's own option says: "interval=5s". */
static int set_own(struct options *options, char *word, struct error *error)
{
    static const struct origin origin = {.kind = ORIGIN_FILE};
    char *value = strchr(word, '=');
    const struct setting *setting;

    if (value != NULL)
        *value++ = '\0';
    setting = settings_find(options_rows(), word);
    if (setting == NULL || setting->is_command) {
        error_set(error, "\"%s\" is no option of a target; write for example interval=5s", word);
        errno = EINVAL;
        return -1;
    }
    return settings_set(options_rows(), setting, options, NULL, value, &origin, error);
}

/* Read "ADDRESS[,OPTION[=VALUE]]...", which is changed. */
static int read_target(struct options *options, char *text, struct error *error)
{
    char *rest = text;

    errno = EINVAL;
    if (address_parse_target(strsep(&rest, ","), ECHO_PORT, &options->target, error) < 0)
        return -1;
    leave_out_useless(options);
    while (rest != NULL) {
        if (set_own(options, strsep(&rest, ","), error) < 0)
            return -1;
    }
    return 0;
}

int options_parse_target(struct options *options, int argument_count, char *arguments[],
                         const char *text, struct error *error)
{
    char *copy;
    int status;

    if (read_command_line(options, argument_count, arguments, error) < 0)
        return -1;
    free(options->targets);
    options->targets = NULL;
    options->is_lasting = true;
    copy = strdup(text);
    if (copy == NULL) {
        error_set(error, "there is not enough memory");
        return -1;
    }
    status = read_target(options, copy, error);
    free(copy);
    return status < 0 ? -1 : complete(options, error);
}

bool options_have_target(const struct options *options)
{
    return options->target.host[0] != '\0' || options->target.path[0] != '\0';
}

int options_family(const struct options *options)
{
    if (options->ipv4)
        return AF_INET;
    return options->ipv6 ? AF_INET6 : socket_plan_family(&options->sockets);
}

void options_free(struct options *options)
{
    settings_free(options_rows(), options);
}

bool options_ask_for_plugin(int argument_count, char *arguments[])
{
    for (int i = 1; i < argument_count; i++) {
        const size_t length = strlen(arguments[i]);

        if (length >= sizeof "--pl" - 1 && strncmp(arguments[i], "--plugin", length) == 0)
            return true; /* may be shortened, as all long options */
    }
    return false;
}

bool options_have_no_echo(const struct options *options)
{
    return options->identify && options->target.scheme == ADDRESS_UDP;
}

const char *options_check(const struct options *options)
{
    if (options->half_close)
        return "half-close";
    if (options->hold_ms > 0)
        return "hold";
    if (options->find_idle_timeout_ms > 0)
        return "find-idle-timeout";
    return options->mtu ? "mtu" : NULL;
}

void options_print_help(FILE *stream)
{
    (void)fputs("Usage: echoprobe [OPTION]... ADDRESS\n"
                "Prove that an echo service (RFC 862) returns every byte, and measure it.\n\n",
                stream);
    settings_print_help(options_rows(), stream);
    (void)fputs(
        "\n"
        "Examples:\n"
        "  echoprobe -c 3 127.0.0.1:13265          three messages, as ping does\n"
        "  echoprobe -P 50 -d 10s 127.0.0.1:13265  a load of 50 connections\n"
        "  echoprobe --rate 5k/s -d 1m HOST        a schedule, which hides no stall\n"
        "  echoprobe --json -c 10 udp://HOST       an object for programs\n"
        "  echoprobe --hold 6m HOST                does a silent connection live?\n"
        "\n"
        "SIZE is a number of bytes, or one with a unit: 64KiB, 1MB. DURATION is a number\n"
        "of seconds, or numbers with units: 0.2, 1m30s, 250ms; an interval may be 500us.\n\n"
        "INT (Ctrl-C), TERM and HUP end it once what is under way has returned, a second\n"
        "one at once; with --targets, HUP reads the file again instead. QUIT (Ctrl-\\)\n"
        "prints how it goes. Exit status: 0 if all returned unchanged, 1 if something was\n"
        "lost or changed, 2 if a connection could not be made, 64 if the command line is\n"
        "wrong, 71 if the system refuses something.\n\n"
        "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL ">\n",
        stream);
}

void options_print_version(FILE *stream)
{
    (void)fputs("echoprobe (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}
