#include <config.h>

#include "base/config_file.h"

#include "base/denial.h"
#include "base/text_buffer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that is being read, and the one whose line includes it. */
struct file {
    const struct file *includer; /* NULL for the first */
    const char *path;
    unsigned line; /* the one that is being read */
    unsigned depth;
    dev_t device;
    ino_t inode;
};

struct reading {
    const struct config_reader *reader;
    unsigned file_count;
    bool has_failed;
    bool is_out_of_memory;
    bool is_over; /* there are too many files: read no more */
};

/* --- Errors ---------------------------------------------------------------------------------- */

enum { PLACE_SIZE = PATH_MAX + 16 };

/* Write where a line stands, as one line itself. */
static void name_place(const struct file *file, char place[PLACE_SIZE])
{
    (void)snprintf(place, PLACE_SIZE, "%s:%u", file->path, file->line);
    for (char *character = place; *character != '\0'; character++) {
        if (iscntrl((unsigned char)*character))
            *character = '?';
    }
}

/* Report what is wrong with a line. */
static void refuse_line(struct reading *reading, const struct file *file,
                        const struct error *sentence)
{
    char place[PLACE_SIZE];
    struct error error = {""};

    name_place(file, place);
    error_set(&error, "%s: %s", place, sentence->text);
    reading->has_failed = true;
    reading->reader->on_error(&error, reading->reader->argument);
}

/* Report why a file is not read, at the line that includes it if there is one. */
static void refuse_file(struct reading *reading, const char *path, const struct file *includer,
                        const char *reason, const char *advice)
{
    struct error error = {""};

    error_set(&error, "%s%s: %s; %s", includer == NULL ? "" : "include: ", path, reason, advice);
    if (includer != NULL) {
        refuse_line(reading, includer, &error);
        return;
    }
    reading->has_failed = true;
    reading->reader->on_error(&error, reading->reader->argument);
}

/* Report what the system answered. */
static void refuse_file_by_errno(struct reading *reading, const char *path,
                                 const struct file *includer)
{
    reading->is_out_of_memory |= errno == ENOMEM;
    if (denial_is_by_sandbox(path, R_OK))
        refuse_file(reading, path, includer, strerror(errno), DENIAL_SENTENCE);
    else
        refuse_file(reading, path, includer, strerror(errno), "name a file that can be read");
}

/* --- A line ---------------------------------------------------------------------------------- */

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

/* End a word that stands in quotes at its closing one, and return what follows; NULL if none does.
 */
static char *unquote(char *word)
{
    const char *from = word;
    char *to = word;

    for (; *from != '"'; from++) {
        const bool is_escape =
            *from == '\\' && (from[1] == '"' || from[1] == '\\' || from[1] == 'n');

        if (*from == '\0')
            return NULL;
        if (is_escape)
            from++;
        *to = *from;
        if (is_escape && *from == 'n')
            *to = '\n';
        to++;
    }
    *to = '\0';
    return word + (from - word) + 1;
}

/*
 * Cut the next word out of a line, and move `rest` behind it.
 * Return 1, 0 if there is none, or -1 with a sentence in `error`.
 */
static int next_word(char **rest, char **word, struct error *error)
{
    char *end;

    while (is_blank(**rest))
        (*rest)++;
    if (**rest == '\0' || **rest == '#')
        return 0;
    *word = *rest;
    if (**rest == '"') {
        *word = *rest + 1;
        end = unquote(*word);
        if (end == NULL) {
            error_set(error, "a quote is not closed; write another \" at the end of the value");
            return -1;
        }
        if (*end != '\0' && !is_blank(*end)) {
            error_set(error, "\"%s\" follows a closing quote; write a blank between them", end);
            return -1;
        }
    } else {
        end = *rest;
        while (*end != '\0' && !is_blank(*end))
            end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return 1;
}

/* Take a line apart. Return 1, 0 if it says nothing, or -1 with a sentence in `error`. */
static int parse_line(char *text, struct config_line *line, struct error *error)
{
    char *name, *value = NULL, *surplus;
    int found = next_word(&text, &name, error);

    if (found <= 0)
        return found;
    found = next_word(&text, &value, error);
    if (found < 0)
        return -1;
    line->name = name;
    line->value = found == 0 ? NULL : value;
    if (found == 0)
        return 1;
    found = next_word(&text, &surplus, error);
    if (found > 0)
        error_set(error,
                  "\"%s\" is one too many; write one value, in double quotes if it has blanks",
                  surplus);
    return found == 0 ? 1 : -1;
}

/* --- A file ---------------------------------------------------------------------------------- */

static void read_file(struct reading *reading, const char *path, const struct file *includer);

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

/*
 * Return a pattern as it is to be seen from the directory of the file that it stands in, which
 * stands for itself whatever it is called; free it. NULL with errno ENOMEM.
 */
static char *locate(const char *pattern, const struct file *file)
{
    const char *slash = pattern[0] == '/' ? NULL : strrchr(file->path, '/');
    const char *directory = file->path;
    const size_t length = slash == NULL ? 0 : (size_t)(slash - directory) + 1;
    char *located = malloc(2 * length + strlen(pattern) + 1);
    char *to = located;

    if (located == NULL)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (is_pattern(pattern) && strchr("*?[\\", directory[i]) != NULL)
            *to++ = '\\';
        *to++ = directory[i];
    }
    memcpy(to, pattern, strlen(pattern) + 1);
    return located;
}

/* Of the pattern at hand: glob(3) of musl 1.2 finds no match where its callback asks it to stop. */
static _Thread_local bool is_unreadable;

/* A directory that is not there holds nothing; one that cannot be read may hold something. */
static int on_glob_error(const char *path, int failure)
{
    (void)path;
    is_unreadable = failure != ENOENT;
    return is_unreadable;
}

/* Tell who asked for it which path is looked at. */
static void tell_path(const struct reading *reading, const char *path)
{
    if (reading->reader->on_path != NULL)
        reading->reader->on_path(path, reading->reader->argument);
}

/* Report that the directory of a pattern cannot be read. */
static void refuse_pattern(struct reading *reading, const char *pattern, const struct file *file)
{
    errno = EACCES; /* glob(3) keeps it to itself */
    refuse_file(reading, pattern, file, "the directory cannot be read",
                denial_of_directory_is_by_sandbox(pattern, R_OK | X_OK) ? DENIAL_SENTENCE
                                                                        : "name one that can be");
}

/* Read all that a pattern stands for, which may be nothing. */
static void include_matches(struct reading *reading, const char *pattern, const struct file *file)
{
    glob_t found;
    int status;

    tell_path(reading, pattern);
    is_unreadable = false;
    status = glob(pattern, 0, on_glob_error, &found);
    reading->is_out_of_memory |= status == GLOB_NOSPACE;
    if (status == GLOB_NOSPACE)
        refuse_file(reading, pattern, file, strerror(ENOMEM), "write a pattern for fewer files");
    else if (is_unreadable)
        refuse_pattern(reading, pattern, file);
    if (status != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_file(reading, found.gl_pathv[i], file);
    globfree(&found);
}

static void include(struct reading *reading, const char *value, const struct file *file)
{
    char *path;

    if (value == NULL || value[0] == '\0') {
        struct error error = {""};

        error_set(&error, "include: a value is missing; write include FILE, or a pattern such as "
                          "conf.d/*.conf");
        refuse_line(reading, file, &error);
        return;
    }
    path = locate(value, file);
    if (path == NULL)
        refuse_file_by_errno(reading, value, file);
    else if (is_pattern(value))
        include_matches(reading, path, file);
    else
        read_file(reading, path, file);
    free(path);
}

/* Read a line of this length, without its end, and with a NUL behind it. */
static void read_line(struct reading *reading, const struct file *file, char *text, size_t length)
{
    char place[PLACE_SIZE];
    struct config_line line = {.place = place};
    struct error error = {""};
    int found;

    name_place(file, place);
    if (length > CONFIG_FILE_LINE) {
        error_set(&error, "the line has %zu bytes; write no more than %d", length,
                  CONFIG_FILE_LINE);
        found = -1;
    } else if (memchr(text, '\0', length) != NULL) {
        error_set(&error, "the line holds a NUL byte; write text only");
        found = -1;
    } else {
        found = parse_line(text, &line, &error);
    }
    if (found > 0 && strcmp(line.name, "include") == 0)
        include(reading, line.value, file);
    else if (found > 0)
        found = reading->reader->on_line(&line, reading->reader->argument, &error);
    if (found < 0)
        refuse_line(reading, file, &error);
}

/* Read what a file holds; behind its `length` bytes there is room for one more. */
static void read_lines(struct reading *reading, struct file *file, char *text, size_t length)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'}; /* U+FEFF, which some editors write */
    char *const end = text + length;

    if (length >= sizeof mark && memcmp(text, mark, sizeof mark) == 0)
        text += sizeof mark;
    while (text < end && !reading->is_over) {
        char *line_end = memchr(text, '\n', (size_t)(end - text));
        char *const next = line_end == NULL ? end : line_end + 1;

        if (line_end == NULL)
            line_end = end;
        if (line_end > text && line_end[-1] == '\r')
            line_end--;
        *line_end = '\0';
        file->line++;
        read_line(reading, file, text, (size_t)(line_end - text));
        text = next;
    }
}

/*
 * Read a file, or so much of it that it is too large. Return it with a NUL behind its `length`
 * bytes, which the caller frees, or NULL with errno.
 */
static char *read_all(int fd, size_t *length)
{
    struct text_buffer text = {.bytes = NULL};
    char piece[4096];
    ssize_t got;

    do {
        got = read(fd, piece, sizeof piece);
        if (got < 0 && errno != EINTR)
            break;
        if (got > 0)
            text_buffer_append(&text, piece, (size_t)got);
    } while (got != 0 && text.length <= CONFIG_FILE_BYTES && !text.has_failed);
    if (got >= 0)
        return text_buffer_take(&text, length);
    text_buffer_clear(&text);
    return NULL;
}

/* Tell whether a file is being read already, since it includes itself in the end. */
static bool is_in_loop(const struct file *file)
{
    for (const struct file *other = file->includer; other != NULL; other = other->includer) {
        if (other->device == file->device && other->inode == file->inode)
            return true;
    }
    return false;
}

/* Note which file was opened. Return true, or false after a report if it is none to read. */
static bool identify_file(struct reading *reading, int fd, struct file *file)
{
    const struct file *includer = file->includer;
    struct stat status;

    if (fstat(fd, &status) < 0) {
        refuse_file_by_errno(reading, file->path, includer);
        return false;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    if (!S_ISREG(status.st_mode)) {
        refuse_file(reading, file->path, includer,
                    "it is no regular file, which a reload could read again", "name one");
        return false;
    }
    if (is_in_loop(file)) {
        refuse_file(reading, file->path, includer, "this file is being read already",
                    "let no file include itself, nor one that includes it");
        return false;
    }
    if (file->depth > CONFIG_FILE_DEPTH) {
        refuse_file(reading, file->path, includer, "it lies too deep",
                    "nest no more than 8 files in the first one");
        return false;
    }
    return true;
}

static void read_open_file(struct reading *reading, int fd, struct file *file)
{
    size_t length = 0;
    char *text;

    if (!identify_file(reading, fd, file))
        return;
    text = read_all(fd, &length);
    if (text == NULL)
        refuse_file_by_errno(reading, file->path, file->includer);
    else if (length > CONFIG_FILE_BYTES)
        refuse_file(reading, file->path, file->includer, "it is larger than 1MiB", "write less");
    else
        read_lines(reading, file, text, length);
    free(text);
}

static void read_file(struct reading *reading, const char *path, const struct file *includer)
{
    struct file file = {
        .includer = includer,
        .path = path,
        .depth = includer == NULL ? 0 : includer->depth + 1,
    };
    int fd;

    if (reading->is_over)
        return;
    if (reading->file_count++ == CONFIG_FILE_COUNT) {
        refuse_file(reading, path, includer, "there are more than 1000 files", "include fewer");
        reading->is_over = true;
        return;
    }
    tell_path(reading, path);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a FIFO would block */
    if (fd < 0) {
        refuse_file_by_errno(reading, path, includer);
        return;
    }
    read_open_file(reading, fd, &file);
    (void)close(fd);
}

int config_file_read(const char *path, const struct config_reader *reader)
{
    struct reading reading = {.reader = reader};

    read_file(&reading, path, NULL);
    errno = reading.is_out_of_memory ? ENOMEM : EINVAL;
    return reading.has_failed ? -1 : 0;
}
