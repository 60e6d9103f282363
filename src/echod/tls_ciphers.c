#include <config.h>

#include "echod/tls_ciphers.h"

#include "base/openssl_reason.h"
#include "echod/tls_options.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

#define ADVICE "openssl ciphers -v lists them"

/* Say that OpenSSL refused the whole list, and why. Return -1 with errno. */
static int refuse(struct error *error)
{
    openssl_explain(error, "ciphers", NULL, ADVICE);
    return -1;
}

/* The same of an item. */
static int refuse_item(const char *item, struct error *error)
{
    struct error explanation = {""};

    error_set(&explanation, "\"%s\" is no cipher", item);
    openssl_explain(error, "ciphers", explanation.text, ADVICE);
    return -1;
}

static bool is_suite(const char *name)
{
    return strncmp(name, "TLS_", 4) == 0;
}

/* Tell whether OpenSSL knows a cipher suite of TLS 1.3 of this name. */
static bool has_suite(SSL_CTX *ssl, const char *name)
{
    const STACK_OF(SSL_CIPHER) * ciphers;

    if (SSL_CTX_set_ciphersuites(ssl, name) != 1)
        return false;
    ciphers = SSL_CTX_get_ciphers(ssl);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)), name) == 0)
            return true;
    }
    return false;
}

/* Tell whether an item takes from a list, or orders it, and adds nothing. */
static bool is_modifier(const char *item)
{
    return item[0] != '\0' && strchr("!-+@", item[0]) != NULL;
}

/* Tell whether OpenSSL knows an item of a list; what takes from it may be anything. */
static bool has_cipher(SSL_CTX *ssl, const char *item)
{
    if (is_suite(item))
        return has_suite(ssl, item);
    return is_modifier(item) || (item[0] != '\0' && SSL_CTX_set_cipher_list(ssl, item) == 1);
}

/* The suites of TLS 1.3 in a list, and the ciphers of TLS 1.2; each list stands for itself. */
struct cipher_lists {
    char suites[TLS_CIPHERS_SIZE];
    char ciphers[TLS_CIPHERS_SIZE + sizeof DEFAULT_CIPHERS];
};

/* Append an item to a list with colons between its items, which has room for all of them. */
static void append_cipher(char *list, const char *item)
{
    char *end = list + strlen(list);

    if (end > list)
        *end++ = ':';
    memcpy(end, item, strlen(item) + 1);
}

/*
 * Take a list apart. OpenSSL passes over what it does not know, so that each item is tried alone.
 * Return 0, or -1 with a sentence.
 */
static int split_ciphers(SSL_CTX *trial, const char *list, struct cipher_lists *lists,
                         struct error *error)
{
    char copy[TLS_CIPHERS_SIZE], *rest = copy, *item;

    memcpy(copy, list, strlen(list) + 1);
    while ((item = strsep(&rest, ":")) != NULL) {
        if (!has_cipher(trial, item))
            return refuse_item(item, error);
        if (is_modifier(item) && lists->ciphers[0] == '\0')
            append_cipher(lists->ciphers, DEFAULT_CIPHERS); /* it takes from these */
        append_cipher(is_suite(item) ? lists->suites : lists->ciphers, item);
    }
    return 0;
}

/* The same, and its parts have their defaults where they are empty. */
static int read_ciphers(const char *list, struct cipher_lists *lists, struct error *error)
{
    SSL_CTX *trial = SSL_CTX_new(TLS_server_method());
    int status;

    *lists = (struct cipher_lists){.suites = ""};
    if (trial == NULL)
        return refuse(error);
    status = list[0] == '\0' ? 0 : split_ciphers(trial, list, lists, error);
    SSL_CTX_free(trial);
    if (lists->ciphers[0] == '\0')
        append_cipher(lists->ciphers, DEFAULT_CIPHERS);
    return status;
}

/* Whoever asks for ciphers of his own means their order, and may mean those with DHE. */
int tls_ciphers_set(SSL_CTX *ssl, const char *list, struct error *error)
{
    struct cipher_lists lists;

    if (read_ciphers(list, &lists, error) < 0)
        return -1;
    if (list[0] != '\0') {
        SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
        (void)SSL_CTX_set_dh_auto(ssl, 1);
    }
    if ((lists.suites[0] == '\0' || SSL_CTX_set_ciphersuites(ssl, lists.suites) == 1) &&
        SSL_CTX_set_cipher_list(ssl, lists.ciphers) == 1)
        return 0;
    return refuse(error);
}
