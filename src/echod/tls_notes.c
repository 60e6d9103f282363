#include <config.h>

#include "echod/tls_notes.h"

#include "base/certificate.h"
#include "base/certificate_facts.h"
#include "base/date.h"
#include "base/error.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum { DAY_S = 24 * 3600, WARNING_DAYS = 30 };

/* What is told, and who is told. */
struct telling {
    const char *listener;
    tls_note_callback *on_note;
    void *argument;
    time_t now;
};

/* Begin a note with the facts that all have. */
static struct tls_note begin_note(const struct telling *telling, enum log_level level,
                                  const char *text)
{
    return (struct tls_note){
        .level = level,
        .text = text,
        .fields = {{.name = "address", .text = telling->listener}},
        .field_count = 1,
    };
}

static void add_fact(struct tls_note *note, struct log_field fact)
{
    note->fields[note->field_count++] = fact;
}

/* Tell a warning that is no more than a sentence. */
static void warn(const struct telling *telling, const struct error *sentence)
{
    const struct tls_note note = begin_note(telling, LOG_LEVEL_WARNING, sentence->text);

    telling->on_note(&note, telling->argument);
}

/* --- When they end --------------------------------------------------------------------------- */

static bool ends_soon(const struct telling *telling, const X509 *certificate)
{
    return certificate_seconds_left(certificate, telling->now) < (int64_t)WARNING_DAYS * DAY_S;
}

/* Write when a certificate ends, as a sentence goes on. */
static void format_end(const struct telling *telling, const X509 *certificate,
                       struct error *sentence)
{
    const int64_t left_s = certificate_seconds_left(certificate, telling->now);
    char end[CERTIFICATE_TIME_SIZE];

    certificate_format_end(certificate, end);
    if (left_s < 0)
        error_set(sentence, "ended %s", end);
    else if (left_s < DAY_S)
        error_set(sentence, "ends %s, within a day", end);
    else
        error_set(sentence, "ends %s, in %" PRId64 " day%s", end, left_s / DAY_S,
                  left_s / DAY_S == 1 ? "" : "s");
}

/* Return the earlier of the two, as seconds since 1970. */
static uint64_t earlier(uint64_t end_s, const X509 *certificate)
{
    const int64_t other_s = certificate_seconds_left(certificate, 0);

    return other_s < 0 ? 0 : (uint64_t)other_s < end_s ? (uint64_t)other_s : end_s;
}

uint64_t tls_notes_first_end(const struct tls_context *context)
{
    const struct certificate *certificate;
    uint64_t end_s = UINT64_MAX;

    for (size_t i = 0; (certificate = tls_context_certificate(context, i)) != NULL; i++) {
        end_s = earlier(end_s, certificate->leaf);
        for (int j = 0; j < sk_X509_num(certificate->chain); j++)
            end_s = earlier(end_s, sk_X509_value(certificate->chain, j));
    }
    return end_s;
}

/* Tell whose a certificate is, for whom it is, and when it ends. */
static void tell_certificate(const struct telling *telling, const struct certificate *certificate)
{
    const int64_t left_s = certificate_seconds_left(certificate->leaf, telling->now);
    const bool is_late = ends_soon(telling, certificate->leaf);
    char subject[CERTIFICATE_TEXT_SIZE], names[CERTIFICATE_TEXT_SIZE], end[CERTIFICATE_TIME_SIZE];
    struct error text = {""}, ends = {""};
    struct tls_note note =
        begin_note(telling, is_late ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, text.text);

    certificate_subject(certificate->leaf, subject);
    certificate_names(certificate->leaf, names);
    certificate_format_end(certificate->leaf, end);
    format_end(telling, certificate->leaf, &ends);
    error_set(&text, "certificate of %s: %s: %s%s%s, %s%s", telling->listener, certificate->file,
              subject, names[0] == '\0' ? "" : " for ", names, ends.text,
              is_late ? "; renew it" : "");
    add_fact(&note, (struct log_field){.name = "file", .text = certificate->file});
    add_fact(&note, (struct log_field){.name = "subject", .text = subject});
    add_fact(&note, (struct log_field){.name = "names", .text = names});
    add_fact(&note, (struct log_field){.name = "ends", .text = end});
    add_fact(&note, (struct log_field){.name = "days_left",
                                       .number = left_s < 0 ? 0 : (uint64_t)(left_s / DAY_S)});
    telling->on_note(&note, telling->argument);
}

/* Warn of an issuer that ends soon, or has ended: all that it issued goes with it. */
static void warn_of_issuer(const struct telling *telling, const char *what, const X509 *issuer)
{
    char subject[CERTIFICATE_TEXT_SIZE];
    struct error sentence = {""}, ends = {""};

    if (!ends_soon(telling, issuer))
        return;
    certificate_subject(issuer, subject);
    format_end(telling, issuer, &ends);
    error_set(&sentence, "%s of %s: %s %s; renew it", what, telling->listener, subject, ends.text);
    warn(telling, &sentence);
}

/* --- What looks wrong ------------------------------------------------------------------------ */

/* Each has to be the issuer of the one before it (RFC 5246, 7.4.2); some clients insist. */
static void warn_of_order(const struct telling *telling, const struct certificate *certificate)
{
    X509 *issued = certificate->leaf;

    for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
        X509 *issuer = sk_X509_value(certificate->chain, i);
        struct error sentence = {""};

        if (X509_check_issued(issuer, issued) != X509_V_OK) {
            error_set(&sentence,
                      "certificate of %s: %s: number %d in it did not issue number %d; put behind "
                      "each the one that issued it",
                      telling->listener, certificate->file, i + 2, i + 1);
            warn(telling, &sentence);
            return;
        }
        issued = issuer;
    }
}

static void warn_of_key(const struct telling *telling, const struct certificate *certificate)
{
    struct error sentence = {""};

    if (!certificate->is_key_exposed)
        return;
    error_set(&sentence,
              "key of %s: others than the owner of %s and his group may read or write it; let "
              "them not, by chmod o= %s",
              telling->listener, certificate->key_file, certificate->key_file);
    warn(telling, &sentence);
}

/* Of two that are for the same hosts, a client gets the one whose type of key it prefers. */
static const struct certificate *find_preferred(const struct tls_context *context, size_t index)
{
    const struct certificate *certificate = tls_context_certificate(context, index);

    for (size_t i = 0; i < index; i++) {
        const struct certificate *other = tls_context_certificate(context, i);

        if (EVP_PKEY_base_id(other->key) == EVP_PKEY_base_id(certificate->key) &&
            certificate_covers(other->leaf, certificate->leaf))
            return other;
    }
    return NULL;
}

static void warn_of_double(const struct telling *telling, const struct tls_context *context,
                           size_t index)
{
    const struct certificate *preferred = find_preferred(context, index);
    struct error sentence = {""};

    if (preferred == NULL)
        return;
    error_set(
        &sentence,
        "certificate of %s: %s is never shown: %s before it is for the same hosts, with a key "
        "of the same type; leave one out",
        telling->listener, tls_context_certificate(context, index)->file, preferred->file);
    warn(telling, &sentence);
}

/* --- All of it ------------------------------------------------------------------------------- */

static void warn_of_chain(const struct telling *telling, const struct certificate *certificate)
{
    for (int i = 0; i < sk_X509_num(certificate->chain); i++)
        warn_of_issuer(telling, "issuer in the chain", sk_X509_value(certificate->chain, i));
}

static void warn_of_client_ca(const struct telling *telling, const struct tls_context *context)
{
    const STACK_OF(X509) *client_ca = tls_context_client_ca(context);

    for (int i = 0; client_ca != NULL && i < sk_X509_num(client_ca); i++)
        warn_of_issuer(telling, "client CA", sk_X509_value(client_ca, i));
}

void tls_notes_tell(const struct tls_context *context, const char *listener,
                    tls_note_callback *on_note, void *argument)
{
    const struct telling telling = {listener, on_note, argument, date_now().tv_sec};
    const struct certificate *certificate;

    for (size_t i = 0; (certificate = tls_context_certificate(context, i)) != NULL; i++) {
        tell_certificate(&telling, certificate);
        warn_of_chain(&telling, certificate);
        warn_of_order(&telling, certificate);
        warn_of_key(&telling, certificate);
        warn_of_double(&telling, context, i);
    }
    warn_of_client_ca(&telling, context);
    ERR_clear_error();
}

void tls_notes_tell_ends(const struct tls_context *context, const char *listener, time_t now,
                         tls_note_callback *on_note, void *argument)
{
    const struct telling telling = {listener, on_note, argument, now};
    const struct certificate *certificate;

    for (size_t i = 0; (certificate = tls_context_certificate(context, i)) != NULL; i++) {
        if (ends_soon(&telling, certificate->leaf))
            tell_certificate(&telling, certificate);
        warn_of_chain(&telling, certificate);
    }
    warn_of_client_ca(&telling, context);
    ERR_clear_error();
}
