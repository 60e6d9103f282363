#include <config.h>

#include "echod/proxy_facts.h"

#include <stdlib.h>
#include <string.h>

/* Keep a text, as far as it fits. */
static void keep(char kept[PROXY_FACT_SIZE], struct proxy_text text)
{
    static const char nul[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t length = 0;

    for (size_t i = 0; i < text.length && length + strlen(nul) < PROXY_FACT_SIZE; i++) {
        if (text.bytes[i] != '\0') {
            kept[length++] = (char)text.bytes[i];
        } else {
            memcpy(kept + length, nul, strlen(nul));
            length += strlen(nul);
        }
    }
    kept[length] = '\0';
}

static void keep_addresses(struct proxy_facts *facts, const struct proxy_header *header)
{
    if (!header->has_addresses)
        return;
    address_format_socket((const struct sockaddr *)&header->source, sizeof header->source,
                          facts->source);
    address_format_socket((const struct sockaddr *)&header->destination, sizeof header->destination,
                          facts->destination);
}

static void keep_ssl(struct proxy_facts *facts, const struct proxy_ssl *ssl)
{
    static const unsigned char unnamed[] = "yes";

    keep(facts->tls_version, ssl->version);
    keep(facts->cipher, ssl->cipher);
    keep(facts->common_name, ssl->common_name);
    if (ssl->is_tls && facts->tls_version[0] == '\0')
        keep(facts->tls_version, (struct proxy_text){unnamed, sizeof unnamed - 1});
    if (ssl->has_certificate)
        facts->verified = ssl->is_verified ? "yes" : "no";
}

struct proxy_facts *proxy_facts_new(const struct proxy_header *header)
{
    struct proxy_facts *facts = calloc(1, sizeof *facts);

    if (facts == NULL)
        return NULL;
    keep_addresses(facts, header);
    keep(facts->authority, header->tlvs.authority);
    keep(facts->unique_id, header->tlvs.unique_id);
    keep(facts->alpn, header->tlvs.alpn);
    keep_ssl(facts, &header->tlvs.ssl);
    return facts;
}
