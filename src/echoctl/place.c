#include <config.h>

#include "echoctl/place.h"

#include <stdio.h>
#include <string.h>

static int refuse(struct error *error)
{
    error_set(error, "a place to ask; write for example /run/echod/admin.sock or "
                     "http://127.0.0.1:9265");
    return -1;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Tell whether it can only be a path, or an abstract name: a host and a port have a colon. */
static bool is_path(const char *text)
{
    return strstr(text, "://") == NULL && (strchr(text, '/') != NULL || strchr(text, ':') == NULL);
}

static int read_path(const char *path, struct place *place, struct error *error)
{
    if (path[0] == '\0' || strlen(path) >= sizeof place->address.path)
        return refuse(error);
    *place = (struct place){.address.scheme = ADDRESS_UNIX};
    (void)snprintf(place->address.path, sizeof place->address.path, "%s", path);
    (void)snprintf(place->text, sizeof place->text, "%s", path);
    return 0;
}

/* Read what stands in a URL before its host, and the host and the port. */
static int read_url(const char *text, struct place *place, struct error *error)
{
    const size_t scheme = begins_with(text, "http://") ? strlen("http://") : 0;
    char authority[ADDRESS_TEXT_SIZE];
    struct error ignored = {""};
    size_t length = strlen(text + scheme);

    if (scheme > 0 && length > 0 && text[scheme + length - 1] == '/')
        length--;
    if (length >= sizeof authority)
        return refuse(error);
    (void)snprintf(authority, sizeof authority, "%.*s", (int)length, text + scheme);
    *place = (struct place){0};
    if ((scheme > 0 && strchr(authority, '/') != NULL) ||
        address_parse_target(authority, PLACE_PORT, &place->address, &ignored) < 0)
        return refuse(error);
    if (place->address.scheme == ADDRESS_UNIX && !place->address.is_tls)
        return read_path(text + strlen("unix://"), place, error);
    if (place->address.scheme != ADDRESS_TCP || place->address.is_tls)
        return refuse(error);
    address_format(&place->address, authority);
    (void)snprintf(place->text, sizeof place->text, "http://%.320s",
                   authority + strlen(address_prefix(&place->address)));
    return 0;
}

int place_parse(const char *text, void *place, struct error *error)
{
    return is_path(text) ? read_path(text, place, error) : read_url(text, place, error);
}
