#include <config.h>

#include "echoprobe/record_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_standard_output(const char *name)
{
    return strcmp(name, "-") == 0;
}

/* Return standard output as a stream of its own, and let what is printed go to standard error. */
static FILE *take_standard_output(void)
{
    const int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (fd < 0 || fflush(stdout) != 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return NULL;
    return fdopen(fd, "w");
}

int record_file_open(struct record_file *file, const char *option, const char *name,
                     bool shows_each_line, struct error *error)
{
    const bool is_standard = is_standard_output(name);

    file->option = option;
    file->name = is_standard ? "standard output" : name;
    file->shows_each_line = shows_each_line;
    file->stream = is_standard ? take_standard_output() : fopen(name, "we");
    if (file->stream != NULL)
        return 0;
    error_set(error, "--%s: %s: %s", option, file->name, strerror(errno));
    return -1;
}

bool record_file_is_open(const struct record_file *file)
{
    return file->stream != NULL;
}

void record_file_end_line(struct record_file *file, bool has_arrived)
{
    int none = 0;

    if (has_arrived && (!file->shows_each_line || fflush(file->stream) == 0))
        return;
    (void)atomic_compare_exchange_strong(&file->failure, &none, errno);
}

int record_file_close(struct record_file *file, struct error *error)
{
    int failure = atomic_load(&file->failure);

    if (file->stream == NULL)
        return 0;
    if (fclose(file->stream) != 0 && failure == 0)
        failure = errno;
    file->stream = NULL;
    if (failure == 0)
        return 0;
    error_set(error, "--%s: %s: %s", file->option, file->name, strerror(failure));
    return -1;
}
