/*
 * units: "64KiB" and "1m30s" to numbers, and numbers back to text.
 * Knows no option, default or bound.
 * Called by setting_kind, and by whatever shows an amount.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

enum { UNITS_TEXT_SIZE = 48 }; /* enough for any text that units_format_* writes */

/*
 * Read a plain decimal number: digits only, no sign, no space.
 * Return 0, or -1 with errno EINVAL (not a number) or ERANGE (does not fit).
 */
int units_parse_count(const char *text, uint64_t *count) __attribute__((warn_unused_result));

/*
 * Read an amount of bytes: a decimal number followed by nothing or B (bytes), by KiB, MiB, GiB, TiB
 * (powers of 1024, IEC 80000-13), by K, M, G, T (the same, as in dd(1) and head(1)) or by kB, MB,
 * GB, TB (powers of 1000). Upper and lower case are the same.
 * Return 0, or -1 with errno EINVAL (no such form) or ERANGE (does not fit).
 */
int units_parse_size(const char *text, uint64_t *bytes) __attribute__((warn_unused_result));

/*
 * Read a duration: numbers with the units d, h, m, s, ms, each at most once and from large to
 * small ("1m30s", "250ms"); a number alone is seconds and may have up to three decimals ("0.5").
 * Return 0, or -1 with errno EINVAL (no such form) or ERANGE (does not fit).
 */
int units_parse_duration(const char *text, uint64_t *milliseconds)
    __attribute__((warn_unused_result));

/*
 * Read a short duration: as units_parse_duration, with the unit us too, and up to six decimals.
 * Return 0, or -1 with errno EINVAL (no such form) or ERANGE (does not fit).
 */
int units_parse_interval(const char *text, uint64_t *microseconds)
    __attribute__((warn_unused_result));

/*
 * Read a rate: a number with up to six decimals, k or M (powers of 1000) behind it or not, and
 * "/s", "/m" or "/h" behind that or nothing, which is a second: "1000", "0.5/s", "300/m", "5k/s".
 * Return 0, or -1 with errno EINVAL (no such form) or ERANGE (does not fit, or more than 4500M/s).
 */
int units_parse_rate(const char *text, double *per_second) __attribute__((warn_unused_result));

/*
 * Read a share: a number of at most 100 with up to four decimals, and "%" ("20%", "0.5%").
 * Return 0, or -1 with errno EINVAL (no such form) or ERANGE (more than 100%).
 */
int units_parse_percent(const char *text, uint64_t *millionths) __attribute__((warn_unused_result));

/* Return "byte" or "bytes", whichever goes with the number. */
const char *units_bytes(uint64_t count);

/* Write bytes with the largest binary unit that divides them: "256KiB", "1000", "0". */
void units_format_size(uint64_t bytes, char text[UNITS_TEXT_SIZE]);

/* Write milliseconds as units_parse_duration reads them: "1m30s", "250ms", "0". */
void units_format_duration(uint64_t milliseconds, char text[UNITS_TEXT_SIZE]);

/* Write microseconds as units_parse_interval reads them: "1s500us", "0". */
void units_format_interval(uint64_t microseconds, char text[UNITS_TEXT_SIZE]);

/* Write how often a second, as units_parse_rate reads it and has read it: "0.5/s", "1/m", "0". */
void units_format_rate(double per_second, char text[UNITS_TEXT_SIZE]);

#endif
