#include <config.h>

#include "base/process_metrics.h"

#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Asking ---------------------------------------------------------------------------------- */

/* What Linux says of a process, in its own words (proc(5)). */
struct process_stat {
    uint64_t thread_count;
    uint64_t virtual_bytes;
    uint64_t resident_pages;
};

/* Read a file of /proc. Return false if it cannot be read whole. */
static bool read_file(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (fd < 0)
        return false;
    length = read(fd, text, size - 1);
    (void)close(fd);
    text[length < 0 ? 0 : length] = '\0';
    return length > 0 && (size_t)length < size - 1;
}

/* Move on by so many fields, and read the one that is there. Return false if there is none. */
static bool read_field(const char **text, unsigned distance, uint64_t *value)
{
    char *end;

    while (distance-- > 0) {
        *text = strchr(*text, ' ');
        if (*text == NULL)
            return false;
        ++*text;
    }
    *value = strtoull(*text, &end, 10);
    return end != *text;
}

/* Fields are counted from the program's name, which is the 2nd and may have anything in it. */
static bool read_stat(struct process_stat *stat)
{
    char text[1024];
    const char *rest;

    if (!read_file("/proc/self/stat", text, sizeof text))
        return false;
    rest = strrchr(text, ')');
    return rest != NULL && read_field(&rest, 20 - 2, &stat->thread_count) &&
           read_field(&rest, 23 - 20, &stat->virtual_bytes) &&
           read_field(&rest, 24 - 23, &stat->resident_pages);
}

/* Count the entries of a directory but for "." and "..", and that of the descriptor to read it. */
static uint64_t count_entries(DIR *directory)
{
    uint64_t count = 0;

    while (readdir(directory) != NULL)
        count++;
    return count < 3 ? 0 : count - 3;
}

/* Return how many files are open, or 0 if that cannot be told. Linux 6.2 has it as the size. */
static uint64_t count_open_files(void)
{
    static const char path[] = "/proc/self/fd";
    struct stat status;
    DIR *directory;
    uint64_t count;

    if (stat(path, &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    directory = opendir(path);
    if (directory == NULL)
        return 0;
    count = count_entries(directory);
    (void)closedir(directory);
    return count;
}

/* --- Telling --------------------------------------------------------------------------------- */

static void add_gauge(struct exposition *exposition, const char *name, const char *unit,
                      const char *help, uint64_t value)
{
    const struct exposition_metric metric = {EXPOSITION_GAUGE, name, unit, help};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, NULL, 0, value);
}

static void add_cpu(struct exposition *exposition)
{
    static const struct exposition_metric metric = {
        EXPOSITION_COUNTER, "process_cpu_seconds", "seconds",
        "Processor time that the process has taken, in user and kernel mode."};
    struct timespec taken;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken) < 0)
        return;
    exposition_begin(exposition, &metric);
    exposition_add_decimal(exposition, NULL, 0,
                           (uint64_t)taken.tv_sec * 1000000000 + (uint64_t)taken.tv_nsec, 9);
}

static void add_memory_and_threads(struct exposition *exposition)
{
    struct process_stat stat;

    if (!read_stat(&stat))
        return;
    add_gauge(exposition, "process_virtual_memory_bytes", "bytes", "Address space of the process.",
              stat.virtual_bytes);
    add_gauge(exposition, "process_resident_memory_bytes", "bytes",
              "Memory of the process that is in RAM.",
              stat.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE));
    add_gauge(exposition, "process_threads", NULL, "Threads of the process.", stat.thread_count);
}

void process_metrics_add(struct exposition *exposition, time_t started)
{
    const uint64_t open_files = count_open_files();

    add_cpu(exposition);
    add_memory_and_threads(exposition);
    if (open_files > 0)
        add_gauge(exposition, "process_open_fds", NULL, "File descriptors that are open.",
                  open_files);
    add_gauge(exposition, "process_max_fds", NULL, "File descriptors that may be open.",
              process_file_limit());
    add_gauge(exposition, "process_start_time_seconds", "seconds",
              "When the process started, in seconds since 1970.", (uint64_t)started);
}
