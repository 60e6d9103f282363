#include <config.h>

#include "proxy_samples.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ONES_16   "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define ONES_TEXT "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define ZEROS_12  "\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_96  ZEROS_12 ZEROS_12 ZEROS_12 ZEROS_12 ZEROS_12 ZEROS_12 ZEROS_12 ZEROS_12

#define V4                                                                                         \
    "\xc0\xa8\0\1"                                                                                 \
    "\xc0\xa8\0\x0b"                                                                               \
    "\xdc\x04"                                                                                     \
    "\x01\xbb"
#define V4_SOURCE      "192.168.0.1:56324"
#define V4_DESTINATION "192.168.0.11:443"
#define V6                                                                                         \
    "\x20\1\x0d\xb8" ZEROS_12 "\x20\1\x0d\xb8"                                                     \
    "\0\0\0\0\0\0\0\0\0\0\0\1"                                                                     \
    "\xff\xff"                                                                                     \
    "\0\0"
#define V6_SOURCE      "[2001:db8::]:65535"
#define V6_DESTINATION "[2001:db8::1]:0"

/* The names say who makes such a header. */
static const struct proxy_sample samples[] = {
    {"the example of the specification, 2.1",
     PROXY_BYTES("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), PROXY_V1, V4_SOURCE,
     V4_DESTINATION, false, true},
    {"the longest line of IPv4, 2.1",
     PROXY_BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), PROXY_V1,
     "255.255.255.255:65535", "255.255.255.255:65535", false, true},
    {"the longest line of IPv6, 2.1",
     PROXY_BYTES("PROXY TCP6 " ONES_TEXT " " ONES_TEXT " 65535 65535\r\n"), PROXY_V1,
     "[" ONES_TEXT "]:65535", "[" ONES_TEXT "]:65535", false, true},
    {"the unknown connection, 2.1", PROXY_BYTES("PROXY UNKNOWN\r\n"), PROXY_V1, NULL, NULL, false,
     true},
    {"the worst case, 2.1",
     PROXY_BYTES("PROXY UNKNOWN " ONES_TEXT " " ONES_TEXT " 65535 65535\r\n"), PROXY_V1, NULL, NULL,
     false, false},
    {"an unknown connection with anything", PROXY_BYTES("PROXY UNKNOWN  TCP4\0\x7f\xff PROXY\r\n"),
     PROXY_V1, NULL, NULL, false, false},
    {"all zero", PROXY_BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), PROXY_V1, "0.0.0.0:0",
     "0.0.0.0:0", false, true},
    {"upper case and zeros that may be left out",
     PROXY_BYTES("PROXY TCP6 2001:0DB8:0:0:0:0:0:0 2001:DB8::1 65535 0\r\n"), PROXY_V1, V6_SOURCE,
     V6_DESTINATION, false, false},
    {"haproxy, mixed families", PROXY_BYTES("PROXY TCP6 ::ffff:192.168.0.1 ::1 1 13265\r\n"),
     PROXY_V1, "192.168.0.1:1", "[::1]:13265", false, false},
    {"mixed families without dots", PROXY_BYTES("PROXY TCP6 ::ffff:c0a8:1 ::1 1 13265\r\n"),
     PROXY_V1, "192.168.0.1:1", "[::1]:13265", false, true},

    {"TCP over IPv4", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x11\0\x0c" V4), PROXY_V2, V4_SOURCE,
     V4_DESTINATION, false, true},
    {"UDP over IPv4", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x12\0\x0c" V4), PROXY_V2, V4_SOURCE,
     V4_DESTINATION, true, true},
    {"TCP over IPv6", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x21\0\x24" V6), PROXY_V2, V6_SOURCE,
     V6_DESTINATION, false, true},
    {"UDP over IPv6", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x22\0\x24" V6), PROXY_V2, V6_SOURCE,
     V6_DESTINATION, true, true},
    {"all ones",
     PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x21\0\x24" ONES_16 ONES_16 "\xff\xff\xff\xff"), PROXY_V2,
     "[" ONES_TEXT "]:65535", "[" ONES_TEXT "]:65535", false, true},
    {"a Unix stream",
     PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x31\0\xd8"
                                    "/run/client\0" ZEROS_96 "/run/server\0" ZEROS_96),
     PROXY_V2, "/run/client", "/run/server", false, true},
    {"a Unix datagram without a name, and an abstract one",
     PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x32\0\xd8" ZEROS_12 ZEROS_96 "\0run/server\0" ZEROS_96),
     PROXY_V2, "unix", "@run/server", true, true},
    {"haproxy, a health check", PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"), PROXY_V2, NULL, NULL,
     false, true},
    {"a health check with addresses", PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\x11\0\x0c" V4), PROXY_V2,
     NULL, NULL, false, false},
    {"a health check of a family that there is not, with TLVs that are none",
     PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\xff\0\5\1\xff\xff\3\0"), PROXY_V2, NULL, NULL, false,
     false},
    {"an unknown protocol", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\0\0\0"), PROXY_V2, NULL, NULL,
     false, false},
    {"an unknown protocol with something", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\0\0\3\xff\xff\xff"),
     PROXY_V2, NULL, NULL, false, false},
    {"nginx, of a Unix socket", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\1\0\0"), PROXY_V2, NULL, NULL,
     false, false},
    {"IPv4 with an unknown protocol", PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x10\0\0"), PROXY_V2,
     NULL, NULL, false, false},
    {"TLVs: a NOOP, one to come, one of one's own",
     PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x11\0\x1a" V4 "\4\0\0"
                                    "\xf8\0\2\r\n"
                                    "\xe0\0\3\4\0\xff"),
     PROXY_V2, V4_SOURCE, V4_DESTINATION, false, false},
    {"haproxy 2.6, a Unix socket with a checksum and an empty unique id",
     PROXY_BYTES(PROXY_V2_SIGNATURE " \0\0\n"
                                    "\3\0\4\x82"
                                    "ct\xb8"
                                    "\5\0\0"),
     PROXY_V2, NULL, NULL, false, false},
    {"haproxy 2.6, a checksum and a unique id",
     PROXY_BYTES(PROXY_V2_SIGNATURE "!\x11\0?\x7f\0\0\1\x7f\0\0\1\x8c\xf6Y\xdf"
                                    "\3\0\4X\xbf"
                                    "B\xfb"
                                    "\5\0)7F000001:8CF6_7F000001:59DF_6B0C3BEF_0006"),
     PROXY_V2, "127.0.0.1:36086", "127.0.0.1:23007", false, false},
    {"haproxy 2.6, no TLS",
     PROXY_BYTES(PROXY_V2_SIGNATURE "!\x11\0G\x7f\0\0\1\x7f\0\0\1\x93\x82Y\xe1"
                                    "\3\0\4\xbdt\xee\xf7"
                                    "\5\0)7F000001:9382_7F000001:59E1_6B0C3BEF_0008"
                                    " \0\5\0\0\0\0\0"),
     PROXY_V2, "127.0.0.1:37762", "127.0.0.1:23009", false, false},
    {"haproxy 2.6, TLS without a certificate",
     PROXY_BYTES(PROXY_V2_SIGNATURE "!\x11\0`\x7f\0\0\1\x7f\0\0\1\xd9"
                                    "BY\xe2"
                                    "\3\0\4\xbe-\xad\x9d"
                                    "\2\0\x0c"
                                    "echo.example"
                                    "\5\0)7F000001:D942_7F000001:59E2_6B0C3BEF_0009"
                                    " \0\x0f\1\0\0\0\0!\0\7TLSv1.3"),
     PROXY_V2, "127.0.0.1:55618", "127.0.0.1:23010", false, false},
    {"haproxy 2.6, TLS with a certificate", PROXY_BYTES(PROXY_SAMPLE_OF_TLS), PROXY_V2,
     "127.0.0.1:43828", "127.0.0.1:23011", false, false},
};

int proxy_samples_count(void)
{
    return (int)(sizeof samples / sizeof samples[0]);
}

const struct proxy_sample *proxy_samples_get(int index)
{
    return &samples[index];
}

void proxy_samples_parse(const unsigned char *bytes, size_t length, enum proxy_version versions,
                         struct proxy_parsed *parsed)
{
    memset(parsed, 0x5a, sizeof *parsed);
    parsed->error.text[0] = '\0';
    parsed->outcome = proxy_header_parse(bytes, length, versions, &parsed->header, &parsed->length,
                                         &parsed->error);
}

enum proxy_outcome proxy_samples_judge(const unsigned char *bytes, size_t length,
                                       enum proxy_version versions, struct proxy_parsed *parsed)
{
    unsigned char *copy = malloc(length + (length == 0));

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, length);
    proxy_samples_parse(copy, length, versions, parsed);
    free(copy);
    return parsed->outcome;
}
