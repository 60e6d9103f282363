/*
 * opening: opens addresses as echod does, and sees what came of it.
 * Resolves nothing but "localhost", and reaches nothing beyond the loopback.
 * Called by check_sockets, and by the checks of each kind of address.
 */
#ifndef TESTS_UNIT_OPENING_H
#define TESTS_UNIT_OPENING_H

#include "echod/sockets.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKLOG = 64, LIST_SIZE = 8 };

struct opening {
    struct sockets sockets;
    struct passed passed;
    struct listener_options options; /* of all addresses that are opened from here on */
    struct error error;              /* the last that was reported, */
    unsigned errors;                 /* and how many were */
    char directory[32];
    char path[64]; /* of a Unix socket in it */
    char url[80];  /* the same as an address */
};

extern struct opening opening;

/* What stands around each test: a directory of its own, and sockets that are closed after it. */
void opening_setup(void);
void opening_teardown(void);

/* Add a test case to a suite whose tests have that around them. */
TCase *opening_case(Suite *suite, const char *name);

/* Addresses as text, for the functions below. */
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Make a list of addresses; it is said that the second one stands in a file. */
struct listen_list opening_list(struct listen items[LIST_SIZE], const char *const texts[]);

/* Keep an error that is reported. */
void opening_on_error(const struct error *error, void *argument);

/* Open addresses into other sockets than the test's; return the status. */
int opening_open_into(struct sockets *sockets, size_t workers, const char *const texts[]);

/* Open addresses. */
void opening_open(size_t workers, const char *const texts[]);

/* See that opening fails with a sentence that names `part`, and that nothing is left open. */
void opening_check_refused(size_t workers, const char *const texts[], const char *part);

/* Close everything, and see that no descriptor is left of those that were opened since. */
void opening_close(unsigned descriptors);

/* See that an endpoint is a listener with a socket of its own for each worker. */
void opening_check_listener(const struct endpoint *endpoint, size_t workers);

int opening_option_of(int fd, int level, int option);

/* Return the port that an endpoint's name ends with. */
uint16_t opening_port_of(const struct endpoint *endpoint);

/* Connect to the loopback's port, or to the Unix socket's path; close the socket. */
int opening_connect_port(uint16_t port);
int opening_connect_path(void);

/* Accept all that wait on one of an endpoint's sockets. Return how many there were. */
unsigned opening_accept(int listening_fd);

/* Bind a Unix socket of the test's own, and listen if asked to. */
int opening_bind_path(bool listens);

/* Write the address of a descriptor. */
const char *opening_fd_url(int fd);

#endif
