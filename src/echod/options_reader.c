#include <config.h>

#include "echod/options_reader.h"

#include "base/command_line.h"
#include "base/config_file.h"
#include "base/http_server.h"
#include "base/settings.h"
#include "echod/options_check.h"
#include "echod/options_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* --- Configuration file ---------------------------------------------------------------------- */

static int on_file_line(const struct config_line *line, void *argument, struct error *error)
{
    struct reading *reading = argument;
    const struct setting *setting = settings_find(options_table(), line->name);
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
    if (settings_set(options_table(), setting, reading->options, reading->options->origins,
                     line->value, &origin, error) == 0)
        return 0;
    reading->is_out_of_memory |= errno == ENOMEM;
    return -1;
}

/* Read a file over the defaults. */
static int read_file(struct reading *reading, const char *path)
{
    const struct config_reader reader = {on_file_line, report, reading, NULL};
    const int status = config_file_read(path, &reader);

    reading->is_out_of_memory |= status < 0 && errno == ENOMEM;
    reading->options->listen.is_provisional = true; /* the command line replaces them */
    reading->options->admin.is_provisional = true;
    return status;
}

/* Return the file that is to be read, or NULL if there is none. */
static const char *find_file(const struct options *options)
{
    if (options->config != NULL)
        return options->config;
    if (options->no_config || (access(OPTIONS_DEFAULT_CONFIG, F_OK) < 0 && errno == ENOENT))
        return NULL;
    return OPTIONS_DEFAULT_CONFIG;
}

/* --- Reading --------------------------------------------------------------------------------- */

static int read_defaults(struct options *options, int argument_count, char *arguments[],
                         struct error *error)
{
    *options = (struct options){.argument_count = argument_count, .arguments = arguments};
    options->origins = calloc(options_table_length(), sizeof *options->origins);
    if (options->origins == NULL) {
        error_set(error, "there is no memory for the options");
        return -1;
    }
    return settings_set_defaults(options_table(), options, error);
}

/*
 * Take what a service manager offers: it is a default, which file and command line replace, and
 * which an echod without HTTP leaves alone, so that one unit fits both.
 */
static int read_environment(struct options *options, struct error *error)
{
    const struct setting *admin = settings_find(options_table(), "admin");
    const struct origin origin = {.kind = ORIGIN_FILE, .place = "ECHOD_ADMIN"};
    const char *address = getenv("ECHOD_ADMIN");
    struct error cause = {""};

    if (address == NULL || address[0] == '\0' || !http_server_is_available())
        return 0;
    if (settings_set(options_table(), admin, options, NULL, address, &origin, &cause) < 0) {
        error_set(error, "ECHOD_ADMIN: %s", cause.text);
        return -1;
    }
    options->admin.is_provisional = true;
    return 0;
}

static int read_command_line(struct options *options, int argument_count, char *arguments[],
                             struct error *error)
{
    if (command_line_parse(options_table(), options, options->origins, argument_count, arguments,
                           error) < 0)
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
 * Read the defaults, the environment, the file, unless its path is NULL, and the command line, each
 * over the one before. Return 0, or the exit status after a report.
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
    if (read_environment(options, &error) < 0)
        return refuse(reading, &error, EXIT_STATUS_CONFIG);
    if (path != NULL && read_file(reading, path) < 0)
        status = EXIT_STATUS_CONFIG;
    if (read_command_line(options, argument_count, arguments, &error) < 0)
        return refuse(reading, &error, EXIT_STATUS_USAGE);
    options->config_path = options->config != NULL ? options->config : path;
    defaults = options_listener_defaults(options);
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

    if (status != 0 || options->help != HELP_NONE || options->show_version)
        return reading.is_out_of_memory ? EXIT_STATUS_SYSTEM : status;
    path = find_file(options);
    if (path != NULL)
        status = read_with_file(&reading, path, argument_count, arguments);
    if (reading.is_out_of_memory)
        return EXIT_STATUS_SYSTEM;
    return options_worse(status, options_check(options, on_error, argument));
}

/* Report what is wrong with the path that a setting has. Return the exit status. */
static int refuse_path(const struct options *options, const char *setting, const char *path,
                       const struct error *cause, options_error_callback *on_error, void *argument)
{
    const struct origin *origin = options_origin(options, setting);
    struct error name = {""}, error = {""};

    options_name_value(setting, origin, &name);
    error_set(&error, "%s %s: %s", name.text, path, cause->text);
    on_error(&error, argument);
    return options_status_of(origin, origin);
}

int options_check_paths(const struct options *options, options_error_callback *on_error,
                        void *argument)
{
    struct error cause = {""};
    int status = 0;

    if (jail_check(options->chroot, &cause) < 0)
        status = refuse_path(options, "chroot", options->chroot, &cause, on_error, argument);
    if (pidfile_check(options->pid_file, &cause) < 0)
        status = options_worse(status, refuse_path(options, "pid-file", options->pid_file, &cause,
                                                   on_error, argument));
    return status;
}

static void on_kept(const struct setting *setting, const char *wanted, const char *kept,
                    void *argument)
{
    struct reading *reading = argument;
    const struct origin *origin = options_origin(reading->options, setting->name);
    struct error error = {""};

    error_set(&error, "%s%s%s: %s takes effect when echod is restarted; until then it is %s",
              origin->place, origin->kind == ORIGIN_FILE ? ": " : "", setting->name, wanted, kept);
    report(&error, reading);
}

/* Keep where operators are answered, and say so. Return 0, or -1 with errno ENOMEM. */
static int keep_admin(struct options *options, const struct options *current,
                      struct reading *reading)
{
    struct error error = {""};

    if (listen_list_is_equal(&options->admin, &current->admin))
        return 0;
    error_set(&error, "admin: other addresses take effect when echod is restarted; until then they "
                      "are those that it was started with");
    report(&error, reading);
    return listen_list_copy(&options->admin, &current->admin);
}

/* Tell whether any value is the file's. */
static bool is_file_used(const struct options *options)
{
    for (size_t i = 0; i < options_table_length(); i++) {
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
    if (settings_keep_fixed(options_table(), options, current, on_kept, &warnings) == 0 &&
        keep_admin(options, current, &warnings) == 0)
        return 0;
    on_error(&error, argument);
    return -1;
}

/* --- What is in effect ----------------------------------------------------------------------- */

void options_print(const struct options *options, FILE *stream)
{
    settings_print(options_table(), options, options->origins, stream);
}

void options_free(struct options *options)
{
    settings_free(options_table(), options);
    free(options->origins);
    options->origins = NULL;
}
