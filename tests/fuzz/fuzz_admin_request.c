/*
 * fuzz_admin_request: what must be true of who may ask the admin endpoint, and of the form that a
 * client wants, whatever the headers Host, Origin and Accept say: a second, naive reading agrees.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/accept.h"
#include "echod/admin_guard.h"

#include "fuzz.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 255 };

/* Tell whether it is four numbers of up to 255, as a browser writes them. */
static bool is_quad(const char *name)
{
    for (int i = 0; i < 4; i++) {
        const size_t length = strspn(name, "0123456789");

        if (length < 1 || length > 3 || strtol(name, NULL, 10) > 255 ||
            (length > 1 && name[0] == '0'))
            return false;
        name += length;
        if (i < 3 && *name++ != '.')
            return false;
    }
    return *name == '\0';
}

static bool is_ours(const char *header, const char *host)
{
    char *name = fuzz_text((const unsigned char *)header, strlen(header));
    char *end = strchr(name, name[0] == '[' ? ']' : ':');
    const char *begin = name[0] == '[' ? name + 1 : name;
    struct in6_addr ignored;
    bool is_known;

    if (end != NULL)
        *end = '\0';
    is_known = is_quad(begin) || inet_pton(AF_INET6, begin, &ignored) == 1 ||
               strcasecmp(begin, "localhost") == 0 ||
               (host[0] != '\0' && strcasecmp(begin, host) == 0);
    is_known = is_known && strlen(begin) <= HOST_MAX;
    free(name);
    return is_known;
}

static bool is_same_origin(const char *origin, const char *header)
{
    char *expected = malloc(strlen("http://") + strlen(header) + 1);
    bool is_same;

    fuzz_require(expected != NULL);
    (void)sprintf(expected, "http://%s", header);
    is_same = strcasecmp(origin, expected) == 0 && strncmp(origin, "http://", 7) == 0;
    free(expected);
    return is_same;
}

/* A type is wanted as much as one that says so, and not at all where nobody names it. */
static void check_accept(const char *header)
{
    static const char *const versions[] = {"1.0.0", NULL};
    const unsigned any = accept_quality(header, "text/plain", NULL);
    const unsigned one = accept_quality(header, "text/plain", versions);

    fuzz_require(any <= ACCEPT_QUALITY_MAX && one <= any);
    if (strcasestr(header, "text/plain") == NULL)
        fuzz_require(any == 0);
}

/* Return the text behind this one, or an empty one at the end. */
static const char *next_text(const char *text, const char *end)
{
    const char *next = text + strlen(text);

    return next < end ? next + 1 : next;
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *header = fuzz_text(input, length);
    const char *end = header + length;
    const char *host = next_text(header, end);
    const char *origin = next_text(host, end);

    fuzz_require(admin_guard_is_host_ours(header, host) == is_ours(header, host));
    fuzz_require(admin_guard_is_origin_ours(origin, header) == is_same_origin(origin, header));
    fuzz_require(!admin_guard_is_origin_ours(origin, NULL));
    check_accept(next_text(origin, end));
    free(header);
    return 0;
}
