#include <config.h>

#include "base/proxy_tlv.h"

#include "base/crc32c.h"

#include <stdint.h>

/* Types, and what is of a fixed size (proxy-protocol.txt, 2.2). */
enum {
    TYPE_ALPN = 0x01,
    TYPE_AUTHORITY = 0x02,
    TYPE_CRC32C = 0x03,
    TYPE_UNIQUE_ID = 0x05,
    TYPE_SSL = 0x20,
    TYPE_SSL_VERSION = 0x21,
    TYPE_SSL_CN = 0x22,
    TYPE_SSL_CIPHER = 0x23,
    TYPE_NETNS = 0x30,

    TLV_HEAD_SIZE = 3, /* type and length */
    CHECKSUM_SIZE = 4,
    SSL_HEAD_SIZE = 5, /* client and verify */
};

/* Bits of `client` in the TLV of SSL. */
enum { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02, CLIENT_CERT_SESS = 0x04 };

struct tlv {
    unsigned type;
    struct proxy_text value;
};

static uint32_t read_number(const unsigned char bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static struct proxy_text skip(struct proxy_text text, size_t length)
{
    return (struct proxy_text){.bytes = text.bytes + length, .length = text.length - length};
}

/* Take the first TLV off a list. Return 0, or -1 with a sentence in `error` if the list ends in it.
 */
static int next_tlv(struct proxy_text *list, struct tlv *tlv, struct error *error)
{
    size_t length;

    if (list->length < TLV_HEAD_SIZE) {
        error_set(error, "the PROXY header ends inside the type and length of a TLV");
        return -1;
    }
    length = (size_t)list->bytes[1] << 8 | list->bytes[2];
    tlv->type = list->bytes[0];
    *list = skip(*list, TLV_HEAD_SIZE);
    if (length > list->length) {
        error_set(error,
                  "the PROXY header has a TLV of type 0x%02x and %zu bytes where %zu are left",
                  tlv->type, length, list->length);
        return -1;
    }
    tlv->value = (struct proxy_text){.bytes = list->bytes, .length = length};
    *list = skip(*list, length);
    return 0;
}

static void keep_first(struct proxy_text *kept, struct proxy_text value)
{
    if (kept->bytes == NULL)
        *kept = value;
}

static void take_ssl_tlv(const struct tlv *tlv, struct proxy_ssl *ssl)
{
    switch (tlv->type) {
    case TYPE_SSL_VERSION:
        keep_first(&ssl->version, tlv->value);
        break;
    case TYPE_SSL_CN:
        keep_first(&ssl->common_name, tlv->value);
        break;
    case TYPE_SSL_CIPHER:
        keep_first(&ssl->cipher, tlv->value);
        break;
    }
}

/* haproxy sends "verified" when there was no certificate, too: it means nothing then. */
static int parse_ssl(struct proxy_text value, struct proxy_ssl *ssl, struct error *error)
{
    struct tlv tlv;

    if (value.length < SSL_HEAD_SIZE) {
        error_set(error, "the PROXY header tells of SSL in fewer than %d bytes", SSL_HEAD_SIZE);
        return -1;
    }
    ssl->is_told = true;
    ssl->is_tls = (value.bytes[0] & CLIENT_SSL) != 0;
    ssl->has_certificate = (value.bytes[0] & (CLIENT_CERT_CONN | CLIENT_CERT_SESS)) != 0;
    ssl->is_verified = ssl->has_certificate && read_number(value.bytes + 1) == 0;
    for (value = skip(value, SSL_HEAD_SIZE); value.length > 0;) {
        if (next_tlv(&value, &tlv, error) < 0)
            return -1;
        take_ssl_tlv(&tlv, ssl);
    }
    return 0;
}

/* Each is checked, the first is kept. */
static int take_ssl(struct proxy_text value, struct proxy_ssl *kept, struct error *error)
{
    struct proxy_ssl ssl = {.is_told = false};

    if (parse_ssl(value, &ssl, error) < 0)
        return -1;
    if (!kept->is_told)
        *kept = ssl;
    return 0;
}

static int take_unique_id(struct proxy_text value, struct proxy_text *kept, struct error *error)
{
    if (value.length > PROXY_UNIQUE_ID_MAX_LENGTH) {
        error_set(error, "the PROXY header has a unique id of %zu bytes, which may have %d",
                  value.length, PROXY_UNIQUE_ID_MAX_LENGTH);
        return -1;
    }
    keep_first(kept, value);
    return 0;
}

static int take_checksum(struct proxy_text value, struct proxy_text *kept, struct error *error)
{
    if (value.length != CHECKSUM_SIZE) {
        error_set(error, "the PROXY header has a checksum of %zu bytes, which has to have %d",
                  value.length, CHECKSUM_SIZE);
        return -1;
    }
    keep_first(kept, value);
    return 0;
}

static int take_tlv(const struct tlv *tlv, struct proxy_tlvs *tlvs, struct proxy_text *checksum,
                    struct error *error)
{
    switch (tlv->type) {
    case TYPE_ALPN:
        keep_first(&tlvs->alpn, tlv->value);
        break;
    case TYPE_AUTHORITY:
        keep_first(&tlvs->authority, tlv->value);
        break;
    case TYPE_NETNS:
        keep_first(&tlvs->netns, tlv->value);
        break;
    case TYPE_CRC32C:
        return take_checksum(tlv->value, checksum, error);
    case TYPE_UNIQUE_ID:
        return take_unique_id(tlv->value, &tlvs->unique_id, error);
    case TYPE_SSL:
        return take_ssl(tlv->value, &tlvs->ssl, error);
    }
    return 0;
}

/* The checksum is that of the header with zeros in its place (proxy-protocol.txt, 2.2.3). */
static int verify(const unsigned char *header, size_t length, struct proxy_text checksum,
                  struct error *error)
{
    static const unsigned char zeros[CHECKSUM_SIZE];
    const size_t before = (size_t)(checksum.bytes - header);
    const size_t behind = before + CHECKSUM_SIZE;
    uint32_t crc = crc32c_extend(0, header, before);

    crc = crc32c_extend(crc, zeros, CHECKSUM_SIZE);
    crc = crc32c_extend(crc, header + behind, length - behind);
    if (crc != read_number(checksum.bytes)) {
        error_set(error, "the PROXY header has a checksum that is not that of its bytes");
        return -1;
    }
    return 0;
}

int proxy_tlvs_parse(const unsigned char *header, size_t length, size_t offset,
                     struct proxy_tlvs *tlvs, struct error *error)
{
    struct proxy_text list = {.bytes = header + offset, .length = length - offset};
    struct proxy_text checksum = {.bytes = NULL};
    struct tlv tlv;

    while (list.length > 0) {
        if (next_tlv(&list, &tlv, error) < 0 || take_tlv(&tlv, tlvs, &checksum, error) < 0)
            return -1;
    }
    return checksum.bytes == NULL ? 0 : verify(header, length, checksum, error);
}
