#include <config.h>

#include "base/identity_reader.h"

#include <string.h>

enum { NAME_SIZE = 32 }; /* longer than any name: what is cut is none of them */

static const char line_start[] = "echod=", json_start[] = "{\"echod\":\"";

static bool is_start(const char *start, const char *bytes, size_t length)
{
    return strncmp(start, bytes, length < strlen(start) ? length : strlen(start)) == 0;
}

bool identity_may_begin(const char *bytes, size_t length)
{
    return is_start(line_start, bytes, length) || is_start(json_start, bytes, length);
}

/* --- Text that is put together --------------------------------------------------------------- */

/* What does not fit is left out. */
struct text {
    char *bytes;
    size_t length, size;
};

static struct text begin_text(char *bytes, size_t size)
{
    bytes[0] = '\0';
    return (struct text){.bytes = bytes, .size = size};
}

static void add_byte(struct text *text, char byte)
{
    if (text->length + 1 >= text->size)
        return;
    text->bytes[text->length++] = byte;
    text->bytes[text->length] = '\0';
}

/* Add a character as UTF-8 (RFC 3629, 3). Half of a surrogate pair is none, and NUL ends a text. */
static void add_character(struct text *text, unsigned point)
{
    if (point == 0 || (point >= 0xd800 && point < 0xe000))
        point = 0xfffd;
    if (point < 0x80) {
        add_byte(text, (char)point);
        return;
    }
    if (point < 0x800) {
        add_byte(text, (char)(0xc0 | point >> 6));
    } else {
        add_byte(text, (char)(0xe0 | point >> 12));
        add_byte(text, (char)(0x80 | (point >> 6 & 0x3f)));
    }
    add_byte(text, (char)(0x80 | (point & 0x3f)));
}

static void keep(struct identity_value *values, size_t count, const char *name, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(values[i].name, name) == 0)
            memcpy(values[i].text, text, strlen(text) + 1); /* of the same size */
    }
}

/* Read so many hexadecimal digits. Return false if these are none. */
static bool take_hex(const char **at, size_t digits, unsigned *number)
{
    static const char alphabet[] = "0123456789abcdefABCDEF";

    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        const char *digit = (*at)[i] == '\0' ? NULL : strchr(alphabet, (*at)[i]);
        const unsigned value = digit == NULL ? 0 : (unsigned)(digit - alphabet);

        if (digit == NULL)
            return false;
        *number = *number << 4 | (value < 16 ? value : value - 6);
    }
    *at += digits;
    return true;
}

/* --- A line of words ------------------------------------------------------------------------- */

/* Read up to one of two characters or the end. */
static void take_word(const char **at, char end, char other_end, struct text *text)
{
    while (**at != '\0' && **at != end && **at != other_end) {
        const char *behind = *at + 2;
        unsigned byte;

        if ((*at)[0] == '\\' && (*at)[1] == 'x' && take_hex(&behind, 2, &byte)) {
            *at = behind;
            if (byte == 0)
                add_character(text, 0);
            else
                add_byte(text, (char)byte);
        } else {
            add_byte(text, *(*at)++);
        }
    }
}

static void read_words(const char *at, struct identity_value *values, size_t count)
{
    while (*at != '\0') {
        char name[NAME_SIZE], value[sizeof values->text];
        struct text text = begin_text(name, sizeof name);

        take_word(&at, '=', ' ', &text);
        if (*at == '=')
            at++;
        text = begin_text(value, sizeof value);
        take_word(&at, ' ', ' ', &text);
        keep(values, count, name, value);
        if (*at == ' ')
            at++;
    }
}

/* --- JSON (RFC 8259) ------------------------------------------------------------------------- */

/* Read what stands behind a backslash. */
static bool take_escape(const char **at, struct text *text)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *escape = **at == '\0' ? NULL : strchr(escapes, **at);
    unsigned point;

    if (escape != NULL) {
        add_byte(text, meanings[escape - escapes]);
        ++*at;
        return true;
    }
    if (*(*at)++ != 'u' || !take_hex(at, 4, &point))
        return false;
    add_character(text, point);
    return true;
}

static bool take_string(const char **at, char *bytes, size_t size)
{
    struct text text = begin_text(bytes, size);

    if (*(*at)++ != '"')
        return false;
    while (**at != '"') {
        if ((unsigned char)**at < ' ')
            return false; /* the end, too */
        if (**at != '\\')
            add_byte(&text, *(*at)++);
        else if (++*at, !take_escape(at, &text))
            return false;
    }
    ++*at;
    return true;
}

static bool take_number(const char **at, char *bytes, size_t size)
{
    struct text text = begin_text(bytes, size);

    while (**at >= '0' && **at <= '9')
        add_byte(&text, *(*at)++);
    return text.length > 0;
}

/* Read an object of strings and numbers, with no spaces between them. */
static bool read_object(const char *at, struct identity_value *values, size_t count)
{
    do {
        char name[NAME_SIZE], value[sizeof values->text];

        at++; /* the brace, or a comma */
        if (!take_string(&at, name, sizeof name) || *at++ != ':')
            return false;
        if (*at == '"' ? !take_string(&at, value, sizeof value)
                       : !take_number(&at, value, sizeof value))
            return false;
        keep(values, count, name, value);
    } while (*at == ',');
    return strcmp(at, "}") == 0;
}

int identity_read(const char *identity, struct identity_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i].text[0] = '\0';
    if (strncmp(identity, line_start, strlen(line_start)) == 0) {
        read_words(identity, values, count);
        return 0;
    }
    if (identity[0] == '{' && identity_may_begin(identity, strlen(identity)))
        return read_object(identity, values, count) ? 0 : -1;
    return -1;
}
