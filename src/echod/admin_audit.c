#include <config.h>

#include "echod/admin_audit.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { ACTION_SIZE = 400 };

static void write_name(const struct http_peer *peer, char name[ADMIN_AUDIT_NAME_SIZE])
{
    (void)snprintf(name, ADMIN_AUDIT_NAME_SIZE, "operator (uid %lu, pid %ld)",
                   (unsigned long)peer->uid, (long)peer->pid);
}

void admin_audit_name(const struct http_request *request, char name[ADMIN_AUDIT_NAME_SIZE])
{
    struct http_peer peer;

    http_request_peer(request, &peer);
    write_name(&peer, name);
}

void admin_audit(const struct http_request *request, const struct admin_context *context,
                 const char *format, ...)
{
    char action[ACTION_SIZE], name[ADMIN_AUDIT_NAME_SIZE];
    struct http_peer peer;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(action, sizeof action, format, arguments);
    va_end(arguments);
    http_request_peer(request, &peer);
    write_name(&peer, name);
    const struct log_field fields[] = {
        {.name = "action", .text = action},
        {.name = "uid", .number = peer.uid},
        {.name = "pid", .number = (uint64_t)peer.pid},
    };
    log_write_fields(context->view->log, LOG_LEVEL_INFO, fields, sizeof fields / sizeof fields[0],
                     "%s asks to %s", name, action);
}
