#include <config.h>

#include "base/crc32c.h"

/* The remainders of four bits, of the reflected polynomial 0x82f63b78 (RFC 3720, 12.1). */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t shift_four_bits(uint32_t crc)
{
    return crc >> 4 ^ remainders[crc & 0xf];
}

uint32_t crc32c_extend(uint32_t crc, const unsigned char *bytes, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++)
        crc = shift_four_bits(shift_four_bits(crc ^ bytes[i]));
    return ~crc;
}
