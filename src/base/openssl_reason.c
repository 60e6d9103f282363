#include <config.h>

#include "base/openssl_reason.h"

#include "base/openssl_memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <string.h>

/* OpenSSL 3 has no words for what the system said. */
static const char *reason_of(unsigned long code)
{
    const char *reason = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : NULL;

    return reason != NULL ? reason : ERR_reason_error_string(code);
}

const char *openssl_take_reason(void)
{
    const char *reason = reason_of(ERR_peek_error()); /* the others followed from it */
    bool is_out_of_memory = openssl_memory_has_lacked();
    unsigned long code;

    while ((code = ERR_get_error()) != 0)
        is_out_of_memory = is_out_of_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    errno = is_out_of_memory ? ENOMEM : EINVAL;
    if (is_out_of_memory)
        return "there is no memory";
    return reason == NULL ? "for no reason that it gives" : reason;
}

void openssl_explain(struct error *error, const char *what, const char *explanation,
                     const char *advice)
{
    const char *reason = openssl_take_reason();

    if (errno == ENOMEM)
        error_set(error, "%s: %s; let the system have more free memory", what, strerror(ENOMEM));
    else if (explanation == NULL)
        error_set(error, "%s: %s; %s", what, reason, advice);
    else
        error_set(error, "%s: %s: %s; %s", what, explanation, reason, advice);
}
