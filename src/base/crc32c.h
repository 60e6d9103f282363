/*
 * crc32c: the checksum CRC-32C (Castagnoli).
 * Small rather than fast: what it is computed of here is short, and comes once in a connection.
 * Called by proxy_tlv.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Return the checksum (RFC 3720, 12.1 and B.4) of bytes that follow on others, whose checksum is
 * `crc`; 0 if these are the first.
 */
uint32_t crc32c_extend(uint32_t crc, const unsigned char *bytes, size_t length)
    __attribute__((warn_unused_result));

#endif
