#include <config.h>

#include "base/openssl_reason.h"

#include <errno.h>
#include <openssl/err.h>

const char *openssl_take_reason(void)
{
    const unsigned long code = ERR_peek_error(); /* what came first is behind the others */
    const char *reason = ERR_reason_error_string(code);

    errno = code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? ENOMEM : EINVAL;
    ERR_clear_error();
    return reason == NULL ? "for no reason that it gives" : reason;
}
