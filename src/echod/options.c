#include <config.h>

#include "echod/options.h"

#include "base/command_line.h"
#include "base/config_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG SYSCONFDIR "/echod/echod.conf"

#define KIB    UINT64_C(1024)
#define GIB    (KIB * KIB * KIB)
#define DAY_MS (24 * 3600 * UINT64_C(1000))

/* In the order of enum log_target, enum log_level and enum log_format. */
static const char *const log_targets[] = {"stderr", "syslog", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static const struct setting_list listens = {
    .init = listen_list_init,
    .add = listen_list_add,
    .make_provisional = listen_list_make_provisional,
    .format = listen_list_format,
    .free = listen_list_free,
};

static const struct setting table[] = {
    {
        .name = "listen",
        .letter = 'l',
        .type = SETTING_LIST,
        .offset = offsetof(struct options, listen),
        .list = &listens,
        .argument = "ADDRESS",
        .fallback = "tcp://127.0.0.1:13265",
        .help = "serve here; may be given several times: tcp://HOST:PORT, HOST:PORT, "
                "unix:///PATH, fd://N (a socket that was passed), systemd://[NAME] (those that "
                "systemd passed), stdio: (standard input and output)",
    },
    {
        .name = "backlog",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, backlog),
        .argument = "N",
        .fallback = "4096",
        .minimum = 1,
        .maximum = 65535,
        .help = "clients that may wait to be accepted, as far as the system allows",
    },
    {
        .name = "workers",
        .letter = 'w',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, workers),
        .is_fixed = true,
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1024,
        .has_auto = true,
        .help = "threads that serve, or auto: one for each CPU that may be used",
    },
    {
        .name = "max-connections",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, max_connections),
        .argument = "N",
        .fallback = "auto",
        .minimum = 1,
        .maximum = 100000000,
        .has_auto = true,
        .help = "accept no more while there are this many, or auto: what the limit of open files "
                "allows",
    },
    {
        .name = "high-water",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, high_water_bytes),
        .argument = "SIZE",
        .fallback = "256KiB",
        .minimum = 1,
        .maximum = GIB,
        .help = "read no more from a client while this much of its echo waits to be sent",
    },
    {
        .name = "low-water",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, low_water_bytes),
        .argument = "SIZE",
        .fallback = "auto",
        .minimum = 0,
        .maximum = GIB,
        .has_auto = true,
        .help = "read on once no more than this waits, or auto: a quarter of --high-water",
    },
    {
        .name = "max-queued",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, max_queued_bytes),
        .argument = "SIZE",
        .fallback = "256MiB",
        .minimum = 1,
        .maximum = 1024 * GIB,
        .help = "while this much waits for all clients together, read from nobody whose echo "
                "waits; shared out evenly among the workers",
    },
    {
        .name = "udp-receive-buffer",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, udp_receive_buffer_bytes),
        .argument = "SIZE",
        .fallback = "auto",
        .minimum = 4096,
        .maximum = GIB,
        .has_auto = true,
        .help = "what may wait to be received by a udp:// socket, or auto: what the system allows, "
                "up to 4MiB",
    },
    {
        .name = "write-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, write_timeout_ms),
        .argument = "DURATION",
        .fallback = "30s",
        .maximum = 365 * DAY_MS,
        .help = "end a client that takes nothing of its echo for so long; 0: never",
    },
    {
        .name = "idle-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, idle_timeout_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "end a connection on which nothing moves for so long; 0: never",
    },
    {
        .name = "lifetime",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, lifetime_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "end a connection when it is so old; 0: never",
    },
    {
        .name = "linger-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, linger_timeout_ms),
        .argument = "DURATION",
        .fallback = "2s",
        .maximum = 365 * DAY_MS,
        .help = "how long a client that echod ends may take to receive the rest and to close; 0: "
                "no time at all",
    },
    {
        .name = "drain-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, drain_timeout_ms),
        .argument = "DURATION",
        .fallback = "5s",
        .maximum = 365 * DAY_MS,
        .help = "how long clients may stay after a stop was requested; 0: no time at all",
    },
    {
        .name = "pin-workers",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, pin_workers),
        .is_fixed = true,
        .help = "keep each worker on a CPU of its own, with the clients that arrive there",
    },
    {
        .name = "no-shortcuts",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, no_shortcuts),
        .help = "serve every connection through libevent's buffers, as a textbook would",
    },
    {
        .name = "user",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, user),
        .argument = "USER",
        .parse = privileges_parse_user,
        .format = privileges_format_user,
        .size = sizeof(struct privileges_user),
        .is_fixed = true,
        .help = "become this user, a name or a number, once every address is bound",
    },
    {
        .name = "group",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, group),
        .argument = "GROUP",
        .parse = privileges_parse_group,
        .format = privileges_format_group,
        .size = sizeof(struct privileges_group),
        .is_fixed = true,
        .help = "and this group; otherwise the user's own",
    },
    {
        .name = "pid-file",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, pid_file),
        .argument = "PATH",
        .parse = pidfile_parse,
        .format = pidfile_format,
        .size = PIDFILE_PATH_SIZE,
        .is_fixed = true,
        .help = "write the number of the process there, and lock the file until the end",
    },
    {
        .name = "log-target",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_target),
        .argument = "TARGET",
        .fallback = "stderr",
        .choices = log_targets,
        .is_fixed = true,
        .help = "log to stderr, or to syslog with the facility daemon",
    },
    {
        .name = "log-level",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_level),
        .argument = "LEVEL",
        .fallback = "info",
        .choices = log_levels,
        .help = "log lines of this level and above: error, warning, info, debug",
    },
    {
        .name = "log-format",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_format),
        .argument = "FORMAT",
        .fallback = "text",
        .choices = log_formats,
        .help = "text, or json: an object on each line",
    },
    {
        .name = "config",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, config),
        .argument = "FILE",
        .is_command = true,
        .help = "read settings from here, below those of the command line; without it, from "
                "echod.conf(5), if it exists",
    },
    {
        .name = "no-config",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, no_config),
        .is_command = true,
        .help = "read no file",
    },
    {
        .name = "check",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, check),
        .is_command = true,
        .help = "print the settings that are in effect, and where each came from, and exit",
    },
    {
        .name = "help",
        .letter = 'h',
        .is_command = true,
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_help),
        .help = "print this help and exit",
    },
    {
        .name = "version",
        .letter = 'V',
        .is_command = true,
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_version),
        .help = "print the version and exit",
    },
    {.name = NULL},
};

enum { TABLE_LENGTH = sizeof table / sizeof table[0] - 1 };

/* What is being read, and who is told what is wrong with it. */
struct reading {
    struct options *options;
    options_error_callback *on_error;
    void *argument;
    bool is_out_of_memory; /* which is nobody's mistake */
};

static void report(const struct error *error, void *argument)
{
    const struct reading *reading = argument;

    reading->on_error(error, reading->argument);
}

/* --- What a single setting cannot know. ------------------------------------------------------ */

/* Begin a sentence about the value of a setting. */
static void name_value(const char *name, const struct origin *origin, struct error *text)
{
    if (origin->kind == ORIGIN_FILE)
        error_set(text, "%s: %s", origin->place, name);
    else
        error_set(text, "--%s", name);
}

/* Name a setting within a sentence, and where its value came from. */
static void mention_value(const char *name, const struct origin *origin, struct error *text)
{
    if (origin->kind == ORIGIN_FILE)
        error_set(text, "%s (%s)", name, origin->place);
    else
        error_set(text, "--%s%s", name, origin->kind == ORIGIN_DEFAULT ? " (default)" : "");
}

static const struct origin *origin_of(const struct options *options, const char *name)
{
    return &options->origins[settings_find(table, name) - table];
}

/* Return the exit status for two values that do not fit: a file is to blame if it has one. */
static int status_of(const struct origin *one, const struct origin *other)
{
    return one->kind == ORIGIN_FILE || other->kind == ORIGIN_FILE ? EXIT_STATUS_CONFIG
                                                                  : EXIT_STATUS_USAGE;
}

static int worse(int status, int other)
{
    return status > other ? status : other;
}

/* Return what listeners have of the global settings. */
static struct listener_options listener_defaults(const struct options *options)
{
    struct listener_options defaults = {
        .idle_timeout_ms = options->idle_timeout_ms,
        .lifetime_ms = options->lifetime_ms,
        .write_timeout_ms = options->write_timeout_ms,
        .high_water_bytes = options->high_water_bytes,
        .low_water_bytes = options->low_water_bytes,
        .backlog = options->backlog,
        .receive_buffer_bytes = options->udp_receive_buffer_bytes,
    };

    listener_options_set_defaults(&defaults);
    return defaults;
}

static int check_marks(struct reading *reading)
{
    const struct options *options = reading->options;
    const struct listener_options marks = listener_defaults(options);
    const struct origin *low = origin_of(options, "low-water");
    const struct origin *high = origin_of(options, "high-water");
    struct error low_name = {""}, high_name = {""}, error = {""};

    if (low->is_refused || high->is_refused ||
        listener_options_low_water_bytes(&marks) <= options->high_water_bytes)
        return 0;
    name_value("low-water", low, &low_name);
    mention_value("high-water", high, &high_name);
    error_set(&error, "%s: %" PRIu64 " bytes lie above %s, %" PRIu64 " bytes; write less, or auto",
              low_name.text, options->low_water_bytes, high_name.text, options->high_water_bytes);
    report(&error, reading);
    return status_of(low, high);
}

/* The same for a listener, one of whose marks may be the global one. */
static int check_marks_of(struct reading *reading, const struct listen *listen)
{
    const struct listener_options *options = &listen->options;
    const struct listener_options defaults = listener_defaults(reading->options);
    char address[ADDRESS_TEXT_SIZE];
    struct error name = {""}, error = {""};

    if (listener_options_low_water_bytes(options) <= options->high_water_bytes ||
        listener_options_low_water_bytes(&defaults) > defaults.high_water_bytes)
        return 0;
    address_format(&listen->address, address);
    name_value("listen", &listen->origin, &name);
    error_set(&error,
              "%s: %s: low-water, %" PRIu64 " bytes, lies above high-water, %" PRIu64
              " bytes; write low-water=auto, or both",
              name.text, address, options->low_water_bytes, options->high_water_bytes);
    report(&error, reading);
    return status_of(&listen->origin, &listen->origin);
}

/* A user whom the system does not know has no group that could be found out. */
static int check_user(struct reading *reading)
{
    const struct options *options = reading->options;
    const struct origin *origin = origin_of(options, "user");
    struct error name = {""}, error = {""};

    if (origin->is_refused || !options->user.is_given || options->user.is_known ||
        options->group.is_given)
        return 0;
    name_value("user", origin, &name);
    error_set(&error, "%s: this system does not know %lu, and so not his group; add --group",
              name.text, (unsigned long)options->user.uid);
    report(&error, reading);
    return status_of(origin, origin);
}

/*
 * Standard input and output are descriptors 0 and 1, and systemd:// is every socket that systemd
 * passed, whatever its name; a descriptor can be served once.
 */
static bool is_same_descriptor(const struct address *address, const struct address *other)
{
    if (address->scheme == ADDRESS_STDIO)
        return other->scheme == ADDRESS_STDIO || (other->scheme == ADDRESS_FD && other->fd <= 1);
    if (other->scheme == ADDRESS_STDIO)
        return is_same_descriptor(other, address);
    if (address->scheme == ADDRESS_SYSTEMD && other->scheme == ADDRESS_SYSTEMD)
        return address->name[0] == '\0' || other->name[0] == '\0' ||
               strcmp(address->name, other->name) == 0;
    return address->scheme == ADDRESS_FD && other->scheme == ADDRESS_FD && address->fd == other->fd;
}

/* Tell whether only one of them can be served; of port 0 the system chooses another each time. */
static bool is_same_place(const struct address *address, const struct address *other)
{
    if (address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UDP)
        return address->port != 0 && address_is_equal(address, other);
    return is_same_descriptor(address, other) || address_is_equal(address, other);
}

/* Check that an address of the list is none of those before it. */
static int check_address(struct reading *reading, size_t index)
{
    const struct listen *items = reading->options->listen.items;
    char text[ADDRESS_TEXT_SIZE];
    struct error this = {""}, other = {""}, error = {""};

    for (size_t i = 0; i < index; i++) {
        if (!is_same_place(&items[index].address, &items[i].address))
            continue;
        address_format(&items[index].address, text);
        name_value("listen", &items[index].origin, &this);
        mention_value("listen", &items[i].origin, &other);
        error_set(&error, "%s: %s is served already by another %s; give it once", this.text, text,
                  other.text);
        report(&error, reading);
        return status_of(&items[index].origin, &items[i].origin);
    }
    return 0;
}

/* Check that no listener before it has the name of this one. */
static int check_name(struct reading *reading, size_t index)
{
    const struct listen *items = reading->options->listen.items;
    const char *name = items[index].options.name;
    struct error this = {""}, other = {""}, error = {""};

    for (size_t i = 0; i < index && name[0] != '\0'; i++) {
        if (strcmp(name, items[i].options.name) != 0)
            continue;
        name_value("listen", &items[index].origin, &this);
        mention_value("listen", &items[i].origin, &other);
        error_set(&error, "%s: name=%s is another %s's already; choose another name", this.text,
                  name, other.text);
        report(&error, reading);
        return status_of(&items[index].origin, &items[i].origin);
    }
    return 0;
}

/* Check that the values fit together. Return 0, or the exit status after a report. */
static int check_together(struct reading *reading)
{
    const struct listen_list *list = &reading->options->listen;
    int status = worse(check_marks(reading), check_user(reading));

    for (size_t i = 0; i < list->count; i++) {
        status = worse(status, check_address(reading, i));
        status = worse(status, check_marks_of(reading, &list->items[i]));
        status = worse(status, check_name(reading, i));
    }
    return status;
}

/* --- The configuration file. ----------------------------------------------------------------- */

static int on_file_line(const struct config_line *line, void *argument, struct error *error)
{
    struct reading *reading = argument;
    const struct setting *setting = settings_find(table, line->name);
    struct origin origin = {.kind = ORIGIN_FILE};
    const size_t length = strlen(line->place), room = sizeof origin.place - 1;

    if (setting == NULL) {
        error_set(error, "\"%s\" is no setting; echod.conf(5) lists them", line->name);
        return -1;
    }
    if (setting->is_command) {
        error_set(error, "%s: only the command line may have it; remove this line", line->name);
        return -1;
    }
    /* Of a very long place the end says most. */
    (void)snprintf(origin.place, sizeof origin.place, "%s",
                   length > room ? line->place + length - room : line->place);
    if (settings_set(table, setting, reading->options, reading->options->origins, line->value,
                     &origin, error) == 0)
        return 0;
    reading->is_out_of_memory |= errno == ENOMEM;
    return -1;
}

/* Read a file over the defaults. */
static int read_file(struct reading *reading, const char *path)
{
    const struct config_reader reader = {on_file_line, report, reading};
    const int status = config_file_read(path, &reader);

    reading->is_out_of_memory |= status < 0 && errno == ENOMEM;
    reading->options->listen.is_provisional = true; /* the command line replaces them */
    return status;
}

/* Return the file that is to be read, or NULL if there is none. */
static const char *find_file(const struct options *options)
{
    if (options->config != NULL)
        return options->config;
    if (options->no_config || (access(DEFAULT_CONFIG, F_OK) < 0 && errno == ENOENT))
        return NULL;
    return DEFAULT_CONFIG;
}

/* --- All of it. ------------------------------------------------------------------------------ */

static int read_defaults(struct options *options, int argument_count, char *arguments[],
                         struct error *error)
{
    *options = (struct options){.argument_count = argument_count, .arguments = arguments};
    options->origins = calloc(TABLE_LENGTH, sizeof *options->origins);
    if (options->origins == NULL) {
        error_set(error, "there is no memory for the options");
        return -1;
    }
    return settings_set_defaults(table, options, error);
}

static int read_command_line(struct options *options, int argument_count, char *arguments[],
                             struct error *error)
{
    if (command_line_parse(table, options, options->origins, argument_count, arguments, error) < 0)
        return -1;
    if (options->config != NULL && options->no_config) {
        error_set(error, "--no-config: contradicts --config; give one of them");
        errno = EINVAL;
        return -1;
    }
    return 0;
}

/* Report why reading ends here. Return the status, or that of a lack of memory. */
static int refuse(struct reading *reading, const struct error *error, int status)
{
    reading->is_out_of_memory |= errno == ENOMEM;
    report(error, reading);
    return reading->is_out_of_memory ? EXIT_STATUS_SYSTEM : status;
}

/*
 * Read the defaults, the file, unless its path is NULL, and the command line, each over the one
 * before. Return 0, or the exit status after a report.
 */
static int read_all(struct reading *reading, const char *path, int argument_count,
                    char *arguments[])
{
    struct options *options = reading->options;
    struct listener_options defaults;
    struct error error = {""};
    int status = 0;

    if (read_defaults(options, argument_count, arguments, &error) < 0)
        return refuse(reading, &error, EXIT_STATUS_SYSTEM);
    if (path != NULL && read_file(reading, path) < 0)
        status = EXIT_STATUS_CONFIG;
    if (read_command_line(options, argument_count, arguments, &error) < 0)
        return refuse(reading, &error, EXIT_STATUS_USAGE);
    options->config_path = options->config != NULL ? options->config : path;
    defaults = listener_defaults(options);
    listen_list_resolve(&options->listen, &defaults);
    return status;
}

/* Read again with the file that the command line, which was read already, asks for. */
static int read_with_file(struct reading *reading, const char *path, int argument_count,
                          char *arguments[])
{
    struct options without_file = *reading->options; /* it owns the path */
    const int status = read_all(reading, path, argument_count, arguments);

    options_free(&without_file);
    return status;
}

int options_read(struct options *options, int argument_count, char *arguments[],
                 options_error_callback *on_error, void *argument)
{
    struct reading reading = {options, on_error, argument, false};
    int status = read_all(&reading, NULL, argument_count, arguments);
    const char *path;

    if (status != 0 || options->show_help || options->show_version)
        return reading.is_out_of_memory ? EXIT_STATUS_SYSTEM : status;
    path = find_file(options);
    if (path != NULL)
        status = read_with_file(&reading, path, argument_count, arguments);
    if (reading.is_out_of_memory)
        return EXIT_STATUS_SYSTEM;
    return worse(status, check_together(&reading));
}

int options_check_pid_file(const struct options *options, options_error_callback *on_error,
                           void *argument)
{
    const struct origin *origin = origin_of(options, "pid-file");
    struct error name = {""}, cause = {""}, error = {""};

    if (pidfile_check(options->pid_file, &cause) == 0)
        return 0;
    name_value("pid-file", origin, &name);
    error_set(&error, "%s %s: %s", name.text, options->pid_file, cause.text);
    on_error(&error, argument);
    return status_of(origin, origin);
}

static void on_kept(const struct setting *setting, const char *wanted, const char *kept,
                    void *argument)
{
    struct reading *reading = argument;
    const struct origin *origin = origin_of(reading->options, setting->name);
    struct error error = {""};

    error_set(&error, "%s%s%s: %s takes effect when echod is restarted; until then it is %s",
              origin->place, origin->kind == ORIGIN_FILE ? ": " : "", setting->name, wanted, kept);
    report(&error, reading);
}

/* Tell whether any value is the file's. */
static bool is_file_used(const struct options *options)
{
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        if (options->origins[i].kind == ORIGIN_FILE)
            return true;
    }
    return false;
}

/* Who reads a file while an editor writes it finds it empty, and an empty one is right. */
static void warn_of_empty_file(const struct options *options, const struct options *current,
                               struct reading *reading)
{
    struct error error = {""};

    if (options->config_path == NULL || is_file_used(options) || !is_file_used(current))
        return;
    error_set(&error,
              "%s: sets nothing any more, so the defaults count; if it was read while it "
              "was written, send HUP again",
              options->config_path);
    report(&error, reading);
}

int options_read_again(struct options *options, const struct options *current,
                       options_error_callback *on_error, options_error_callback *on_warning,
                       void *argument)
{
    struct reading warnings = {options, on_warning, argument, false};
    struct error error = {"there is no memory to read the options again"};

    if (options_read(options, current->argument_count, current->arguments, on_error, argument) != 0)
        return -1;
    warn_of_empty_file(options, current, &warnings);
    if (settings_keep_fixed(table, options, current, on_kept, &warnings) == 0)
        return 0;
    on_error(&error, argument);
    return -1;
}

/* --- What it prints. ------------------------------------------------------------------------- */

void options_print_help(FILE *stream)
{
    (void)fputs("Usage: echod [OPTION]...\n"
                "Send every byte back to whoever sent it (RFC 862).\n\n",
                stream);
    settings_print_help(table, stream);
    (void)fputs("\n"
                "SIZE is a number of bytes, or one with a unit: 64KiB, 1MB. DURATION is a number\n"
                "of seconds, or numbers with units: 0.5, 1m30s, 250ms.\n\n"
                "Without --config and --no-config, settings are read from\n" DEFAULT_CONFIG ",\n"
                "if it exists; what the command line gives wins.\n\n"
                "TERM and INT drain and end echod, a second one or QUIT ends it at once, USR1\n"
                "logs the totals and every connection, HUP reads the configuration file again.\n"
                "Exit status: 0 after a requested stop, 64 if the command line is wrong, 71 if\n"
                "the system refuses something, 78 if the configuration file is wrong.\n\n"
                "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL
                ">\n",
                stream);
}

void options_print_version(FILE *stream)
{
    (void)fputs("echod (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}

void options_print(const struct options *options, FILE *stream)
{
    settings_print(table, options, options->origins, stream);
}

void options_free(struct options *options)
{
    settings_free(table, options);
    free(options->origins);
    options->origins = NULL;
}
