/*
 * scene: clients over socket pairs, TCP and pipes, with tiny limits, and the connections of echod
 * that serve them.
 * Decides nothing about an echo; the tests do.
 * Called by each check_connection*.c.
 */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include "echod/connection.h"
#include "support.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum {
    CLIENTS = 8,
    READ_BYTES = 4096,    /* one read moves no more (libevent 2.1, EVBUFFER_MAX_READ) */
    KERNEL_BYTES = 16384, /* what a socket is asked to hold of the echo */
    HALF_BYTES = 200000,  /* more than the kernel holds, less than the high mark */
    SHORT_MS = 60,        /* a time-out that a test waits for */
    LONG_MS = 60000,      /* one that never comes in a test that passes */
    STATES = 5,
    FIRST_CLOSING = 3, /* from this state on we have closed it */
};

/*
 * What lies between a client and its connection, and how the connection reads. Each test says for
 * which of them it holds: sockets are all but the first, and the last ones take the shortcut.
 */
enum transport {
    PIPES,
    UNIX_PAIR,
    TCP_PAIR,
    UNIX_SHORTCUT,
    TCP_SHORTCUT,
    TRANSPORT_COUNT,
    FIRST_SOCKET = UNIX_PAIR,
    FIRST_SHORTCUT = UNIX_SHORTCUT,
    SOCKET_COUNT = TRANSPORT_COUNT - FIRST_SOCKET,
};

struct client;

/* What a client has above its socket. */
struct client_layer {
    ssize_t (*write)(struct client *client, const void *bytes, size_t size); /* as write(2) */
    ssize_t (*read)(struct client *client, void *bytes, size_t size);        /* as read(2) */
    void (*finish)(struct client *client); /* nothing more will be written */
};

/* One client: its ends of the descriptors, what it moved, and what became of its connection. */
struct client {
    int to_fd, from_fd;               /* equal for a socket; -1 when closed */
    const struct client_layer *layer; /* NULL: nothing */
    struct connection *connection;
    enum transport transport;
    uint64_t sent, received;
    uint64_t send_goal, receive_goal;
    bool has_finished; /* said FIN */
    bool is_eof;
    int error; /* of a read or write */
    unsigned ends;
    enum close_reason reason;
    uint64_t ended_ms;
};

struct scene {
    struct connection_pool pool;
    struct connection_group group;
    struct counters counters;
    _Atomic uint64_t impaired; /* connections that misbehave */
    struct client clients[CLIENTS];
    int count;
    unsigned ends;
    uint64_t bytes_in, bytes_out;
    uint64_t looked_ms;                 /* when scene_look was called last */
    uint64_t in_after_ms, out_after_ms; /* bytes last moved after these times */
};

extern struct scene scene;

extern const struct connection_limits scene_usual_limits;

/* Add a test case to a suite: each of its tests begins with a scene that nobody is on yet. */
TCase *scene_case(Suite *suite, const char *name);

/* What stands around each test. */
void scene_setup(void);
void scene_teardown(void);

/* How a group serves its clients; zeros are fine but for the limits. */
struct serving {
    const struct connection_limits *limits;
    unsigned proxy_versions, identify_mode; /* enum listener_identify */
    const struct impair *impair;
    struct byte_line *line;
    struct tls_context *tls; /* the caller's */
};

/* Serve clients so; before the first one. What follows are parts of that. */
void scene_use(const struct serving *serving);

/* Take other limits; before the first client. */
void scene_use_limits(const struct connection_limits *limits);
void scene_use_timeouts(uint64_t idle_ms, uint64_t lifetime_ms, uint64_t write_ms,
                        uint64_t linger_ms);

/* Ask for a PROXY header of these versions, under these limits; before the first client. */
void scene_use_proxy(unsigned versions, const struct connection_limits *limits);

/* Tell clients who serves them, in this mode (enum listener_identify); the rest is the same. */
void scene_use_identity(unsigned mode, unsigned proxy_versions,
                        const struct connection_limits *limits);

/* The same with TLS, unless it is NULL; it is the caller's. */
void scene_use_tls(struct tls_context *tls, unsigned mode, unsigned proxy_versions,
                   const struct connection_limits *limits);

/* Let connections misbehave, under these limits; before the first client. */
void scene_use_impair(const struct impair *impair, const struct connection_limits *limits);

/* Both. */
void scene_use_impaired_identity(unsigned mode, const struct impair *impair,
                                 const struct connection_limits *limits);

/* Let connections share a rate, under these limits; before the first client. */
void scene_use_line(struct byte_line *line, const struct connection_limits *limits);

uint64_t scene_count_of(enum counter which);

/* Keep account of when bytes moved, and check that no bound is passed. */
void scene_look(void);

/* The ends of what lies between a client and its connection. */
struct pair {
    int client_to, client_from, input, output;
    union peer peer;
};

struct pair pair_make(enum transport transport);

/* Make a client and, where there is memory for it, its connection. */
struct client *client_meet_over(const struct pair *pair, enum transport transport);

/* Make a client whose connection has not started. */
struct client *client_meet(enum transport transport);

/* Start a client's connection. */
void client_start(struct client *client);

/* Make a client whose connection has started. */
struct client *client_join(enum transport transport);

/* As write(2) and read(2), through what is above the client's socket. */
ssize_t client_write(struct client *client, const void *bytes, size_t size);
ssize_t client_read(struct client *client, void *bytes, size_t size);

/* Write at most so much. */
void client_send(struct client *client, uint64_t size);

/* Read at most so much, and compare it with what was sent. */
void client_receive(struct client *client, uint64_t size);

/* Say FIN: nothing more will be sent. */
void client_finish(struct client *client);

/* Close; or close so that the other side sees a reset (RFC 9293, 3.10.4; socket(7), SO_LINGER). */
void client_hang_up(struct client *client);
void client_reset(struct client *client);

/* What the loop is turned for; each takes a client, and the last one none. */
bool client_has_ended(void *argument);
bool client_has_sent(void *argument);
bool client_has_received(void *argument);
bool client_sees_end(void *argument);
bool client_is_paused(void *argument); /* sends whatever goes; tells whether reading has paused */
bool client_is_paused_or_ended(void *argument);
bool scene_is_echoed(void *argument); /* the kernel has taken all that clients sent again */

/* Send so much and get it back. */
void client_exchange(struct client *client, uint64_t size);

void client_send_all(struct client *client, uint64_t size);

/* Read until FIN, and see that all came. */
void client_receive_all(struct client *client);

void client_await_end(struct client *client, enum close_reason reason);

/* Let some time pass in which the condition's side effects go on. */
void client_keep_on(support_condition *condition, struct client *client, uint64_t duration_ms);

/* What a connection goes through; over pipes it does not linger. */
extern void (*const client_states[STATES])(struct client *client);
void client_become_paused(struct client *client);
void client_become_half_closed(struct client *client);
void client_become_lingering(struct client *client);

/* The number of a loop test that goes through all states over all sockets says which transport. */
enum transport scene_socket_of(int number);

/* Send until the echo waits, though there is room below the high mark. */
void client_let_echo_wait(struct client *client);

/*
 * Begin connections of the group, each time with the next allocation failing, until none fails: at
 * least one does, and nothing is left behind.
 */
void scene_start_without_memory(void);

#endif
