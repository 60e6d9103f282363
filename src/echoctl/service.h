/*
 * service: asks the echod at a place, and says on standard error why it has no answer, or a
 * refusal. Does not know what the answers mean. Called by looks, listing, actions and top.
 */
#ifndef ECHOCTL_SERVICE_H
#define ECHOCTL_SERVICE_H

#include "echoctl/http_client.h"

/* Plain data. */
struct service {
    const struct place *place;
    uint64_t timeout_ms; /* of each answer */
};

/* Ask, and say nothing: as http_client_ask. */
enum http_outcome service_try(const struct service *service, const char *target,
                              struct http_reply *answer, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Ask for what is done by a method with a target and a body, or NULL. Return an EXIT_STATUS_*; with
 * EXIT_STATUS_DONE, http_reply_free frees the answer, otherwise a sentence has been printed, and
 * there is nothing to free.
 */
int service_ask(const struct service *service, const char *method, const char *target,
                const char *body, struct http_reply *answer) __attribute__((warn_unused_result));

/* Do the same for an answer that must be JSON, and give its value. */
int service_ask_json(const struct service *service, const char *method, const char *target,
                     const char *body, struct http_reply *answer, const char **json)
    __attribute__((warn_unused_result));

/* Say that an answer is not what it should be: "no list of connections". Return the exit status. */
int service_misunderstand(const struct service *service, const char *what);

#endif
