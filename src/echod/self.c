#include <config.h>

#include "echod/self.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * What is read of the environment; of several names the first that is set counts. supervisord sets
 * its own. The others are those that manifests commonly give to fields of the Kubernetes downward
 * API, and that its documentation has.
 */
static const struct variable {
    size_t offset;
    const char *names[3];
} variables[] = {
    {offsetof(struct self, pod), {"POD_NAME", "MY_POD_NAME"}},
    {offsetof(struct self, pod_namespace), {"POD_NAMESPACE", "MY_POD_NAMESPACE", "NAMESPACE"}},
    {offsetof(struct self, pod_ip), {"POD_IP", "MY_POD_IP"}},
    {offsetof(struct self, node), {"NODE_NAME", "MY_NODE_NAME"}},
    {offsetof(struct self, container), {"CONTAINER_NAME"}},
    {offsetof(struct self, supervisor_process), {"SUPERVISOR_PROCESS_NAME"}},
    {offsetof(struct self, supervisor_group), {"SUPERVISOR_GROUP_NAME"}},
};

static const char *read_variable(const struct variable *variable)
{
    enum { NAMES = sizeof variable->names / sizeof variable->names[0] };

    for (size_t i = 0; i < NAMES && variable->names[i] != NULL; i++) {
        const char *value = getenv(variable->names[i]);

        if (value != NULL && value[0] != '\0')
            return value;
    }
    return "";
}

void self_read(struct self *self)
{
    *self = (struct self){.pid = (uint64_t)getpid()};
    if (gethostname(self->host, sizeof self->host - 1) < 0)
        self->host[0] = '\0';
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        (void)snprintf((char *)self + variables[i].offset, SELF_TEXT_SIZE, "%s",
                       read_variable(&variables[i]));
}
