/*
 * proxy_samples: right headers of the PROXY protocol and what they tell, and how tests parse one.
 * Tests nothing itself.
 * Called by check_proxy_header, check_proxy_tlv and check_proxy_format.
 */
#ifndef TESTS_UNIT_PROXY_SAMPLES_H
#define TESTS_UNIT_PROXY_SAMPLES_H

#include "base/proxy_header.h"

#include <stdbool.h>
#include <stddef.h>

#define PROXY_V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* The bytes of a literal and their number, without the NUL at its end. */
#define PROXY_BYTES(literal) (const unsigned char *)(literal), sizeof(literal) - 1

/* As haproxy 2.6 sent it: a checksum, ALPN, authority, unique id and what there is about TLS. */
#define PROXY_SAMPLE_OF_TLS                                                                        \
    PROXY_V2_SIGNATURE "!\x11\0\x9e\x7f\0\0\1\x7f\0\0\1\xab"                                       \
                       "4Y\xe3"                                                                    \
                       "\3\0\4\xff\xaa\xbc\xdd"                                                    \
                       "\1\0\4echo"                                                                \
                       "\2\0\x0c"                                                                  \
                       "echo.example"                                                              \
                       "\5\0)7F000001:AB34_7F000001:59E3_6B0C3BEF_000A"                            \
                       " \0F\7\0\0\0\0"                                                            \
                       "!\0\7TLSv1.3"                                                              \
                       "\"\0\4anna"                                                                \
                       "%\0\7RSA2048"                                                              \
                       "$\0\nRSA-SHA256"                                                           \
                       "#\0\x16TLS_AES_256_GCM_SHA384"

struct proxy_sample {
    const char *name;
    const unsigned char *bytes;
    size_t length;
    enum proxy_version version;
    const char *source, *destination; /* as the log shows them; NULL: there are none */
    bool is_datagram;
    bool is_plain; /* it is what proxy_header_format writes, too */
};

int proxy_samples_count(void);
const struct proxy_sample *proxy_samples_get(int index);

/* What a parse found. */
struct proxy_parsed {
    enum proxy_outcome outcome;
    struct proxy_header header;
    size_t length;
    struct error error;
};

/* Parse bytes where they are. */
void proxy_samples_parse(const unsigned char *bytes, size_t length, enum proxy_version versions,
                         struct proxy_parsed *parsed);

/*
 * Parse a copy of bytes behind which no byte of the process's memory lies, so that a sanitizer sees
 * whoever reads on. The copy is freed: the texts of the header point nowhere.
 */
enum proxy_outcome proxy_samples_judge(const unsigned char *bytes, size_t length,
                                       enum proxy_version versions, struct proxy_parsed *parsed);

#endif
