#include <config.h>

#include "echod/passed.h"

#include "base/units.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START */

#define ADVICE "let a socket unit of systemd or systemd-socket-activate start echod"

/* --- The environment ------------------------------------------------------------------------- */

/* Tell whether LISTEN_PID is this process; otherwise a parent left the variables to its children.
 */
static bool are_ours(struct passed *passed)
{
    const char *text = getenv("LISTEN_PID");
    uint64_t pid;

    if (text != NULL && units_parse_count(text, &pid) == 0 && pid == (uint64_t)getpid())
        return true;
    error_set(&passed->absence,
              "LISTEN_PID is %s, and this is process %ld; let systemd start echod itself, and not "
              "a script of its own",
              text == NULL ? "not set" : text, (long)getpid());
    return false;
}

/* Return how many sockets LISTEN_FDS promises, 0 after a warning if that cannot be. */
static size_t promised_count(struct passed *passed, struct log *log)
{
    const char *text = getenv("LISTEN_FDS");
    uint64_t count;

    if (units_parse_count(text, &count) < 0 || count > INT_MAX - FIRST_FD) {
        error_set(&passed->absence, "LISTEN_FDS=%s is no number of sockets; " ADVICE, text);
        log_write(log, LOG_LEVEL_WARNING, "%s", passed->absence.text);
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC) == 0)
            continue;
        error_set(&passed->absence, "LISTEN_FDS=%s, but descriptor %d is not open; " ADVICE, text,
                  FIRST_FD + (int)i);
        log_write(log, LOG_LEVEL_WARNING, "%s", passed->absence.text);
        return 0;
    }
    return (size_t)count;
}

/* Give each socket its name, out of those between colons; too few leave the others without. */
static void set_names(struct passed *passed, const char *names)
{
    static const char unknown[] = "unknown"; /* as sd_listen_fds_with_names(3) has it */
    char *rest = NULL;

    if (names != NULL)
        rest = passed->names = strdup(names);
    for (size_t i = 0; i < passed->count; i++) {
        const char *name = strsep(&rest, ":");

        passed->sockets[i] = (struct passed_socket){
            .fd = FIRST_FD + (int)i,
            .name = name == NULL || *name == '\0' ? unknown : name,
            .is_kept = name != NULL &&
                       strncmp(name, PASSED_KEPT_PREFIX, sizeof PASSED_KEPT_PREFIX - 1) == 0,
        };
    }
}

static void read_environment(struct passed *passed, struct log *log)
{
    size_t count;

    if (getenv("LISTEN_FDS") == NULL) {
        error_set(&passed->absence, "LISTEN_FDS is not set; " ADVICE);
        return;
    }
    if (!are_ours(passed))
        return;
    count = promised_count(passed, log);
    if (count == 0)
        return;
    passed->sockets = calloc(count, sizeof *passed->sockets);
    if (passed->sockets == NULL) {
        error_set(&passed->absence, "there is no memory for so many sockets; pass fewer");
        return;
    }
    passed->count = count;
    set_names(passed, getenv("LISTEN_FDNAMES"));
    error_set(&passed->absence, "LISTEN_FDS has only what echod bound itself; " ADVICE);
}

void passed_init(struct passed *passed, struct log *log)
{
    *passed = (struct passed){0};
    error_set(&passed->absence, "LISTEN_FDS is 0; " ADVICE);
    read_environment(passed, log);
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
}

void passed_fini(struct passed *passed)
{
    free(passed->sockets);
    free(passed->names);
    *passed = (struct passed){0};
}

/* --- Taking ---------------------------------------------------------------------------------- */

struct passed_socket *passed_next(const struct passed *passed, const char *name, size_t *cursor)
{
    while (*cursor < passed->count) {
        struct passed_socket *socket = &passed->sockets[(*cursor)++];

        if (!socket->is_kept && (*name == '\0' || strcmp(name, socket->name) == 0))
            return socket;
    }
    return NULL;
}

struct passed_socket *passed_find(const struct passed *passed, int fd)
{
    for (size_t i = 0; i < passed->count; i++) {
        if (passed->sockets[i].fd == fd && !passed->sockets[i].is_kept)
            return &passed->sockets[i];
    }
    return NULL;
}

/* Tell whether a socket before this one has its name. */
static bool is_named_before(const struct passed *passed, size_t index)
{
    size_t cursor = 0;

    return passed_next(passed, passed->sockets[index].name, &cursor) != &passed->sockets[index];
}

/* Tell whether there is any but those that were kept. */
static bool has_any(const struct passed *passed)
{
    size_t cursor = 0;

    return passed_next(passed, "", &cursor) != NULL;
}

void passed_explain(const struct passed *passed, const char *name, struct error *error)
{
    char known[ERROR_TEXT_SIZE / 2] = "";

    if (!has_any(passed)) {
        error_set(error, "systemd://%s: nothing was passed: %s", name, passed->absence.text);
        return;
    }
    for (size_t i = 0; i < passed->count; i++) {
        const size_t length = strlen(known);

        if (!passed->sockets[i].is_kept && !is_named_before(passed, i))
            (void)snprintf(known + length, sizeof known - length, "%s%s", length == 0 ? "" : ", ",
                           passed->sockets[i].name);
    }
    error_set(error, "systemd://%s: no socket was passed under this name; known are: %s", name,
              known);
}

void passed_warn_of_rest(const struct passed *passed, struct log *log)
{
    for (size_t i = 0; i < passed->count; i++) {
        const struct passed_socket *socket = &passed->sockets[i];

        if (!socket->is_kept && !socket->is_taken)
            log_write(log, LOG_LEVEL_WARNING,
                      "nobody serves descriptor %d, which was passed as \"%s\": add --listen "
                      "systemd://%s, and restart echod",
                      socket->fd, socket->name, socket->name);
    }
}
