#include <config.h>

#include "echod/sandbox_paths.h"

#include "base/config_file.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

/* Who is told of a path. */
struct telling {
    sandbox_path_callback *on_path;
    void *argument;
};

static void tell(const struct telling *telling, const char *path, enum sandbox_use use)
{
    telling->on_path(path, use, telling->argument);
}

/* --- What the options ask for ---------------------------------------------------------------- */

/* Tell the directory of a path; the root of all would be everything. */
static void tell_directory(const struct telling *telling, const char *path, enum sandbox_use use)
{
    char *copy = strdup(path);
    const char *directory = copy == NULL ? path : dirname(copy);

    tell(telling, strcmp(directory, "/") == 0 ? path : directory, use);
    free(copy);
}

/* Tell where a file is, and where links lead from there: what is renewed will be there, too. */
static void tell_file(const struct telling *telling, const char *path)
{
    char *target = realpath(path, NULL);

    tell_directory(telling, path, SANDBOX_READ);
    if (target != NULL && strcmp(target, path) != 0)
        tell_directory(telling, target, SANDBOX_READ);
    free(target);
}

static void tell_files(const struct telling *telling, const char *list)
{
    char path[TLS_FILES_SIZE];

    while (tls_list_next(&list, path))
        tell_file(telling, path);
}

static void tell_listener(const struct telling *telling, const struct listen *listen)
{
    const struct address *address = &listen->address;

    if (address->scheme == ADDRESS_UNIX && !address_is_abstract(address))
        tell_directory(telling, address->path, SANDBOX_MAKE_SOCKETS);
    if (!address->is_tls)
        return;
    tell_files(telling, listen->options.tls.cert);
    tell_files(telling, listen->options.tls.key);
    tell_files(telling, listen->options.tls.client_ca);
}

static void tell_listeners(const struct telling *telling, const struct listen_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        tell_listener(telling, &list->items[i]);
}

static void on_config_path(const char *path, void *argument)
{
    tell_file(argument, path);
}

static int ignore_line(const struct config_line *line, void *argument, struct error *error)
{
    (void)line;
    (void)argument;
    (void)error;
    return 0;
}

static void ignore_error(const struct error *error, void *argument)
{
    (void)error;
    (void)argument;
}

/* Tell which files there are; what is wrong with them was found when the options were read. */
static void tell_config(struct telling *telling, const char *path)
{
    const struct config_reader reader = {ignore_line, ignore_error, telling, on_config_path};
    const int status = config_file_read(path, &reader);

    (void)status;
}

void sandbox_paths_of_manager(sandbox_path_callback *on_path, void *argument)
{
    const char *list = getenv("RUNTIME_DIRECTORY");
    char *copy = list == NULL ? NULL : strdup(list), *rest = NULL;

    for (char *path = copy == NULL ? NULL : strtok_r(copy, ":", &rest); path != NULL;
         path = strtok_r(NULL, ":", &rest))
        on_path(path, SANDBOX_MAKE_SOCKETS, argument);
    free(copy);
}

void sandbox_paths_of_options(const struct options *options, sandbox_path_callback *on_path,
                              void *argument)
{
    struct telling telling = {on_path, argument};

    if (options->config_path != NULL)
        tell_config(&telling, options->config_path);
    tell_listeners(&telling, &options->listen);
    tell_listeners(&telling, &options->admin);
    if (options->pid_file[0] != '\0')
        tell_directory(&telling, options->pid_file, SANDBOX_REMOVE);
}

/* --- What libraries read --------------------------------------------------------------------- */

/* nss(5), resolv.conf(5), ld.so(8), and what OpenSSL asks for when its first key is read. */
static const char *const library_paths[] = {
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store", /* modules, and libraries of these */
    "/usr/etc",
    "/usr/share/zoneinfo",
    "/usr/local/ssl", /* what stands in /etc elsewhere */
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/systemd/userdb",
    "/run/nscd",
    "/var/run/nscd",
    "/var/lib/sss",
    "/var/lib/extrausers",
    "/var/db/nscd",
    "/var/cache/nscd",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/proc/stat",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
};

static const char *const root_paths[] = {
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/netgroup",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
};

void sandbox_paths_of_system(bool is_root, sandbox_path_callback *on_path, void *argument)
{
    const struct telling telling = {on_path, argument};

    for (size_t i = 0; i < sizeof library_paths / sizeof library_paths[0]; i++)
        tell(&telling, library_paths[i], SANDBOX_READ);
    for (size_t i = 0; i < sizeof root_paths / sizeof root_paths[0] && is_root; i++)
        tell(&telling, root_paths[i], SANDBOX_READ);
    if (!is_root)
        tell(&telling, "/etc", SANDBOX_READ);
}
