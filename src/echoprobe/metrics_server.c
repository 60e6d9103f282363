#include <config.h>

#include "echoprobe/metrics_server.h"

#include "base/date.h"
#include "base/descriptor.h"
#include "base/exposition.h"
#include "base/http_server.h"
#include "base/text_buffer.h"
#include "echoprobe/target_metrics.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 64 };

static const struct http_limits limits = {
    .max_connections = METRICS_SERVER_FILES - 8,
    .max_header_bytes = 8192,
    .max_body_bytes = 0,
    .request_timeout_ms = 10000,
    .idle_timeout_ms = 120000, /* longer than from one scrape to the next */
};

struct metrics_server {
    pthread_mutex_t mutex; /* guards what follows up to the samples; held during an answer */
    struct target_reloads reloads;
    struct account *const *accounts;
    size_t count;
    struct target_sample *samples; /* one for each account */
    int listen_fd;
    int pipe[2]; /* closed at the writing end: the thread ends */
    struct http_server *http;
    pthread_t thread;
    bool is_started;
    time_t started;
    struct tally *tally; /* of the thread: room for one of their tallies */
};

/* --- Answers --------------------------------------------------------------------------------- */

static void take_samples(const struct metrics_server *server)
{
    for (size_t i = 0; i < server->count; i++) {
        struct account *account = server->accounts[i];
        struct target_sample *sample = &server->samples[i];

        *sample = (struct target_sample){
            .name = account->name == NULL ? account->report.target->name : account->name,
            .address = account->report.target->name,
            .has_handshakes = account->options->target.is_tls};
        account_read(account, server->tally, &sample->state);
        target_metrics_take(sample, server->tally, account->options->connections);
    }
}

static void answer_metrics(struct metrics_server *server, struct http_request *request)
{
    const enum exposition_format format =
        exposition_choose_format(http_request_header(request, "Accept"));
    struct text_buffer text = {0};
    size_t length;
    char *body;

    pthread_mutex_lock(&server->mutex);
    take_samples(server);
    target_metrics_write(&text, format, server->samples, server->count, &server->reloads,
                         server->started);
    pthread_mutex_unlock(&server->mutex);
    body = text_buffer_take(&text, &length);
    if (body == NULL)
        http_answer_text(request, 503, "text/plain", "There is not enough memory.\n");
    else
        http_answer(request, 200, exposition_content_type(format), body, length);
}

static void on_request(struct http_request *request, void *owner)
{
    const char *method = http_request_method(request), *path = http_request_path(request);

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_request_add_header(request, "Allow", "GET, HEAD");
        http_answer_text(request, 405, "text/plain", "Only GET and HEAD are answered.\n");
    } else if (strcmp(path, "/metrics") == 0) {
        answer_metrics(owner, request);
    } else {
        http_answer_text(request, 404, "text/plain", "The metrics are at /metrics.\n");
    }
}

/* --- The thread ------------------------------------------------------------------------------ */

static void *run(void *argument)
{
    const struct metrics_server *server = argument;
    struct pollfd files[] = {{.fd = server->pipe[0], .events = POLLIN},
                             {.fd = http_server_fd(server->http), .events = POLLIN}};

    while (files[0].revents == 0) {
        if (poll(files, 2, http_server_timeout_ms(server->http)) < 0 && errno != EINTR)
            break;
        http_server_run(server->http);
    }
    return NULL;
}

int metrics_server_start(struct metrics_server *server)
{
    sigset_t all, before;
    int failure;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&server->thread, NULL, run, server);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    server->is_started = failure == 0;
    errno = failure;
    return failure == 0 ? 0 : -1;
}

/* --- Construction and destruction ------------------------------------------------------------ */

static int bind_socket(int fd, const struct addrinfo *place)
{
    const int on = 1;

    if (descriptor_prepare(fd) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, place->ai_addr, place->ai_addrlen) < 0)
        return -1;
    return listen(fd, BACKLOG);
}

/* Listen on the first place that lets us. Return -1 with errno. */
static int listen_on(const struct addrinfo *places)
{
    int failure = EADDRNOTAVAIL;

    for (const struct addrinfo *place = places; place != NULL; place = place->ai_next) {
        const int fd = socket(place->ai_family, SOCK_STREAM, 0);

        if (fd >= 0 && bind_socket(fd, place) == 0)
            return fd;
        failure = errno;
        if (fd >= 0)
            (void)close(fd);
    }
    errno = failure;
    return -1;
}

static int open_socket(const struct address *address, struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    char port[sizeof "65535"], text[ADDRESS_TEXT_SIZE];
    struct addrinfo *places;
    int status, fd;

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    address_format(address, text);
    status = getaddrinfo(address->host, port, &hints, &places);
    if (status != 0) {
        error_set(error, "--metrics: %s: %s", address->host, gai_strerror(status));
        errno = status == EAI_MEMORY ? ENOMEM : EADDRNOTAVAIL;
        return -1;
    }
    fd = listen_on(places);
    status = errno;
    freeaddrinfo(places);
    if (fd < 0)
        error_set(error, "--metrics: cannot listen on %s: %s", text, strerror(status));
    errno = status;
    return fd;
}

static void tell_address(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[ADDRESS_TEXT_SIZE];

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return;
    address_format_socket((const struct sockaddr *)&address, length, text);
    (void)fprintf(stderr, "echoprobe: metrics at http://%s/metrics\n", text);
}

/* Return 0, or -1 with errno. */
static int make_parts(struct metrics_server *server)
{
    if (pipe(server->pipe) < 0)
        return -1;
    if (descriptor_prepare(server->pipe[0]) < 0 || descriptor_prepare(server->pipe[1]) < 0)
        return -1;
    server->tally = calloc(1, sizeof *server->tally);
    if (server->tally == NULL)
        return -1;
    server->http = http_server_new(server->listen_fd, &limits, on_request, server);
    return server->http == NULL ? -1 : 0;
}

static struct metrics_server *new_server(void)
{
    struct metrics_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    (void)pthread_mutex_init(&server->mutex, NULL);
    server->started = date_now().tv_sec;
    server->listen_fd = server->pipe[0] = server->pipe[1] = -1;
    return server;
}

struct metrics_server *metrics_server_open(const struct address *address, struct error *error)
{
    struct metrics_server *server;
    int failure;

    if (!http_server_is_available()) {
        error_set(error, "--metrics: this echoprobe was built without libmicrohttpd; leave it out");
        errno = EINVAL;
        return NULL;
    }
    server = new_server();
    if (server != NULL)
        server->listen_fd = open_socket(address, error);
    if (server != NULL && server->listen_fd >= 0 && make_parts(server) == 0) {
        tell_address(server->listen_fd);
        return server;
    }
    failure = errno;
    if (server == NULL || server->listen_fd >= 0)
        error_set(error, "--metrics: %s", strerror(failure));
    metrics_server_free(server);
    errno = failure;
    return NULL;
}

int metrics_server_set(struct metrics_server *server, struct account *const *accounts, size_t count)
{
    struct target_sample *samples = calloc(count, sizeof *samples), *before = server->samples;

    if (samples == NULL)
        return -1;
    pthread_mutex_lock(&server->mutex);
    server->accounts = accounts;
    server->count = count;
    server->samples = samples;
    pthread_mutex_unlock(&server->mutex);
    free(before);
    return 0;
}

void metrics_server_note_reload(struct metrics_server *server, bool is_done)
{
    pthread_mutex_lock(&server->mutex);
    if (is_done)
        server->reloads.done++;
    else
        server->reloads.refused++;
    server->reloads.is_last_refused = !is_done;
    pthread_mutex_unlock(&server->mutex);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void metrics_server_free(struct metrics_server *server)
{
    if (server == NULL)
        return;
    close_if_open(server->pipe[1]);
    if (server->is_started)
        (void)pthread_join(server->thread, NULL);
    http_server_free(server->http);
    close_if_open(server->pipe[0]);
    close_if_open(server->listen_fd);
    free(server->samples);
    free(server->tally);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}
