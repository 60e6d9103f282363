#include <config.h>

#include "echod/close_reason.h"

#include <errno.h>
#include <stdlib.h>

const char *close_reason_name(enum close_reason reason)
{
    switch (reason) {
    case CLOSE_CLIENT:
        return "client closed";
    case CLOSE_RESET:
        return "reset by client";
    case CLOSE_NETWORK_ERROR:
        return "network error";
    case CLOSE_IDLE:
        return "idle timeout";
    case CLOSE_WRITE_STALL:
        return "write timeout";
    case CLOSE_LIFETIME:
        return "lifetime over";
    case CLOSE_UNTRUSTED:
        return "untrusted proxy";
    case CLOSE_INVALID:
        return "bad PROXY header";
    case CLOSE_REFUSED:
        return "refused";
    case CLOSE_HANDSHAKE:
        return "handshake timeout";
    case CLOSE_IDENTIFIED:
        return "identity sent";
    case CLOSE_ON_PURPOSE:
        return "closed on purpose";
    case CLOSE_RESET_ON_PURPOSE:
        return "reset on purpose";
    case CLOSE_REFUSED_ON_PURPOSE:
        return "refused on purpose";
    case CLOSE_TLS:
        return "TLS error";
    case CLOSE_TRUNCATED:
        return "client closed without close_notify";
    case CLOSE_OPERATOR:
        return "closed by an operator";
    case CLOSE_DRAIN:
        return "drained";
    case CLOSE_STOP:
        return "stopped";
    case CLOSE_NO_MEMORY:
        return "out of memory";
    }
    abort(); /* no such reason */
}

enum close_reason close_reason_of_errno(int error)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE:
        return CLOSE_RESET;
    case ENOMEM:
    case ENOBUFS:
        return CLOSE_NO_MEMORY;
    default:
        return CLOSE_NETWORK_ERROR;
    }
}
