#include <config.h>

#include "echoprobe/tls_plan.h"

#include <string.h>

enum { NAME_MAX_LENGTH = 255 };

/* Add a name. Return false if it is none or has no room. */
static bool add_name(struct tls_alpn *alpn, const char *name, size_t length)
{
    if (length == 0 || length > NAME_MAX_LENGTH || alpn->length + 1 + length > sizeof alpn->names)
        return false;
    alpn->names[alpn->length] = (unsigned char)length;
    memcpy(alpn->names + alpn->length + 1, name, length);
    alpn->length += 1 + length;
    return true;
}

int tls_plan_parse_alpn(const char *text, void *member, struct error *error)
{
    struct tls_alpn *alpn = member;
    const char *rest = text;
    size_t length;

    *alpn = (struct tls_alpn){0};
    for (;; rest += length + 1) {
        length = strcspn(rest, ",");
        if (!add_name(alpn, rest, length)) {
            error_set(error, "names of protocols, with commas between them; write for example echo "
                             "or h2,http/1.1");
            return -1;
        }
        if (rest[length] == '\0')
            return 0;
    }
}
