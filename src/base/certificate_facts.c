#include <config.h>

#include "base/certificate_facts.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { DAY_SECONDS = 24 * 3600 };

/* --- From when to when ----------------------------------------------------------------------- */

/* Tell a time in seconds since 1970, also behind the end of time_t. Return false without one. */
static bool read_time(const ASN1_TIME *text, int64_t *time)
{
    static const struct tm epoch = {.tm_year = 70, .tm_mday = 1};
    struct tm parts;
    int days, seconds;

    if (ASN1_TIME_to_tm(text, &parts) != 1 ||
        OPENSSL_gmtime_diff(&days, &seconds, &epoch, &parts) != 1)
        return false;
    *time = (int64_t)days * DAY_SECONDS + seconds;
    return true;
}

static int fault_code(const X509 *certificate, time_t now)
{
    int64_t begin, end;

    if (!read_time(X509_get0_notBefore(certificate), &begin))
        return X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD;
    if (!read_time(X509_get0_notAfter(certificate), &end))
        return X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
    if (now < begin)
        return X509_V_ERR_CERT_NOT_YET_VALID;
    return now > end ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

const char *certificate_fault(const X509 *certificate, time_t now)
{
    const int code = fault_code(certificate, now);

    return code == X509_V_OK ? NULL : X509_verify_cert_error_string(code);
}

int64_t certificate_seconds_left(const X509 *certificate, time_t now)
{
    int64_t end;

    return read_time(X509_get0_notAfter(certificate), &end) ? end - now : -1;
}

static void format_time(const ASN1_TIME *time, char text[CERTIFICATE_TIME_SIZE])
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1 ||
        strftime(text, CERTIFICATE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(text, CERTIFICATE_TIME_SIZE, "at no time");
}

void certificate_format_begin(const X509 *certificate, char text[CERTIFICATE_TIME_SIZE])
{
    format_time(X509_get0_notBefore(certificate), text);
}

void certificate_format_end(const X509 *certificate, char text[CERTIFICATE_TIME_SIZE])
{
    format_time(X509_get0_notAfter(certificate), text);
}

/* --- Whose ----------------------------------------------------------------------------------- */

/* Append text of this length, with a question mark for a NUL; of what does not fit, "...". */
static void append(char text[CERTIFICATE_TEXT_SIZE], const char *part, size_t length)
{
    const size_t used = strlen(text), room = CERTIFICATE_TEXT_SIZE - 1 - used;
    const size_t taken = length < room ? length : room;

    for (size_t i = 0; i < taken; i++)
        text[used + i] = (char)(part[i] == '\0' ? '?' : part[i]);
    text[used + taken] = '\0';
    if (taken < length)
        memcpy(text + CERTIFICATE_TEXT_SIZE - sizeof "...", "...", sizeof "...");
}

static void format_name(const X509_NAME *name, char text[CERTIFICATE_TEXT_SIZE])
{
    const unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    BIO *bio = BIO_new(BIO_s_mem());
    char *printed;
    long length = 0;

    text[0] = '\0';
    if (bio == NULL)
        return;
    if (X509_NAME_print_ex(bio, name, 0, flags) >= 0)
        length = BIO_get_mem_data(bio, &printed);
    if (length > 0)
        append(text, printed, (size_t)length);
    BIO_free(bio);
}

void certificate_subject(const X509 *certificate, char text[CERTIFICATE_TEXT_SIZE])
{
    format_name(X509_get_subject_name(certificate), text);
}

void certificate_issuer(const X509 *certificate, char text[CERTIFICATE_TEXT_SIZE])
{
    format_name(X509_get_issuer_name(certificate), text);
}

/* --- For whom -------------------------------------------------------------------------------- */

static GENERAL_NAMES *names_of(const X509 *certificate)
{
    return X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

/* Return the family of an IP address by its length, or AF_UNSPEC. */
static int family_of(const ASN1_STRING *address)
{
    switch (ASN1_STRING_length(address)) {
    case 4:
        return AF_INET;
    case 16:
        return AF_INET6;
    default:
        return AF_UNSPEC;
    }
}

/* Return the text of a name, or NULL if it has none; `address` has room for an IP address. */
static const char *name_text(const GENERAL_NAME *name, char address[INET6_ADDRSTRLEN],
                             size_t *length)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (type == GEN_DNS || type == GEN_URI || type == GEN_EMAIL) {
        *length = (size_t)ASN1_STRING_length(value);
        return (const char *)ASN1_STRING_get0_data(value);
    }
    if (type != GEN_IPADD || inet_ntop(family_of(value), ASN1_STRING_get0_data(value), address,
                                       INET6_ADDRSTRLEN) == NULL)
        return NULL;
    *length = strlen(address);
    return address;
}

void certificate_names(const X509 *certificate, char text[CERTIFICATE_TEXT_SIZE])
{
    GENERAL_NAMES *names = names_of(certificate);

    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char address[INET6_ADDRSTRLEN];
        size_t length = 0;
        const char *name = name_text(sk_GENERAL_NAME_value(names, i), address, &length);

        if (name == NULL)
            continue;
        if (text[0] != '\0')
            append(text, ", ", 2);
        append(text, name, length);
    }
    GENERAL_NAMES_free(names);
}

static bool is_for(X509 *certificate, const char *name, size_t length)
{
    return X509_check_host(certificate, name, length, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
           1;
}

bool certificate_is_for(X509 *certificate, const char *name)
{
    return is_for(certificate, name, strlen(name));
}

/* Tell whether a certificate is for a name, if that is one of a host. */
static bool covers_name(X509 *certificate, const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (type == GEN_IPADD)
        return X509_check_ip(certificate, ASN1_STRING_get0_data(value),
                             (size_t)ASN1_STRING_length(value), 0) == 1;
    return type != GEN_DNS || is_for(certificate, (const char *)ASN1_STRING_get0_data(value),
                                     (size_t)ASN1_STRING_length(value));
}

/* A wildcard is for itself, too (X509_check_host). Without names, the subject says whose it is. */
bool certificate_covers(X509 *certificate, const X509 *other)
{
    GENERAL_NAMES *names = names_of(other);
    bool is_covered = names != NULL || X509_NAME_cmp(X509_get_subject_name(certificate),
                                                     X509_get_subject_name(other)) == 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        is_covered = is_covered && covers_name(certificate, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return is_covered;
}
