#include <config.h>

#include "echod/sandbox.h"

#include "base/descriptor.h"
#include "echod/sandbox_landlock.h"
#include "echod/sandbox_paths.h"
#include "echod/sandbox_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADVICE "choose auto, which takes what there is"

/* What came of a part of it. */
struct part {
    bool is_on;
    bool is_out_of_memory;
    struct error reason; /* why it is off */
};

/* --- Where it would be in the way ------------------------------------------------------------ */

#ifndef __has_feature
#define __has_feature(name) 0 /* clang has it */
#endif

/* Sanitizers start programs for their reports, stop threads, and read /proc. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ ||                                 \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
static const bool has_sanitizer = true;
#else
static const bool has_sanitizer = false;
#endif

/* Return why this process needs more than a sandbox allows, or NULL. */
static const char *find_tool(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    if (has_sanitizer)
        return "this echod was built with sanitizers";
    if (preloaded != NULL && strstr(preloaded, "/vgpreload_") != NULL)
        return "this echod runs under valgrind's tools";
    return NULL;
}

/* --- Its parts ------------------------------------------------------------------------------- */

static int limit_files(struct sandbox *sandbox, const struct options *options,
                       struct sandbox_landlock *landlock, struct error *error)
{
    (void)sandbox; /* where there is no O_PATH */
    if (sandbox_landlock_begin(landlock, error) < 0)
        return -1;
#ifdef O_PATH
    sandbox->proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
#endif
    sandbox_paths_of_options(options, sandbox_landlock_allow, landlock);
    sandbox_paths_of_manager(sandbox_landlock_allow, landlock);
    sandbox_paths_of_system(geteuid() == 0, sandbox_landlock_allow, landlock);
    return sandbox_landlock_enforce(landlock, error);
}

static void note(struct part *part, int status)
{
    part->is_on = status == 0;
    part->is_out_of_memory = status < 0 && errno == ENOMEM;
}

/* --- What is in effect ----------------------------------------------------------------------- */

static void tell(const struct part *seccomp, const struct part *files,
                 const struct sandbox_landlock *landlock, struct log *log)
{
    char abi[sizeof "Landlock (ABI 4294967295)"];

    (void)snprintf(abi, sizeof abi, "Landlock (ABI %u)", landlock->abi);
    if (seccomp->is_on && files->is_on)
        log_write(log, LOG_LEVEL_INFO, "sandbox: seccomp and %s%s", abi,
                  sandbox_landlock_has_network(landlock) ? "" : ", which does not limit TCP");
    else if (seccomp->is_on)
        log_write(log, LOG_LEVEL_INFO, "sandbox: seccomp; %s", files->reason.text);
    else if (files->is_on)
        log_write(log, LOG_LEVEL_INFO, "sandbox: %s; %s", abi, seccomp->reason.text);
    else
        log_write(log, LOG_LEVEL_INFO, "sandbox: none; %s; %s", seccomp->reason.text,
                  files->reason.text);
}

/* Refuse to go on where memory is short, and without a part that was asked for. */
static int check(const struct part *part, bool is_asked, struct error *error)
{
    if (part->is_out_of_memory)
        error_set(error, "--sandbox: %s; let the system have more free memory", part->reason.text);
    else if (is_asked && !part->is_on)
        error_set(error, "--sandbox on: %s; " ADVICE, part->reason.text);
    return part->is_out_of_memory || (is_asked && !part->is_on) ? -1 : 0;
}

/* Go on without any limit where none was demanded. */
static int do_without(bool is_asked, const char *reason, struct log *log, struct error *error)
{
    if (is_asked) {
        error_set(error, "--sandbox on: %s, which need more; " ADVICE, reason);
        return -1;
    }
    log_write(log, LOG_LEVEL_INFO, "sandbox: none; %s, which need more", reason);
    return 0;
}

int sandbox_enter(struct sandbox *sandbox, const struct options *options, struct log *log,
                  struct error *error)
{
    const bool is_asked = options->sandbox == SANDBOX_ON;
    const char *tool = find_tool();
    struct sandbox_landlock landlock;
    struct part files = {.is_on = false}, seccomp = {.is_on = false};

    *sandbox = (struct sandbox){.proc_fd = -1};
    if (options->sandbox == SANDBOX_OFF)
        return 0;
    if (tool != NULL)
        return do_without(is_asked, tool, log, error);
    note(&files, limit_files(sandbox, options, &landlock, &files.reason));
    note(&seccomp, sandbox_seccomp_enforce(&seccomp.reason));
    if (check(&files, is_asked, error) < 0 || check(&seccomp, is_asked, error) < 0)
        return -1;
    tell(&seccomp, &files, &landlock, log);
    return 0;
}

void sandbox_fini(struct sandbox *sandbox)
{
    descriptor_close(sandbox->proc_fd);
    sandbox->proc_fd = -1;
}
