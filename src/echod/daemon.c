#include <config.h>

#include "echod/daemon.h"

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "echod/capacity.h"
#include "echod/jail.h"
#include "echod/passed.h"
#include "echod/pidfile.h"
#include "echod/privileges.h"
#include "echod/reload.h"
#include "echod/sandbox.h"
#include "echod/server.h"
#include "echod/sockets.h"
#include "echod/store.h"
#include "echod/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* What was bound, for clients and for operators. */
struct bound {
    const struct sockets *sockets, *admin_sockets;
};

/* See no other files; Unix sockets have to be at their paths still, to be looked after. */
static int enter_jail(const struct options *options, const struct bound *bound, struct error *error)
{
    if (jail_enter(options->chroot, error) < 0)
        return -1;
    if (options->chroot[0] == '\0')
        return 0;
    return sockets_check_paths(bound->sockets, error) < 0
               ? -1
               : sockets_check_paths(bound->admin_sockets, error);
}

/* Give up what is not needed once everything is bound, and hand over what stays. */
static int drop_privileges(const struct options *options, const struct bound *bound,
                           struct log *log, struct error *error)
{
    const struct privileges_user *user = &options->user;
    const struct privileges_group *group = &options->group;
    const uid_t uid = privileges_uid(user);
    const gid_t gid = privileges_gid(user, group);
    const bool is_asked = user->is_given || group->is_given;

    if (is_asked) {
        sockets_hand_over(bound->sockets, uid, gid, log);
        sockets_hand_over(bound->admin_sockets, uid, gid, log);
    }
    if (privileges_take_groups(user, group, error) < 0 || enter_jail(options, bound, error) < 0 ||
        privileges_drop(user, group, error) < 0)
        return -1;
    if (getuid() == 0 && (is_asked || options->chroot[0] != '\0'))
        log_write(log, LOG_LEVEL_WARNING, "still runs as root: --user %s",
                  user->is_given ? "names it" : "was not given");
    return 0;
}

/* Give up what serving does not take. */
static int limit(struct sandbox *sandbox, const struct options *options, const struct bound *bound,
                 struct log *log, struct error *error)
{
    if (drop_privileges(options, bound, log, error) < 0 ||
        sandbox_enter(sandbox, options, log, error) < 0)
        return -1;
    if (options->sandbox != SANDBOX_OFF && log_renew_thread(log) < 0) {
        error_set(error, "the log cannot go on in the sandbox: %s", strerror(errno));
        process_complain("echod", "%s", error->text); /* there is no log to say it */
        return -1;
    }
    if (options->chroot[0] != '\0')
        reload_rehearse(options, log);
    return 0;
}

static void log_error(const struct error *error, void *argument)
{
    log_write(argument, LOG_LEVEL_ERROR, "%s", error->text);
}

static int serve(struct options *options, const struct passed *passed, struct supervise *supervise,
                 struct log *log)
{
    const size_t worker_count = capacity_worker_count(options);
    int status = EXIT_STATUS_SYSTEM;
    struct sockets sockets, admin_sockets;
    const struct bound bound = {&sockets, &admin_sockets};
    struct sandbox sandbox = {.proc_fd = -1};
    struct pidfile pidfile;
    struct error error;

    store_drop_unlisted(passed, &options->listen, supervise);
    if (sockets_open(&sockets, &options->listen, worker_count, passed, log, log_error, log) < 0)
        return status;
    store_drop_rest(passed, supervise);
    if (sockets_open(&admin_sockets, &options->admin, 1, passed, log, log_error, log) < 0)
        goto close_sockets;
    if (pidfile_open(&pidfile, options->pid_file, &error) < 0)
        goto close_admin_sockets;
    if (limit(&sandbox, options, &bound, log, &error) < 0)
        goto leave_sandbox;
    passed_warn_of_rest(passed, log);
    store_keep(&sockets.endpoints, 0, supervise);
    status = server_run(options, &sockets, &admin_sockets, worker_count, supervise, log);
    sandbox_fini(&sandbox);
    pidfile_close(&pidfile);
    sockets_close(&admin_sockets);
    sockets_close(&sockets);
    return status;

leave_sandbox:
    sandbox_fini(&sandbox);
    pidfile_close(&pidfile);
close_admin_sockets:
    sockets_close(&admin_sockets);
    log_error(&error, log);
close_sockets:
    sockets_close(&sockets);
    return status;
}

/* Start the log that was asked for, or say on standard error why it cannot be had. */
static struct log *start_log(const struct options *options)
{
    const bool would_reach_client = sockets_include_standard_error(&options->listen);
    const char *process_name = supervise_process_name();
    struct log *log;

    if (options->log_target == LOG_TARGET_SYSLOG)
        log = log_new_syslog(_PATH_LOG, "echod", options->log_level, options->log_format);
    else
        log = log_new(would_reach_client ? -1 : STDERR_FILENO, options->log_level,
                      options->log_format);
    if (log == NULL && options->log_target == LOG_TARGET_SYSLOG)
        process_complain("echod",
                         "--log-target syslog: " _PATH_LOG ": %s; start a syslog daemon, or log to "
                         "stderr",
                         strerror(errno));
    else if (log == NULL)
        process_complain("echod", "the log cannot be started: %s", strerror(errno));
    else if (process_name != NULL)
        log_set_process(log, process_name);
    return log;
}

/*
 * Who reads no more, and a file that may not grow (setrlimit(2)), are errors of a write. As process
 * 1 of a container echod inherits orphans, such as those of a health check that was killed: with
 * SIGCHLD ignored the system leaves no zombies (wait(2)); echod has no children of its own.
 */
static void ignore_signals(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
}

int daemon_run(struct options *options)
{
    struct passed passed;
    struct supervise supervise;
    struct log *log;
    int status;

    ignore_signals();
    server_end_on_stop();
    process_fill_standard_descriptors();
    process_raise_file_limit();
    privileges_forbid_gain();
    log = start_log(options);
    if (log == NULL)
        return EXIT_STATUS_SYSTEM;
    passed_init(&passed, log);
    supervise_init(&supervise, log);
    status = serve(options, &passed, &supervise, log);
    supervise_fini(&supervise);
    passed_fini(&passed);
    log_free(log);
    return status;
}
