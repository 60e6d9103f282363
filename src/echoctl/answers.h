/*
 * answers: what the service tells of itself, its listeners and its connections: JSON -> plain data.
 * Passes over members that it does not know, since a newer service may have more of them; what it
 * misses is empty or 0.
 * Called by looks, listing, actions, words, busiest and top.
 */
#ifndef ECHOCTL_ANSWERS_H
#define ECHOCTL_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ANSWERS_WORD_SIZE = 64,  /* of a word that the service chooses */
    ANSWERS_TEXT_SIZE = 512, /* of a name or an address; what is longer ends in "..." */
};

/* Texts are as they came, and may hold anything: whoever shows them escapes them. */

struct traffic {
    uint64_t open, max, accepted, refused; /* connections */
    uint64_t in_bytes, out_bytes;
    uint64_t datagrams_in, datagrams_out;
};

struct service_facts {
    char version[ANSWERS_WORD_SIZE];
    char hostname[ANSWERS_TEXT_SIZE];
    char started[ANSWERS_WORD_SIZE];
    char state[ANSWERS_WORD_SIZE];
    char log_level[ANSWERS_WORD_SIZE];
    uint64_t pid, uptime_ms, workers, log_dropped, reloads;
    struct traffic traffic;
    uint64_t queued_bytes;
    double loop_lag_ms;    /* of the worker that is latest */
    const char *listeners; /* the first one, a value of JSON, or NULL: the next is json_next's */
};

struct listener_facts {
    char name[ANSWERS_TEXT_SIZE];
    char address[ANSWERS_TEXT_SIZE];
    char state[ANSWERS_WORD_SIZE];
    bool has_datagrams, has_tls;
    struct traffic traffic;
};

struct tls_facts {
    char version[ANSWERS_WORD_SIZE];
    char cipher[ANSWERS_WORD_SIZE];
    char sni[ANSWERS_TEXT_SIZE];
    char alpn[ANSWERS_TEXT_SIZE];
    char subject[ANSWERS_TEXT_SIZE];
    bool is_resumed;
};

struct connection_facts {
    uint64_t id;
    char listener[ANSWERS_TEXT_SIZE];
    char peer[ANSWERS_TEXT_SIZE];
    char via[ANSWERS_TEXT_SIZE]; /* the proxy, or empty */
    char state[ANSWERS_WORD_SIZE];
    uint64_t age_ms, idle_ms, in_bytes, out_bytes, queued_bytes, worker;
    bool has_tls;
    struct tls_facts tls; /* where it has */
};

/* Read an object. Return false if it is none, or none of this kind. */
bool answers_read_service(const char *json, struct service_facts *facts);
bool answers_read_listener(const char *json, struct listener_facts *facts);
bool answers_read_connection(const char *json, struct connection_facts *facts);

/* Tell whether it is an array of nothing else. */
bool answers_are_listeners(const char *json);
bool answers_are_connections(const char *json);

#endif
