#include <config.h>

#include "echod/endpoint.h"

#include "base/descriptor.h"
#include "echod/tls_context.h"
#include "echod/tls_notes.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Adding ---------------------------------------------------------------------------------- */

struct endpoint *endpoint_add(struct endpoint_list *list, enum endpoint_kind kind)
{
    struct endpoint *items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return NULL;
    list->items = items;
    items[list->count] = (struct endpoint){
        .kind = kind,
        .number = list->next_number++,
        .input_fd = -1,
        .output_fd = -1,
    };
    return &items[list->count++];
}

struct endpoint *endpoint_add_socket(struct endpoint_list *list, enum endpoint_kind kind, int fd)
{
    int *fds = malloc(list->worker_count * sizeof *fds);
    struct endpoint *endpoint = fds == NULL ? NULL : endpoint_add(list, kind);

    if (endpoint == NULL) {
        descriptor_close(fd);
        free(fds);
        return NULL;
    }
    endpoint->worker_fds = fds;
    fds[0] = fd;
    for (size_t i = 1; i < list->worker_count; i++)
        fds[i] = -1;
    return endpoint;
}

int endpoint_share_socket(struct endpoint *endpoint, size_t worker_count)
{
    for (size_t i = 1; i < worker_count; i++) {
        int *fd = &endpoint->worker_fds[i];

        if (*fd < 0)
            *fd = fcntl(endpoint->worker_fds[0], F_DUPFD_CLOEXEC, 0);
        if (*fd < 0)
            return -1;
    }
    return 0;
}

/* A Unix socket has no such option, nor needs it. */
void endpoint_set_no_delay(int fd)
{
    const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

#ifdef MSG_ERRQUEUE

static void decline(int fd, int level, int name)
{
    const int off = 0;

    (void)setsockopt(fd, level, name, &off, sizeof off);
}

static bool is_of_ip(int fd)
{
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof own;

    return getsockname(fd, (struct sockaddr *)&own, &length) == 0 &&
           (own.ss_family == AF_INET || own.ss_family == AF_INET6);
}

/* Where none waits, some protocols would take it for a wish to receive data. */
static bool has_report(int fd)
{
    struct pollfd asked = {.fd = fd};

    return poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

void endpoint_decline_reports(int fd)
{
    struct msghdr report = {0};

    if (!is_of_ip(fd))
        return;
    decline(fd, SOL_SOCKET, SO_TIMESTAMPING);
#ifdef IP_RECVERR
    decline(fd, IPPROTO_IP, IP_RECVERR);
#endif
    decline(fd, IPPROTO_IPV6, IPV6_RECVERR);
    while (has_report(fd) && recvmsg(fd, &report, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
        report = (struct msghdr){0};
}

#else

void endpoint_decline_reports(int fd)
{
    (void)fd;
}

#endif

/* --- The path of a Unix socket --------------------------------------------------------------- */

bool endpoint_is_bound(const struct endpoint *endpoint, const struct stat *now)
{
    return now->st_dev == endpoint->bound_device && now->st_ino == endpoint->bound_inode;
}

bool endpoint_has_path(const struct endpoint *endpoint)
{
    struct stat now;

    return endpoint->bound_path[0] != '\0' && lstat(endpoint->bound_path, &now) == 0 &&
           endpoint_is_bound(endpoint, &now);
}

bool endpoint_has_lost_path(const struct endpoint *endpoint)
{
    struct stat now;

    if (endpoint->bound_path[0] == '\0')
        return false;
    if (lstat(endpoint->bound_path, &now) == 0)
        return !endpoint_is_bound(endpoint, &now);
    return errno == ENOENT || errno == ENOTDIR;
}

void endpoint_remove_path(struct endpoint *endpoint)
{
    if ((endpoint->is_leaving || !endpoint->is_kept) && endpoint_has_path(endpoint))
        (void)unlink(endpoint->bound_path);
    endpoint->bound_path[0] = '\0';
}

/* --- Options of a reload --------------------------------------------------------------------- */

/* Let go of a context, and hold another. */
static void replace(struct tls_context **held, struct tls_context *other)
{
    struct tls_context *before = *held;

    *held = tls_context_ref(other);
    tls_context_unref(before);
}

void endpoint_set_next_tls(struct endpoint *endpoint, struct tls_context *tls)
{
    replace(&endpoint->next_tls, tls);
}

void endpoint_take_next(struct endpoint *endpoint)
{
    endpoint->options = endpoint->next_options;
    replace(&endpoint->tls, endpoint->next_tls);
}

void endpoint_drop_next(struct endpoint *endpoint)
{
    endpoint->next_options = endpoint->options;
    replace(&endpoint->next_tls, endpoint->tls);
}

/* --- Closing --------------------------------------------------------------------------------- */

/* Remove the path of its Unix socket, and close it. */
static void close_endpoint(struct endpoint *endpoint, size_t worker_count)
{
    endpoint_remove_path(endpoint);
    for (size_t i = 0; endpoint->worker_fds != NULL && i < worker_count; i++)
        descriptor_close(endpoint->worker_fds[i]);
    free(endpoint->worker_fds);
    descriptor_close(endpoint->input_fd);
    if (endpoint->output_fd != endpoint->input_fd)
        descriptor_close(endpoint->output_fd);
    tls_context_unref(endpoint->tls);
    tls_context_unref(endpoint->next_tls);
}

void endpoint_list_close_from(struct endpoint_list *list, size_t count)
{
    const int saved_errno = errno;

    while (list->count > count)
        close_endpoint(&list->items[--list->count], list->worker_count);
    errno = saved_errno;
}

void endpoint_list_close_leaving(struct endpoint_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].is_leaving)
            close_endpoint(&list->items[i], list->worker_count);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* --- Log and errors -------------------------------------------------------------------------- */

const char *endpoint_label(const struct endpoint *endpoint)
{
    return endpoint->next_options.name[0] != '\0' ? endpoint->next_options.name : endpoint->name;
}

struct log_field endpoint_fact(const struct endpoint *endpoint)
{
    return (struct log_field){.name = "listener", .text = endpoint_label(endpoint)};
}

void endpoint_log(const struct endpoint *endpoint, const char *what, struct log *log)
{
    const char *name = endpoint->options.name;
    const bool has_name = name[0] != '\0';

    log_write_fields(log, LOG_LEVEL_INFO,
                     (const struct log_field[]){
                         {.name = "address", .text = endpoint->name},
                         {.name = "listener", .text = name},
                     },
                     has_name ? 2 : 1, "%s %s%s%s", what, endpoint->name,
                     has_name ? " listener=" : "", name);
}

void endpoint_log_identify(const struct endpoint *endpoint, struct log *log)
{
    const struct log_field fact = endpoint_fact(endpoint);

    if (endpoint->next_options.identify != LISTENER_IDENTIFY_OFF)
        log_write_fields(log, LOG_LEVEL_INFO, &fact, 1, "%s: clients are told its identity",
                         endpoint->name);
}

void endpoint_warn_of_impair(const struct endpoint *endpoint, struct log *log)
{
    const struct impair *impair = &endpoint->next_options.impair;
    const struct log_field fact = endpoint_fact(endpoint);
    char text[IMPAIR_TEXT_SIZE];

    if (!impair_is_on(impair))
        return;
    impair_describe(impair, text, sizeof text);
    log_write_fields(log, LOG_LEVEL_WARNING, &fact, 1, "%s misbehaves on purpose: %s",
                     endpoint->name, text);
}

/* Of whom something is told, and where. */
struct telling {
    const struct endpoint *endpoint;
    struct log *log;
};

static void log_note(const struct tls_note *note, void *argument)
{
    const struct telling *telling = argument;
    struct log_field fields[TLS_NOTE_FIELDS + 1] = {endpoint_fact(telling->endpoint)};

    memcpy(fields + 1, note->fields, note->field_count * sizeof fields[0]);
    log_write_fields(telling->log, note->level, fields, note->field_count + 1, "%s", note->text);
}

void endpoint_log_tls(const struct endpoint *endpoint, struct log *log)
{
    struct telling telling = {endpoint, log};

    if (endpoint->next_tls != NULL)
        tls_notes_tell(endpoint->next_tls, endpoint->name, log_note, &telling);
}

void endpoint_warn_of_tls_ends(const struct endpoint *endpoint, time_t now, struct log *log)
{
    struct telling telling = {endpoint, log};

    if (endpoint->next_tls != NULL)
        tls_notes_tell_ends(endpoint->next_tls, endpoint->name, now, log_note, &telling);
}

void endpoint_explain(struct error *error, const char *name, const char *advice)
{
    error_set(error, "%s: %s; %s", name, strerror(errno), advice);
}

void endpoint_explain_option(struct error *error, const char *name, const char *option)
{
    error_set(error, "%s: %s: %s; leave it out, or give what this system allows", name, option,
              strerror(errno));
}

const char *endpoint_advice(int failure, const char *otherwise)
{
    switch (failure) {
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n), or ask for fewer --workers";
    case ENOMEM:
    case ENOBUFS:
        return "let the system have more free memory";
    case EPERM:
    case ENOSYS:
        return ENDPOINT_ADVICE_ON_REFUSAL;
    default:
        return otherwise;
    }
}
