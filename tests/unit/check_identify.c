/*
 * check_identify: where the facts of an identity come from: the environment, a header of the PROXY
 * protocol, a socket.
 * What it looks like is for check_identity.
 * Run by make check.
 */
#include <config.h>

#include "echod/identify.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const known_variables[] = {"POD_NAME",
                                              "MY_POD_NAME",
                                              "POD_NAMESPACE",
                                              "MY_POD_NAMESPACE",
                                              "NAMESPACE",
                                              "POD_IP",
                                              "MY_POD_IP",
                                              "NODE_NAME",
                                              "MY_NODE_NAME",
                                              "CONTAINER_NAME",
                                              "HOSTNAME",
                                              "SUPERVISOR_PROCESS_NAME",
                                              "SUPERVISOR_GROUP_NAME"};

static void clear_environment(void)
{
    for (size_t i = 0; i < sizeof known_variables / sizeof known_variables[0]; i++)
        ck_assert_int_eq(unsetenv(known_variables[i]), 0);
}

static void set(const char *name, const char *value)
{
    ck_assert_int_eq(setenv(name, value, 1), 0);
}

START_TEST(the_host_and_the_process_are_the_systems)
{
    struct self self;
    char host[300];

    clear_environment();
    set("HOSTNAME", "not-this");
    self_read(&self);
    ck_assert_int_eq(gethostname(host, sizeof host), 0);
    ck_assert_str_eq(self.host, host);
    ck_assert_uint_eq(self.pid, (uint64_t)getpid());
    ck_assert_str_eq(self.pod, "");
    ck_assert_str_eq(self.container, "");
}
END_TEST

START_TEST(the_environment_says_where_it_was_put)
{
    struct self self;

    clear_environment();
    set("POD_NAME", "echo-1");
    set("MY_POD_NAME", "second");
    set("POD_NAMESPACE", "");
    set("NAMESPACE", "prod");
    set("MY_POD_IP", "10.1.2.3");
    set("NODE_NAME", "worker-3");
    set("CONTAINER_NAME", "echo");
    set("SUPERVISOR_PROCESS_NAME", "echod_00");
    set("SUPERVISOR_GROUP_NAME", "echod");
    self_read(&self);
    ck_assert_str_eq(self.pod, "echo-1");
    ck_assert_str_eq(self.pod_namespace, "prod");
    ck_assert_str_eq(self.pod_ip, "10.1.2.3");
    ck_assert_str_eq(self.node, "worker-3");
    ck_assert_str_eq(self.container, "echo");
    ck_assert_str_eq(self.supervisor_process, "echod_00");
    ck_assert_str_eq(self.supervisor_group, "echod");
}
END_TEST

/* Write the identity of a subject as a string. */
static const char *write_line(unsigned mode, const struct self *self,
                              const struct identify_subject *subject)
{
    static char bytes[IDENTITY_SIZE + 1];
    const struct identify_plan plan = {
        .mode = mode, .worker = 2, .self = self, .listener = "public"};

    bytes[identify_write(&plan, subject, bytes, IDENTITY_SIZE)] = '\0';
    return bytes;
}

START_TEST(a_value_of_the_environment_is_cut_for_all_to_see)
{
    const struct identify_subject subject = {.id = 1};
    struct self self;
    char value[2000];
    const char *pod;

    clear_environment();
    memset(value, 'p', sizeof value);
    value[sizeof value - 1] = '\0';
    set("POD_NAME", value);
    self_read(&self);
    pod = strstr(write_line(LISTENER_IDENTIFY_LINE, &self, &subject), "pod=");
    ck_assert_uint_eq(strcspn(pod, " "), strlen("pod=") + IDENTITY_VALUE_SIZE);
    ck_assert_int_eq(strncmp(pod + strcspn(pod, " ") - 3, "...", 3), 0);
}
END_TEST

START_TEST(the_mode_decides_the_form)
{
    const struct self self = {.host = "h", .pid = 7};
    const struct identify_subject subject = {.id = 5, .client = "c", .local = "l"};
    static const char line[] =
        "echod=" PACKAGE_VERSION " host=h local=l client=c id=5 listener=public pid=7 worker=2\n";

    ck_assert_str_eq(write_line(LISTENER_IDENTIFY_LINE, &self, &subject), line);
    ck_assert_str_eq(write_line(LISTENER_IDENTIFY_ONLY, &self, &subject), line);
    ck_assert_int_eq(write_line(LISTENER_IDENTIFY_JSON, &self, &subject)[0], '{');
    ck_assert_int_eq(write_line(LISTENER_IDENTIFY_ONLY_JSON, &self, &subject)[0], '{');
}
END_TEST

static struct proxy_text text_of(const char *text, size_t length)
{
    return (struct proxy_text){(const unsigned char *)text, length};
}

/* A header from a client of IPv4, with hostile texts. */
static struct proxy_header make_header(void)
{
    static const struct sockaddr_in address = {.sin_family = AF_INET};
    struct proxy_header header = {.version = PROXY_V2, .has_addresses = true};

    memcpy(&header.source, &address, sizeof address);
    memcpy(&header.destination, &address, sizeof address);
    header.tlvs.authority = text_of("www.example extra", 11);
    header.tlvs.unique_id = text_of("\0a\n", 3);
    header.tlvs.alpn = text_of("h2", 2);
    header.tlvs.ssl = (struct proxy_ssl){
        .is_told = true,
        .is_tls = true,
        .has_certificate = true,
        .version = text_of("TLSv1.3", 7),
        .common_name = text_of("J. Random", 9),
    };
    return header;
}

START_TEST(the_header_tells_what_the_proxy_knows)
{
    const struct self self = {.pid = 7};
    const struct proxy_header header = make_header();
    struct proxy_facts *facts = proxy_facts_new(&header);
    const struct identify_subject subject = {.id = 5, .proxy = facts};

    ck_assert_ptr_nonnull(facts);
    ck_assert_str_eq(write_line(LISTENER_IDENTIFY_LINE, &self, &subject),
                     "echod=" PACKAGE_VERSION " source=0.0.0.0:0 destination=0.0.0.0:0 id=5 "
                     "listener=public pid=7 worker=2 proxy_authority=www.example "
                     "proxy_unique_id=\xef\xbf\xbd"
                     "a\\x0a proxy_tls=TLSv1.3 proxy_alpn=h2 proxy_subject=J.\\x20Random "
                     "proxy_verified=no\n");
    free(facts);
}
END_TEST

START_TEST(a_header_may_say_little)
{
    struct proxy_header header = {.version = PROXY_V2};
    struct proxy_facts *facts = proxy_facts_new(&header);

    ck_assert_ptr_nonnull(facts);
    ck_assert_str_eq(facts->source, "");
    ck_assert_str_eq(facts->destination, "");
    ck_assert_str_eq(facts->tls_version, "");
    ck_assert_ptr_null(facts->verified);
    free(facts);
    header.tlvs.ssl = (struct proxy_ssl){.is_told = true, .is_tls = true};
    facts = proxy_facts_new(&header);
    ck_assert_ptr_nonnull(facts);
    ck_assert_str_eq(facts->tls_version, "yes");
    free(facts);
}
END_TEST

START_TEST(a_long_text_of_the_header_is_cut_for_all_to_see)
{
    const struct self self = {.pid = 7};
    struct proxy_header header = {.version = PROXY_V2};
    struct identify_subject subject = {.id = 5};
    struct proxy_facts *facts;
    char bytes[60000];
    const char *value;

    memset(bytes, _i == 0 ? 'a' : '\0', sizeof bytes);
    header.tlvs.authority = text_of(bytes, sizeof bytes);
    subject.proxy = facts = proxy_facts_new(&header);
    ck_assert_ptr_nonnull(facts);
    value = strstr(write_line(LISTENER_IDENTIFY_LINE, &self, &subject), "proxy_authority=");
    value += strlen("proxy_authority=");
    ck_assert_uint_le(strcspn(value, "\n"), IDENTITY_VALUE_SIZE);
    ck_assert_str_eq(strstr(value, "..."), "...\n");
    free(facts);
}
END_TEST

START_TEST(a_plan_tells_how_its_listener_misbehaves)
{
    const struct self self = {.pid = 7};
    const struct identify_subject subject = {.id = 5};
    struct listener_options options = {.identify = LISTENER_IDENTIFY_LINE};
    struct identify_plan plan = identify_plan(&options, 2, &self, "public");
    char bytes[IDENTITY_SIZE + 1];

    bytes[identify_write(&plan, &subject, bytes, IDENTITY_SIZE)] = '\0';
    ck_assert_str_eq(bytes, "echod=" PACKAGE_VERSION " id=5 listener=public pid=7 worker=2\n");
    options.impair.delay_ms = 50;
    options.impair.chunk_bytes = 7;
    plan = identify_plan(&options, 2, &self, "public");
    bytes[identify_write(&plan, &subject, bytes, IDENTITY_SIZE)] = '\0';
    ck_assert_ptr_nonnull(strstr(bytes, " impaired=delay=50ms,chunk="));
}
END_TEST

START_TEST(the_own_address_is_that_of_the_socket)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[ADDRESS_TEXT_SIZE];
    int ends[2];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    identify_format_local(fd, text);
    support_assert_matches(text, "^127\\.0\\.0\\.1:[1-9][0-9]*$");
    (void)close(fd);
    ck_assert_int_eq(pipe(ends), 0);
    identify_format_local(ends[0], text);
    ck_assert_str_eq(text, "");
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

static Suite *identify_suite(void)
{
    Suite *suite = suite_create("identify");
    TCase *test_case = support_case(suite, "facts");

    tcase_add_test(test_case, the_host_and_the_process_are_the_systems);
    tcase_add_test(test_case, the_environment_says_where_it_was_put);
    tcase_add_test(test_case, a_value_of_the_environment_is_cut_for_all_to_see);
    tcase_add_test(test_case, the_mode_decides_the_form);
    tcase_add_test(test_case, the_header_tells_what_the_proxy_knows);
    tcase_add_test(test_case, a_header_may_say_little);
    tcase_add_loop_test(test_case, a_long_text_of_the_header_is_cut_for_all_to_see, 0, 2);
    tcase_add_test(test_case, a_plan_tells_how_its_listener_misbehaves);
    tcase_add_test(test_case, the_own_address_is_that_of_the_socket);
    return suite;
}

int main(void)
{
    return support_run(identify_suite());
}
