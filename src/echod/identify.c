#include <config.h>

#include "echod/identify.h"

struct identify_plan identify_plan(const struct listener_options *options, unsigned worker,
                                   const struct self *self, const char *listener)
{
    struct identify_plan plan = {
        .mode = options->identify, .worker = worker, .self = self, .listener = listener};

    impair_describe(&options->impair, plan.impaired, sizeof plan.impaired);
    return plan;
}

void identify_format_local(int fd, char text[ADDRESS_TEXT_SIZE])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;

    text[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        address_format_socket((const struct sockaddr *)&address, length, text);
}

static void add_self(struct identity *identity, const struct self *self)
{
    identity->host = self->host;
    identity->pod = self->pod;
    identity->pod_namespace = self->pod_namespace;
    identity->pod_ip = self->pod_ip;
    identity->node = self->node;
    identity->container = self->container;
    identity->supervisor_process = self->supervisor_process;
    identity->supervisor_group = self->supervisor_group;
    identity->pid = self->pid;
}

static void add_proxy(struct identity *identity, const struct proxy_facts *proxy)
{
    identity->source = proxy->source;
    identity->destination = proxy->destination;
    identity->authority = proxy->authority;
    identity->unique_id = proxy->unique_id;
    identity->verified = proxy->verified;
    identity->proxy_tls = (struct identity_tls){
        .version = proxy->tls_version,
        .cipher = proxy->cipher,
        .alpn = proxy->alpn,
        .subject = proxy->common_name,
    };
}

static enum identity_form form_of(const struct identify_plan *plan)
{
    return plan->mode == LISTENER_IDENTIFY_JSON || plan->mode == LISTENER_IDENTIFY_ONLY_JSON
               ? IDENTITY_JSON
               : IDENTITY_LINE;
}

size_t identify_write(const struct identify_plan *plan, const struct identify_subject *subject,
                      char *bytes, size_t size)
{
    struct identity identity = {
        .version = PACKAGE_VERSION,
        .worker = plan->worker,
        .id = subject->id,
        .listener = plan->listener,
        .impaired = plan->impaired,
        .local = subject->local,
        .client = subject->client,
        .tls = subject->tls,
    };

    add_self(&identity, plan->self);
    if (subject->proxy != NULL)
        add_proxy(&identity, subject->proxy);
    return identity_write(&identity, form_of(plan), bytes, size);
}
