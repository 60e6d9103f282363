/*
 * accept: how much a client of HTTP wants a media type, by its header Accept (RFC 9110, 12.5.1).
 * Chooses nothing.
 * Called by exposition.
 */
#ifndef BASE_ACCEPT_H
#define BASE_ACCEPT_H

enum { ACCEPT_QUALITY_MAX = 1000 };

/*
 * Return how much a type, such as "text/plain", is wanted, in thousandths; 0: not at all. It has to
 * be named whole: a range with a "*" is no answer. Where the client names a version, it has to be
 * one of `versions`, which end in NULL, unless that is NULL itself. Of several answers the
 * highest counts. What makes no sense wants nothing.
 */
unsigned accept_quality(const char *header, const char *type, const char *const *versions);

#endif
