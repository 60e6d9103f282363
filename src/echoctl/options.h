/*
 * options: what echoctl was asked for, as plain data, and how it ends.
 * Does not know which commands there are, nor which option is whose; commands does.
 * Called by main, help and commands.
 */
#ifndef ECHOCTL_OPTIONS_H
#define ECHOCTL_OPTIONS_H

#include "base/settings.h"
#include "echoctl/place.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    EXIT_STATUS_DONE = 0,      /* the service did it, or told it; --help and --version */
    EXIT_STATUS_REFUSED = 1,   /* the service refused, has no such thing, or is not ready */
    EXIT_STATUS_USAGE = 2,     /* the command line is wrong */
    EXIT_STATUS_UNREACHED = 3, /* the service cannot be reached, or its answer cannot be read */
    EXIT_STATUS_SYSTEM = 71,   /* EX_OSERR of sysexits.h: the system refused something */
    OPTIONS_MAX = 24,          /* rows of the table of options */
};

struct options {
    struct setting_operands operands; /* the command, and its operands */
    struct place place;
    uint64_t timeout_ms; /* of each request; SETTING_AUTO: as long as the command may take */
    bool json;
    char *listener, *peer, *state; /* which connections; NULL: any */
    uint64_t min_idle_ms, min_age_ms, min_queued_bytes;
    uint64_t limit;
    bool all;
    bool abort;
    bool wait;
    uint64_t count; /* 0: no limit */
    uint64_t interval_ms;
    bool show_help, show_version;
    struct origin origins[OPTIONS_MAX];
};

/*
 * Read the command line over the environment (ECHOCTL_SOCKET) over the defaults.
 * Return 0, or -1 with errno and a sentence in `error`. Either way, options_free frees.
 */
int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error) __attribute__((warn_unused_result));

void options_free(struct options *options);

/*
 * Return the name of an option on the command line that is not in `names`, words with spaces
 * between them; NULL: there is none.
 */
const char *options_find_other(const struct options *options, const char *names);

/* Print the options as --help shows them. */
void options_print(FILE *stream);

#endif
