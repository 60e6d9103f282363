#include <config.h>

#include "secure.h"

bool secure_is_there(void)
{
    return false;
}

struct tls_context *secure_begin(void)
{
    return NULL;
}

void secure_end(void)
{
}

void secure_join(struct client *client, bool is_old)
{
    (void)client, (void)is_old;
    ck_abort();
}

void secure_shake(bool is_half)
{
    (void)is_half;
}

bool secure_may_finish(void)
{
    return false;
}

bool secure_is_ready(void)
{
    return false;
}

bool secure_is_closed(void)
{
    return false;
}

bool secure_send_part(struct client *client, size_t size)
{
    (void)client, (void)size;
    return false;
}

void secure_close(void)
{
}

void secure_truncate(void)
{
}

void secure_give_up(void)
{
}

void secure_leave(void)
{
}

bool secure_update_keys(void)
{
    return false;
}
