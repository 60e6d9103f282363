#include <config.h>

#include "base/pem_file.h"

#include "base/denial.h"
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who may not read it is often not who started the process. */
static void refuse_user(const char *what, const char *path, struct error *error)
{
    const struct passwd *user = getpwuid(geteuid());

    error_set(error, "%s %s: %s; let user %lu%s%s%s, who this process runs as, read it", what, path,
              strerror(EACCES), (unsigned long)geteuid(), user == NULL ? "" : " (",
              user == NULL ? "" : user->pw_name, user == NULL ? "" : ")");
    errno = EACCES;
}

/* Say what the system answered. */
static void refuse(const char *what, const char *path, struct error *error)
{
    if (denial_is_by_sandbox(path, R_OK))
        error_set(error, "%s %s: %s; " DENIAL_SENTENCE, what, path, strerror(errno));
    else if (errno == EACCES)
        refuse_user(what, path, error);
    else
        error_set(error, "%s %s: %s; name a file that can be read", what, path, strerror(errno));
}

/* Read what there is. Return its length, or -1 with errno, EFBIG if it is too long. */
static ssize_t read_all(int fd, char *memory)
{
    size_t length = 0;

    while (length <= PEM_FILE_SIZE) {
        const ssize_t got = read(fd, memory + length, PEM_FILE_SIZE + 1 - length);

        if (got == 0)
            return (ssize_t)length;
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            length += (size_t)got;
    }
    errno = EFBIG;
    return -1;
}

/* Some editors begin a file with U+FEFF, behind which OpenSSL sees no line that it knows. */
static void find_text(struct pem_file *file, size_t length)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    const bool has_mark = length >= sizeof mark && memcmp(file->memory, mark, sizeof mark) == 0;
    const size_t start = has_mark ? sizeof mark : 0;

    file->text = file->memory + start;
    file->length = length - start;
}

/* Read a file whose kind was looked at. Return 0, or -1 with errno. */
static int read_content(int fd, struct pem_file *file)
{
    ssize_t length;

    file->memory = malloc(PEM_FILE_SIZE + 1);
    if (file->memory == NULL)
        return -1;
    length = read_all(fd, file->memory);
    if (length >= 0)
        find_text(file, (size_t)length);
    return length < 0 ? -1 : 0;
}

static int read_open_file(int fd, struct pem_file *file, const char *what, const char *path,
                          struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        refuse(what, path, error);
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s %s: it is no regular file; name one", what, path);
        errno = EINVAL;
        return -1;
    }
    file->is_exposed = (status.st_mode & (S_IROTH | S_IWOTH)) != 0;
    if (read_content(fd, file) == 0)
        return 0;
    if (errno == EFBIG)
        error_set(error, "%s %s: it is larger than 1MiB; leave out what is not needed", what, path);
    else
        refuse(what, path, error);
    return -1;
}

int pem_file_read(struct pem_file *file, const char *what, const char *path, struct error *error)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a FIFO blocks */
    int status;

    *file = (struct pem_file){.memory = NULL};
    if (fd < 0) {
        refuse(what, path, error);
        return -1;
    }
    status = read_open_file(fd, file, what, path, error);
    descriptor_close(fd);
    if (status < 0)
        pem_file_free(file);
    return status;
}

void pem_file_free(struct pem_file *file)
{
    const int saved_errno = errno;

    if (file->memory != NULL)
        OPENSSL_cleanse(file->memory, PEM_FILE_SIZE + 1); /* also what a failed read left */
    free(file->memory);
    *file = (struct pem_file){.memory = NULL};
    errno = saved_errno;
}
