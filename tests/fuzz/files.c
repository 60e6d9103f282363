#include <config.h>

#include "files.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNT_MAX = 16, STARS_MAX = 6 };

static struct {
    bool is_on;
    size_t count;
    struct files_entry entries[COUNT_MAX];
} files;

void files_begin(void)
{
    files.is_on = true;
    files.count = 0;
}

static bool is_path(const char *path)
{
    for (const char *at = path; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~')
            return false;
    }
    return *path != '\0' && strlen(path) < FILES_PATH_SIZE;
}

void files_add(const char *path, const char *text, size_t length)
{
    struct files_entry *entry = &files.entries[files.count];

    if (!is_path(path) || files.count == COUNT_MAX)
        return;
    files.count++;
    *entry = (struct files_entry){.text = text, .length = length, .fd = -1};
    (void)snprintf(entry->path, sizeof entry->path, "%s", path);
}

const struct files_entry *files_at(size_t index)
{
    return index < files.count ? &files.entries[index] : NULL;
}

void files_end(void)
{
    for (size_t i = 0; i < files.count; i++) {
        if (files.entries[i].fd >= 0)
            (void)close(files.entries[i].fd);
    }
    files.is_on = false;
    files.count = 0;
}

static struct files_entry *find(const char *path)
{
    for (size_t i = 0; i < files.count; i++) {
        if (strcmp(files.entries[i].path, path) == 0)
            return &files.entries[i];
    }
    errno = ENOENT;
    return NULL;
}

/* A file is the same one whenever it is opened, so all share its offset: it is read whole. */
static int open_entry(struct files_entry *entry)
{
    if (entry->fd < 0) {
        entry->fd = memfd_create("file", MFD_CLOEXEC);
        fuzz_require(entry->fd >= 0);
        fuzz_require(write(entry->fd, entry->text, entry->length) == (ssize_t)entry->length);
    }
    fuzz_require(lseek(entry->fd, 0, SEEK_SET) == 0);
    return fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
}

int open(const char *file, int oflag, ...)
{
    struct files_entry *entry;
    mode_t mode = 0;

    if (!files.is_on) {
        if ((oflag & O_CREAT) != 0) {
            va_list arguments;

            va_start(arguments, oflag);
            mode = va_arg(arguments, mode_t);
            va_end(arguments);
        }
        return openat(AT_FDCWD, file, oflag, mode);
    }
    fuzz_require((oflag & (O_WRONLY | O_RDWR | O_CREAT)) == 0);
    entry = find(file);
    return entry == NULL ? -1 : open_entry(entry);
}

int access(const char *name, int type)
{
    if (!files.is_on)
        return faccessat(AT_FDCWD, name, type, 0);
    return find(name) == NULL ? -1 : 0;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Tell whether a pattern is soon compared: a library may take for ever over many stars. */
static bool is_simple(const char *pattern)
{
    int stars = 0;

    for (; *pattern != '\0'; pattern++)
        stars += *pattern == '*';
    return stars <= STARS_MAX;
}

/* What is found belongs to the files. */
int glob(const char *pattern, int flags, int (*errfunc)(const char *path, int error), glob_t *pglob)
{
    fuzz_require(files.is_on && flags == 0 && errfunc != NULL);
    pglob->gl_pathc = 0;
    pglob->gl_pathv = calloc(COUNT_MAX + 1, sizeof *pglob->gl_pathv);
    fuzz_require(pglob->gl_pathv != NULL);
    for (size_t i = 0; i < files.count && is_simple(pattern); i++) {
        if (fnmatch(pattern, files.entries[i].path, FNM_PATHNAME | FNM_PERIOD) == 0)
            pglob->gl_pathv[pglob->gl_pathc++] = files.entries[i].path;
    }
    qsort(pglob->gl_pathv, pglob->gl_pathc, sizeof *pglob->gl_pathv, compare_paths);
    if (pglob->gl_pathc > 0)
        return 0;
    free(pglob->gl_pathv);
    return GLOB_NOMATCH;
}

void globfree(glob_t *pglob)
{
    free(pglob->gl_pathv);
}
