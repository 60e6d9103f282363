/*
 * certificate_facts: what stands in a certificate: whose it is, for which hosts, from when to when.
 * Verifies nothing, and reads no file.
 * Called by whatever chooses a certificate or tells people of one: certificate, echod's tls_context
 * and tls_session, and echoprobe's tls_client.
 */
#ifndef BASE_CERTIFICATE_FACTS_H
#define BASE_CERTIFICATE_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct x509_st; /* X509 of OpenSSL */

enum {
    CERTIFICATE_TEXT_SIZE = 256, /* what does not fit is cut and ends in "..." */
    CERTIFICATE_TIME_SIZE = 32,
};

/*
 * Return NULL if a certificate is valid at this time; or OpenSSL's words for why it is not:
 * "certificate has expired".
 */
const char *certificate_fault(const struct x509_st *certificate, time_t now);

/* Return how many seconds a certificate lasts from now on; negative: it is over. */
int64_t certificate_seconds_left(const struct x509_st *certificate, time_t now);

/* Write when a certificate begins or ends: "2027-01-01T00:00:00Z". */
void certificate_format_begin(const struct x509_st *certificate, char text[CERTIFICATE_TIME_SIZE]);
void certificate_format_end(const struct x509_st *certificate, char text[CERTIFICATE_TIME_SIZE]);

/* Write whose or who made it, in any bytes (RFC 2253): "CN=a.example,O=Example". May be empty. */
void certificate_subject(const struct x509_st *certificate, char text[CERTIFICATE_TEXT_SIZE]);
void certificate_issuer(const struct x509_st *certificate, char text[CERTIFICATE_TEXT_SIZE]);

/*
 * Write whom it is for by its subjectAltName, in any bytes: "a.example, 192.0.2.1"; empty: it has
 * none.
 */
void certificate_names(const struct x509_st *certificate, char text[CERTIFICATE_TEXT_SIZE]);

/* Tell whether a certificate is for a host of this name (RFC 6125): by wildcard, too. */
bool certificate_is_for(struct x509_st *certificate, const char *name);

/* Tell whether a certificate is for every host that another is for. */
bool certificate_covers(struct x509_st *certificate, const struct x509_st *other);

#endif
