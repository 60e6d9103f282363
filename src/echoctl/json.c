#include <config.h>

#include "echoctl/json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { UTF8_SIZE = 5, REPLACEMENT = 0xfffd };

/* --- Where values end ------------------------------------------------------------------------ */

/* Each function returns the place behind what it names, or NULL if that does not stand there. */

static const char *skip_value(const char *text, unsigned depth);

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

static const char *skip_word(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0 ? text + strlen(word) : NULL;
}

static const char *skip_digits(const char *text)
{
    const size_t length = strspn(text, "0123456789");

    return length > 0 ? text + length : NULL;
}

static const char *skip_number(const char *text)
{
    if (*text == '-')
        text++;
    text = *text == '0' ? text + 1 : skip_digits(text);
    if (text != NULL && *text == '.')
        text = skip_digits(text + 1);
    if (text != NULL && (*text == 'e' || *text == 'E')) {
        text++;
        if (*text == '+' || *text == '-')
            text++;
        text = skip_digits(text);
    }
    return text;
}

static const char *skip_escape(const char *text)
{
    if (*text != 'u')
        return *text != '\0' && strchr("\"\\/bfnrt", *text) != NULL ? text + 1 : NULL;
    return strspn(text + 1, "0123456789abcdefABCDEF") >= 4 ? text + 5 : NULL;
}

static const char *skip_string(const char *text)
{
    if (*text++ != '"')
        return NULL;
    while (text != NULL && *text != '"') {
        if ((unsigned char)*text < ' ') /* the end of the text, too */
            return NULL;
        text = *text == '\\' ? skip_escape(text + 1) : text + 1;
    }
    return text == NULL ? NULL : text + 1;
}

static const char *skip_name(const char *text)
{
    text = skip_string(text);
    if (text == NULL)
        return NULL;
    text = skip_space(text);
    return *text == ':' ? skip_space(text + 1) : NULL;
}

/* Skip an array, or an object, which has a name before each value. `text` is behind its bracket. */
static const char *skip_elements(const char *text, char end, unsigned depth)
{
    text = skip_space(text);
    if (*text == end)
        return text + 1;
    for (;;) {
        if (end == '}' && (text = skip_name(text)) == NULL)
            return NULL;
        text = skip_value(text, depth);
        if (text == NULL)
            return NULL;
        text = skip_space(text);
        if (*text == end)
            return text + 1;
        if (*text != ',')
            return NULL;
        text = skip_space(text + 1);
    }
}

/* Skip a value in which others may lie within each other so deep. */
static const char *skip_value(const char *text, unsigned depth)
{
    switch (*text) {
    case '{':
        return depth == 0 ? NULL : skip_elements(text + 1, '}', depth - 1);
    case '[':
        return depth == 0 ? NULL : skip_elements(text + 1, ']', depth - 1);
    case '"':
        return skip_string(text);
    case 't':
        return skip_word(text, "true");
    case 'f':
        return skip_word(text, "false");
    case 'n':
        return skip_word(text, "null");
    default:
        return skip_number(text);
    }
}

const char *json_begin(const char *text)
{
    const char *value = skip_space(text);
    const char *end = skip_value(value, JSON_DEPTH);

    return end != NULL && *skip_space(end) == '\0' ? value : NULL;
}

const char *json_end(const char *value)
{
    return value == NULL ? NULL : skip_value(value, JSON_DEPTH);
}

/* --- Arrays and objects ---------------------------------------------------------------------- */

/* Return the first name or element, or NULL. */
static const char *first_of(const char *value, char begin, char end)
{
    if (value == NULL || *value != begin)
        return NULL;
    value = skip_space(value + 1);
    return *value == end ? NULL : value;
}

const char *json_first(const char *array)
{
    return first_of(array, '[', ']');
}

const char *json_next(const char *element)
{
    const char *end = json_end(element);

    if (end == NULL)
        return NULL;
    end = skip_space(end);
    return *end == ',' ? skip_space(end + 1) : NULL;
}

const char *json_member(const char *object, const char *name)
{
    const size_t length = strlen(name);
    const char *member = first_of(object, '{', '}');

    while (member != NULL) {
        const char *value = skip_name(member);

        assert(value != NULL); /* json_begin has seen it */
        if (strncmp(member + 1, name, length) == 0 && member[1 + length] == '"')
            return value;
        member = json_next(value);
    }
    return NULL;
}

/* --- Strings --------------------------------------------------------------------------------- */

/* Read the four digits behind "\u". */
static unsigned long read_unit(const char *digits)
{
    char text[5];

    memcpy(text, digits, 4);
    text[4] = '\0';
    return strtoul(text, NULL, 16);
}

/* Read what is written as \uXXXX, of which two make one character beyond U+FFFF (RFC 8259, 7). */
static const char *read_unicode(const char *text, unsigned long *character)
{
    *character = read_unit(text + 2);
    text += 6;
    if (*character >= 0xd800 && *character < 0xdc00 && text[0] == '\\' && text[1] == 'u') {
        const unsigned long low = read_unit(text + 2);

        if (low >= 0xdc00 && low < 0xe000) {
            *character = 0x10000 + ((*character - 0xd800) << 10) + (low - 0xdc00);
            return text + 6;
        }
    }
    if (*character == 0 || (*character >= 0xd800 && *character < 0xe000))
        *character = REPLACEMENT; /* no text has these */
    return text;
}

static void write_utf8(unsigned long character, char bytes[UTF8_SIZE])
{
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t length = character < 0x80      ? 1
                          : character < 0x800   ? 2
                          : character < 0x10000 ? 3
                                                : 4;

    for (size_t i = length; i-- > 1; character >>= 6)
        bytes[i] = (char)(0x80 | (character & 0x3f));
    bytes[0] = (char)(marks[length] | character);
    bytes[length] = '\0';
}

/* Read one character of a string, and return the place behind it. */
static const char *read_character(const char *text, char bytes[UTF8_SIZE])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    unsigned long character;
    size_t length = 1;

    if (text[0] == '\\' && text[1] == 'u') {
        text = read_unicode(text, &character);
        write_utf8(character, bytes);
        return text;
    }
    if (text[0] == '\\') {
        const char *letter = strchr(letters, text[1]);

        bytes[0] = text[1];
        if (letter != NULL)
            bytes[0] = meanings[letter - letters];
        bytes[1] = '\0';
        return text + 2;
    }
    while (length < UTF8_SIZE - 1 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length++;
    memcpy(bytes, text, length);
    bytes[length] = '\0';
    return text + length;
}

bool json_text(const char *value, char *text, size_t size)
{
    static const char dots[] = "...";
    size_t length = 0, cut = 0; /* up to here the dots still fit */

    text[0] = '\0';
    if (value == NULL || *value++ != '"')
        return false;
    while (*value != '"') {
        char bytes[UTF8_SIZE];

        value = read_character(value, bytes);
        if (length + strlen(bytes) >= size) {
            memcpy(text + cut, dots, sizeof dots);
            return true;
        }
        memcpy(text + length, bytes, strlen(bytes) + 1);
        length += strlen(bytes);
        if (length + sizeof dots <= size)
            cut = length;
    }
    return true;
}

/* --- Other values ---------------------------------------------------------------------------- */

uint64_t json_number(const char *value)
{
    unsigned long long number;

    if (value == NULL || *value < '0' || *value > '9')
        return 0;
    errno = 0;
    number = strtoull(value, NULL, 10);
    return errno == 0 ? number : 0;
}

double json_real(const char *value)
{
    if (value == NULL || (*value != '-' && (*value < '0' || *value > '9')))
        return 0;
    return strtod(value, NULL);
}

bool json_is_true(const char *value)
{
    return value != NULL && *value == 't';
}
