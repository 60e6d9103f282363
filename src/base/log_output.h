/*
 * log_output: where the log's lines go: a descriptor, or the syslog daemon.
 * Knows no queue and no format. May wait for a reader, and can be cancelled while it does.
 * Called by log's thread.
 */
#ifndef BASE_LOG_OUTPUT_H
#define BASE_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct log_output {
    int fd;
    bool is_syslog;            /* fd is ours, a socket connected to ... */
    struct sockaddr_un syslog; /* ... this one, and each line is a datagram */
    bool is_within_line;       /* the last byte that was written did not end a line ... */
    bool is_line_cut;          /* ... and the rest of that line was dropped */
};

/* Write to `fd`, which stays the caller's and may be in either blocking mode. */
void log_output_init(struct log_output *output, int fd);

/*
 * Send to the syslog daemon that reads the socket at `path`, from a socket of our own.
 * Return 0, or -1 with errno, also where nobody reads it now.
 */
int log_output_init_syslog(struct log_output *output, const char *path)
    __attribute__((warn_unused_result));

void log_output_fini(struct log_output *output);

/*
 * Write some of these bytes to the descriptor, and wait for room where it does not block. A line
 * that was dropped half written is ended first.
 * Return how many were written, perhaps none yet; or -1 with errno: its reader has gone, or the
 * disk is full. Then the caller drops the rest of the line that these bytes begin with.
 */
ssize_t log_output_write(struct log_output *output, const char *bytes, size_t length)
    __attribute__((warn_unused_result));

/*
 * Send a line, without its line feed, to the syslog daemon, to the one that there is now if there
 * is a new one. It may wait as long as the daemon does not read.
 * Return 0, or -1 with errno if the line is lost.
 */
int log_output_send(const struct log_output *output, const char *text, size_t length)
    __attribute__((warn_unused_result));

#endif
