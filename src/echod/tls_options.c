#include <config.h>

#include "echod/tls_options.h"

#include <stdio.h>
#include <string.h>

/* Copy a text that was found right into a member of this size. */
static int keep(const char *text, size_t size, void *member, struct error *error)
{
    const size_t length = strlen(text);

    if (length >= size) {
        error_set(error, "a text of up to %zu characters", size - 1);
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

/* Tell whether a list has an item that is empty or longer than this. */
static bool has_bad_item(const char *list, size_t longest)
{
    for (;;) {
        const size_t length = strcspn(list, ";");

        if (length == 0 || length > longest)
            return true;
        if (list[length] == '\0')
            return false;
        list += length + 1;
    }
}

int tls_parse_files(const char *text, void *member, struct error *error)
{
    if (has_bad_item(text, TLS_FILES_SIZE) || tls_list_count(text) > TLS_FILES) {
        error_set(error,
                  "a list of 1 to %d files; write for example /etc/echod/a.pem;"
                  "/etc/echod/b.pem",
                  TLS_FILES);
        return -1;
    }
    return keep(text, TLS_FILES_SIZE, member, error);
}

int tls_parse_file(const char *text, void *member, struct error *error)
{
    if (text[0] == '\0') {
        error_set(error, "a file; write for example /etc/echod/ca.pem");
        return -1;
    }
    return keep(text, TLS_FILES_SIZE, member, error);
}

int tls_parse_alpn(const char *text, void *member, struct error *error)
{
    if (has_bad_item(text, TLS_ALPN_SIZE)) {
        error_set(error, "a list of protocols; write for example h2;http/1.1");
        return -1;
    }
    return keep(text, TLS_ALPN_SIZE, member, error);
}

/* What they are is OpenSSL's to know. */
int tls_parse_ciphers(const char *text, void *member, struct error *error)
{
    if (text[0] == '\0') {
        error_set(error, "a list of ciphers; write for example "
                         "ECDHE+AESGCM:TLS_AES_128_GCM_SHA256");
        return -1;
    }
    return keep(text, TLS_CIPHERS_SIZE, member, error);
}

bool tls_format_text(const void *member, char text[SETTING_VALUE_SIZE])
{
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s", (const char *)member);
    return text[0] != '\0';
}

size_t tls_list_count(const char *list)
{
    size_t count = list[0] != '\0';

    for (; *list != '\0'; list++)
        count += *list == ';';
    return count;
}

bool tls_list_next(const char **list, char *item)
{
    const size_t length = strcspn(*list, ";");

    if (**list == '\0')
        return false;
    memcpy(item, *list, length);
    item[length] = '\0';
    *list += length;
    *list += **list == ';';
    return true;
}
