/*
 * listen: what the reference servers have in common: the socket, and how they fail.
 * Knows no event loop.
 * Called by the reference servers that are written in C.
 */
#ifndef BENCH_SERVERS_LISTEN_H
#define BENCH_SERVERS_LISTEN_H

/*
 * Listen on 127.0.0.1, on the port that is the program's only argument. The socket is non-blocking
 * and has TCP_NODELAY, which Linux hands on to accepted ones. SIGPIPE is ignored from now on. What
 * goes wrong ends the program.
 */
int listen_on_argument(int argument_count, char *arguments[]);

/*
 * Bind a UDP socket to 127.0.0.1, on the port that is the program's only argument. It is blocking,
 * and holds what bursts bring, up to 4 MiB as far as the system allows. What goes wrong ends the
 * program.
 */
int bind_on_argument(int argument_count, char *arguments[]);

/* End the program with a sentence, if `result` is negative; otherwise return it. */
int must(int result, const char *what);

/* End the program with a sentence, if `pointer` is NULL; otherwise return it. */
void *must_have(void *pointer, const char *what) __attribute__((returns_nonnull));

#endif
