/*
 * check_listener_options: what a listener is told, read from text.
 * Opens nothing; check_socket_options and the system tests do.
 * Run by make check.
 */
#include <config.h>

#include "echod/listener_options.h"

#include "base/proxy_header.h"
#include "base/setting.h"
#include "echod/listener_values.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* As many as no amount has. */
#define DIGITS_48 "000000000000000000000000000000000000000000000001"

static struct listener_options defaults, options;
static struct error error;
static const struct address tcp = {.scheme = ADDRESS_TCP};

static void setup(void)
{
    defaults = (struct listener_options){
        .idle_timeout_ms = 1,
        .lifetime_ms = 2,
        .write_timeout_ms = 3,
        .high_water_bytes = 4096,
        .low_water_bytes = SETTING_AUTO,
        .backlog = 5,
        .receive_buffer_bytes = SETTING_AUTO,
    };
    listener_options_set_defaults(&defaults);
    memset(&options, 0, sizeof options);
    memset(&error, 0, sizeof error);
}

static void parse(const char *text, enum address_scheme scheme)
{
    const struct address address = {.scheme = scheme};

    ck_assert_msg(listener_options_parse(text, &address, &options, &error) == 0, "%s: %s", text,
                  error.text);
    listener_options_inherit(&options, &defaults);
}

START_TEST(without_options_the_defaults_count)
{
    parse("", ADDRESS_TCP);
    ck_assert_mem_eq(&options, &defaults, sizeof options);
}
END_TEST

START_TEST(every_option_is_read)
{
    parse("name=a.b_c-9,log=closed,idle-timeout=1h,lifetime=2m,write-timeout=3,high-water=2KiB,"
          "low-water=1KiB,max-connections=6,backlog=7,keepalive=90,user-timeout=1s,nodelay=off,"
          "fastopen=8,v6only=no,device=eth0,mark=9,freebind,proxy=v2,"
          "proxy-from=10.0.0.0/8;2001:db8::/32;127.0.0.1,handshake-timeout=4s,"
          "rate-limit=1M/s,rate-limit-total=2KiB,accept-rate=300/m,accept-rate-per-source=0.5/"
          "s,max-connections-per-source=8,"
          "source-prefix-v4=24,source-prefix-v6=56,allow=10.0.0.0/8;::1,deny=10.0.0.1,"
          "refuse-with=close",
          ADDRESS_TCP);
    ck_assert_str_eq(options.name, "a.b_c-9");
    ck_assert_uint_eq(options.log, LISTENER_LOG_CLOSED);
    ck_assert_uint_eq(options.idle_timeout_ms, 3600000);
    ck_assert_uint_eq(options.lifetime_ms, 120000);
    ck_assert_uint_eq(options.write_timeout_ms, 3000);
    ck_assert_uint_eq(options.high_water_bytes, 2048);
    ck_assert_uint_eq(options.low_water_bytes, 1024);
    ck_assert_uint_eq(options.max_connections, 6);
    ck_assert_uint_eq(options.backlog, 7);
    ck_assert_uint_eq(options.rate_limit, 1048576);
    ck_assert_uint_eq(options.rate_limit_total, 2048);
    ck_assert_uint_eq(options.keepalive_ms, 90000);
    ck_assert_uint_eq(options.user_timeout_ms, 1000);
    ck_assert(!options.nodelay);
    ck_assert_uint_eq(options.fastopen, 8);
    ck_assert(!options.v6only);
    ck_assert_str_eq(options.device, "eth0");
    ck_assert_uint_eq(options.mark, 9);
    ck_assert(options.freebind);
    ck_assert_uint_eq(options.proxy, PROXY_V2);
    ck_assert_uint_eq(options.proxy_from.count, 3);
    ck_assert_uint_eq(options.proxy_from.items[1].prefix_length, 32);
    ck_assert_uint_eq(options.handshake_timeout_ms, 4000);
    ck_assert_double_eq_tol(options.admission.accept_rate, 5, 1e-9);
    ck_assert_double_eq_tol(options.admission.accept_rate_per_source, 0.5, 1e-9);
    ck_assert_uint_eq(options.admission.max_connections_per_source, 8);
    ck_assert_uint_eq(options.admission.source_prefix_v4, 24);
    ck_assert_uint_eq(options.admission.source_prefix_v6, 56);
    ck_assert_uint_eq(options.admission.allow.count, 2);
    ck_assert_uint_eq(options.admission.deny.count, 1);
    ck_assert_uint_eq(options.admission.refuse_with, ADMISSION_REFUSAL_CLOSE);
}
END_TEST

START_TEST(auto_is_kept_for_later)
{
    parse("low-water=auto,max-connections=auto,seed=auto", ADDRESS_TCP);
    ck_assert_uint_eq(options.low_water_bytes, SETTING_AUTO);
    ck_assert_uint_eq(options.max_connections, SETTING_AUTO);
    ck_assert_uint_eq(options.impair.seed, IMPAIR_ANY_SEED);
    parse("udp-receive-buffer=auto", ADDRESS_UDP);
    ck_assert_uint_eq(options.receive_buffer_bytes, SETTING_AUTO);
}
END_TEST

START_TEST(those_of_tls_go_with_tls_alone)
{
    static const char text[] = "cert=a;b/c,key=d;e,client-ca=f,client-auth=request,tls-min=1.3,"
                               "alpn=h2;http/1.1,ciphers=HIGH:!aNULL";
    struct address address = {.scheme = ADDRESS_UNIX, .is_tls = true};

    (void)strcpy(defaults.tls.key, "of the settings");
    (void)strcpy(defaults.tls.alpn, "echo");
    ck_assert_int_eq(listener_options_parse(text, &address, &options, &error), 0);
    ck_assert_str_eq(options.tls.cert, "a;b/c");
    ck_assert_str_eq(options.tls.key, "d;e");
    ck_assert_str_eq(options.tls.client_ca, "f");
    ck_assert_uint_eq(options.tls.client_auth, TLS_CLIENT_AUTH_REQUEST);
    ck_assert_uint_eq(options.tls.min_version, TLS_MIN_1_3);
    ck_assert_str_eq(options.tls.alpn, "h2;http/1.1");
    ck_assert_str_eq(options.tls.ciphers, "HIGH:!aNULL");
    address.is_tls = false;
    ck_assert_int_eq(listener_options_parse("cert=a", &address, &options, &error), -1);
    memset(&options, 0, sizeof options);
    address.is_tls = true;
    ck_assert_int_eq(listener_options_parse("cert=a", &address, &options, &error), 0);
    listener_options_inherit(&options, &defaults);
    ck_assert_str_eq(options.tls.key, ""); /* that of the settings is another certificate's */
    ck_assert_str_eq(options.tls.alpn, "echo");
}
END_TEST

START_TEST(texts_of_tls_have_an_order_and_a_longest_length)
{
    static const struct address address = {.scheme = ADDRESS_TCP, .is_tls = true};
    static const struct {
        const char *begin, *item, *sentence;
        int count;
    } tried[] = {
        {"cert=", ";", "cert: \";\" is not a list of 1 to 64 files; write for ", 1},
        {"cert=a", ";a", "\" is not a list of 1 to 64 files", 64},
        {"cert=", "a;" DIGITS_48, "\" is not a text of up to 999 characters", 20},
        {"client-ca=", "", "client-ca: \"\" is not a file; write for example /etc", 1},
        {"alpn=", "", "alpn: \"\" is not a list of protocols; write for example h2;http/1.1", 1},
        {"alpn=", "a;;b", "alpn: \"a;;b\" is not a list of protocols", 1},
        {"alpn=", DIGITS_48, "\" is not a list of protocols", 6},
        {"alpn=", DIGITS_48 ";" DIGITS_48, "\" is not a text of up to 255 characters", 3},
        {"ciphers=", "", "ciphers: \"\" is not a list of ciphers; write for example ECDHE+", 1},
    };
    char text[1024];
    int length;

    length = snprintf(text, sizeof text, "%s", tried[_i].begin);
    for (int i = 0; i < tried[_i].count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s", tried[_i].item);
    ck_assert_int_eq(listener_options_parse(text, &address, &options, &error), -1);
    ck_assert_msg(strstr(error.text, tried[_i].sentence) != NULL, "%s", error.text);
}
END_TEST

START_TEST(a_protocol_may_be_as_long_as_the_list)
{
    static const struct address address = {.scheme = ADDRESS_TCP, .is_tls = true};
    char text[] = "alpn=" DIGITS_48 DIGITS_48 DIGITS_48 DIGITS_48 DIGITS_48 "123456789012345";

    ck_assert_int_eq(listener_options_parse(text, &address, &options, &error), 0);
    ck_assert_uint_eq(strlen(options.tls.alpn), 255);
}
END_TEST

START_TEST(a_list_has_up_to_16_networks)
{
    char text[2000] = "proxy-from=2001:db8:1111:2222:3333:4444:5555:6666";

    for (unsigned i = 1; i < NETWORK_LIST_SIZE; i++) {
        parse(text, ADDRESS_TCP);
        ck_assert_uint_eq(options.proxy_from.count, i);
        strcat(text, ";2001:db8:1111:2222:3333:4444:5555:6666");
    }
    parse(text, ADDRESS_TCP);
    ck_assert_uint_eq(options.proxy_from.count, NETWORK_LIST_SIZE);
    strcat(text, ";::1");
    ck_assert_int_eq(listener_options_parse(text, &tcp, &options, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "is not a list of networks: there are more than 16"));
}
END_TEST

START_TEST(the_versions_are_those_of_the_header)
{
    static const struct {
        const char *text;
        unsigned versions;
    } proxies[] = {
        {"proxy=off", 0}, {"proxy=v1", PROXY_V1}, {"proxy=v2", PROXY_V2}, {"proxy=any", PROXY_ANY}};

    for (int i = 0; i < COUNT_OF(proxies); i++) {
        parse(proxies[i].text, ADDRESS_UNIX);
        ck_assert_uint_eq(options.proxy, proxies[i].versions);
    }
}
END_TEST

START_TEST(a_header_may_come_from_anybody_unless_somebody_is_named)
{
    memset(&defaults.proxy_from, 0xff, sizeof defaults.proxy_from);
    listener_options_set_defaults(&defaults);
    parse("proxy=v2", ADDRESS_TCP);
    ck_assert_uint_eq(options.proxy_from.count, 0);
}
END_TEST

START_TEST(options_of_other_schemes_are_read)
{
    parse("mode=0640,owner=12,group=34", ADDRESS_UNIX);
    ck_assert_int_eq(options.mode, 0640);
    ck_assert_uint_eq(options.owner.uid, 12);
    ck_assert_uint_eq(options.group.gid, 34);
    setup();
    parse("low-ports=allow,rate=10/s,udp-receive-buffer=1MiB", ADDRESS_UDP);
    ck_assert_uint_eq(options.low_ports, LISTENER_LOW_PORTS_ALLOW);
    ck_assert_double_eq(options.rate, 10);
    parse("rate=30/m", ADDRESS_UDP);
    ck_assert_double_eq(options.rate, 0.5);
    parse("rate=0", ADDRESS_UDP);
    ck_assert_double_eq(options.rate, 0);
    ck_assert_uint_eq(options.receive_buffer_bytes, 1 << 20);
}
END_TEST

START_TEST(the_last_of_two_counts_and_off_is_zero)
{
    parse("idle-timeout=1h,keepalive=off,idle-timeout=0,", ADDRESS_TCP);
    ck_assert_uint_eq(options.idle_timeout_ms, 0);
    ck_assert_uint_eq(options.keepalive_ms, 0);
    ck_assert_uint_eq(listener_options_low_water_bytes(&options), 1024);
}
END_TEST

/* Wrong options, of a scheme, and what the sentence must say. */
static const struct {
    const char *text;
    enum address_scheme scheme;
    const char *words[2];
} mistakes[] = {
    {"foo", ADDRESS_TCP, {"\"foo\" is no option of tcp://; these are: name, ", ", mark"}},
    {"name=a,mode=1", ADDRESS_TCP, {"\"mode\" is no option of tcp://", "name"}},
    {"backlog=1", ADDRESS_STDIO, {"\"backlog\" is no option of stdio:; these are: name, log", ""}},
    {"keepalive=1m", ADDRESS_UDP, {"\"keepalive\" is no option of udp://", "low-ports, rate"}},
    {"rate=1", ADDRESS_UNIX, {"\"rate\" is no option of unix://", "mode, owner, group"}},
    {"rate=5K", ADDRESS_UDP, {"rate: \"5K\" is not a rate from 1/h to 1000M/s, or 0", "0.5/s"}},
    {"rate=0.9/h", ADDRESS_UDP, {"rate: \"0.9/h\" is not a rate", ""}},
    {"rate=1000.1M", ADDRESS_UDP, {"rate: \"1000.1M\" is not a rate", ""}},
    {"idle-timeout", ADDRESS_TCP, {"idle-timeout: a value is missing; write idle-timeout=", ""}},
    {"idle-timeout=", ADDRESS_TCP, {"idle-timeout: \"\" is not a duration", ""}},
    {"idle-timeout=x", ADDRESS_TCP, {"idle-timeout: \"x\" is not a duration", "1m30s"}},
    {"backlog=0", ADDRESS_TCP, {"backlog: \"0\" is out of range; it may be 1 to 65535", ""}},
    {"name=", ADDRESS_TCP, {"name: \"\" is not a name of 1 to 63 letters", ""}},
    {"name=a b", ADDRESS_TCP, {"name: \"a b\" is not a name", ""}},
    {"name=" DIGITS_48 "a23456789b123456",
     ADDRESS_TCP,
     {"\" is not a name of 1 to 63 letters", ""}},
    {"rate-limit=9GiB", ADDRESS_TCP, {"\"9GiB\" is not an amount of bytes a second, ", "8GiB/s"}},
    {"rate-limit=s", ADDRESS_TCP, {"\"s\" is not an amount of bytes a second, ", "1MiB/s"}},
    {"rate-limit=" DIGITS_48, ADDRESS_TCP, {"\" is not an amount of bytes a second, ", ""}},
    {"close-after=",
     ADDRESS_TCP,
     {"\"\" is not an amount of bytes or a duration with its unit", ""}},
    {"close-after=5w", ADDRESS_TCP, {"close-after: \"5w\" is not an amount of bytes or a ", "30s"}},
    {"close-after=0", ADDRESS_TCP, {"close-after: \"0\" is not an amount", "of more than 0"}},
    {"close-after=0s", ADDRESS_TCP, {"close-after: \"0s\" is not an amount", "of more than 0"}},
    {"close-after=s", ADDRESS_TCP, {"close-after: \"s\" is not an amount", "64KiB or 30s"}},
    {"close-after=366d", ADDRESS_TCP, {"close-after: \"366d\" is not an amount", ""}},
    {"close-after=1025TiB", ADDRESS_TCP, {"close-after: \"1025TiB\" is not an amount", ""}},
    {"stall-after=0",
     ADDRESS_TCP,
     {"stall-after: \"0\" is not an amount of bytes of more than 0", "64KiB:30s"}},
    {"stall-after=1:", ADDRESS_TCP, {"stall-after: \"1:\" is not an amount of bytes", ""}},
    {"stall-after=1:0s", ADDRESS_TCP, {"stall-after: \"1:0s\" is not an amount of bytes", ""}},
    {"stall-after=" DIGITS_48, ADDRESS_TCP, {"\" is not an amount of bytes of more than 0", ""}},
    {"log=some", ADDRESS_TCP, {"log: \"some\" is not one of off, closed, all", ""}},
    {"keepalive=0", ADDRESS_TCP, {"keepalive: \"0\" is not off or a duration from 1s to 9h", ""}},
    {"keepalive=x", ADDRESS_TCP, {"keepalive: \"x\" is not off or a duration", "5m"}},
    {"keepalive=10h", ADDRESS_TCP, {"keepalive: \"10h\" is not off or a duration", ""}},
    {"nodelay=maybe", ADDRESS_TCP, {"nodelay: \"maybe\" is not yes or no, on or off", ""}},
    {"device=", ADDRESS_TCP, {"device: \"\" is not a network interface", ""}},
    {"device=a23456789012345678", ADDRESS_TCP, {"is not a network interface", ""}},
    {"device=a/b", ADDRESS_TCP, {"device: \"a/b\" is not a network interface", "eth0"}},
    {"mode=9", ADDRESS_UNIX, {"mode: \"9\" is not permissions in octal", "0660"}},
    {"mode=7777", ADDRESS_UNIX, {"mode: \"7777\" is not permissions", ""}},
    {"mode=0660x", ADDRESS_UNIX, {"mode: \"0660x\" is not permissions", ""}},
    {"corrupt=20", ADDRESS_TCP, {"corrupt: \"20\" is not a share from 0% to 100%", "0.01%"}},
    {"mode=00660", ADDRESS_UNIX, {"mode: \"00660\" is not permissions", ""}},
    {"owner=nobody-has-this-name", ADDRESS_UNIX, {"owner: \"nobody-has-this-name\"", ""}},
    {"proxy", ADDRESS_TCP, {"proxy: a value is missing; write proxy=off|v1|v2|any", ""}},
    {"proxy=v3", ADDRESS_TCP, {"proxy: \"v3\" is not one of off, v1, v2, any", ""}},
    {"proxy=v1", ADDRESS_UDP, {"\"proxy\" is no option of udp://", ""}},
    {"proxy-from=",
     ADDRESS_TCP,
     {"proxy-from: \"\" is not a list of networks: \"\" is", "10.0.0."}},
    {"proxy-from=::1;", ADDRESS_TCP, {"proxy-from: \"::1;\" is not a list of networks: \"\"", ""}},
    {"proxy-from=10.0.0.1/8",
     ADDRESS_TCP,
     {"is not a list of networks: \"10.0.0.1/8\"", "10.0.0.0/8"}},
    {",name=a", ADDRESS_TCP, {"\"\" is no option of tcp://", ""}},
};

START_TEST(a_mistake_is_a_sentence_that_names_what_is_possible)
{
    const struct address address = {.scheme = mistakes[_i].scheme};

    ck_assert_int_eq(listener_options_parse(mistakes[_i].text, &address, &options, &error), -1);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(strstr(error.text, mistakes[_i].words[i]) != NULL, "no \"%s\" in: %s",
                      mistakes[_i].words[i], error.text);
}
END_TEST

START_TEST(an_option_has_a_longest_length)
{
    char text[1200] = "name=";

    memset(text + strlen(text), 'a', 1024 - strlen("name="));
    ck_assert_int_eq(listener_options_parse(text, &tcp, &options, &error), -1);
    ck_assert_str_eq(error.text, "an option is longer than 1023 characters; shorten it");
}
END_TEST

START_TEST(only_what_was_given_is_had)
{
    parse("name=a", ADDRESS_TCP);
    ck_assert(listener_options_has(&options, "name"));
    ck_assert(!listener_options_has(&options, "mark"));
    ck_assert(!listener_options_has(&options, "foo"));
}
END_TEST

START_TEST(how_to_misbehave_is_read)
{
    parse("corrupt=0.01%,stall-after=64KiB:30s,close-after=5m,reset-after=5M", ADDRESS_TCP);
    ck_assert_uint_eq(options.impair.corrupt, 100);
    ck_assert_uint_eq(options.impair.stall.bytes, 65536);
    ck_assert_uint_eq(options.impair.stall.ms, 30000);
    ck_assert_uint_eq(options.impair.close_after.bytes, 0);
    ck_assert_uint_eq(options.impair.close_after.ms, 300000);
    ck_assert_uint_eq(options.impair.reset_after.bytes, 5 << 20);
    ck_assert_uint_eq(options.impair.reset_after.ms, 0);
    parse("stall-after=1", ADDRESS_TCP);
    ck_assert_uint_eq(options.impair.stall.ms, 0);
}
END_TEST

START_TEST(a_bandwidth_is_written_as_it_is_read)
{
    static const char *const texts[] = {"0", "1MiB/s", "1000/s", "8GiB/s"};
    char text[SETTING_VALUE_SIZE];
    uint64_t bytes = 1;

    for (int i = 0; i < COUNT_OF(texts); i++) {
        ck_assert_int_eq(listener_parse_bandwidth(texts[i], &bytes, &error), 0);
        ck_assert(listener_format_bandwidth(&bytes, text));
        ck_assert_str_eq(text, texts[i]);
    }
}
END_TEST

START_TEST(help_lists_every_option_within_80_columns)
{
    char text[16384];
    FILE *stream = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(stream);
    listener_options_print_help(stream);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_ptr_nonnull(strstr(text, "  udp-receive-buffer=SIZE"));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_uint_le(strcspn(line, "\n"), 80);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener_options");
    TCase *test_case = support_case(suite, "text");

    tcase_add_checked_fixture(test_case, setup, NULL);
    tcase_add_test(test_case, without_options_the_defaults_count);
    tcase_add_test(test_case, every_option_is_read);
    tcase_add_test(test_case, auto_is_kept_for_later);
    tcase_add_test(test_case, those_of_tls_go_with_tls_alone);
    tcase_add_loop_test(test_case, texts_of_tls_have_an_order_and_a_longest_length, 0, 9);
    tcase_add_test(test_case, a_protocol_may_be_as_long_as_the_list);
    tcase_add_test(test_case, a_list_has_up_to_16_networks);
    tcase_add_test(test_case, the_versions_are_those_of_the_header);
    tcase_add_test(test_case, a_header_may_come_from_anybody_unless_somebody_is_named);
    tcase_add_test(test_case, options_of_other_schemes_are_read);
    tcase_add_test(test_case, the_last_of_two_counts_and_off_is_zero);
    tcase_add_loop_test(test_case, a_mistake_is_a_sentence_that_names_what_is_possible, 0,
                        COUNT_OF(mistakes));
    tcase_add_test(test_case, an_option_has_a_longest_length);
    tcase_add_test(test_case, only_what_was_given_is_had);
    tcase_add_test(test_case, how_to_misbehave_is_read);
    tcase_add_test(test_case, a_bandwidth_is_written_as_it_is_read);
    tcase_add_test(test_case, help_lists_every_option_within_80_columns);
    return support_run_together(suite);
}
