#include <config.h>

#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

void process_fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

void process_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t process_file_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

static bool standard_error_is_client(void)
{
    struct stat input, errors;

    return fstat(STDIN_FILENO, &input) == 0 && fstat(STDERR_FILENO, &errors) == 0 &&
           S_ISSOCK(input.st_mode) && input.st_dev == errors.st_dev &&
           input.st_ino == errors.st_ino;
}

void process_complain(const char *program, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (standard_error_is_client()) {
        openlog(program, LOG_PID, LOG_DAEMON);
        vsyslog(LOG_ERR, format, arguments);
        closelog();
    } else {
        (void)fprintf(stderr, "%s: ", program);
        (void)vfprintf(stderr, format, arguments);
        (void)fputc('\n', stderr);
    }
    va_end(arguments);
}

int process_end_output(const char *program)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    (void)fprintf(stderr, "%s: standard output: %s\n", program, strerror(errno));
    return -1;
}

int process_print(const char *program, void (*print_text)(FILE *stream))
{
    print_text(stdout);
    return process_end_output(program);
}
