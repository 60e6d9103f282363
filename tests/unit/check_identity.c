/*
 * check_identity: what an identity looks like in both forms, whole, cut and with hostile values,
 * and that what is read from it is what was written.
 * Which characters are escaped is for check_escape.
 * Run by make check.
 */
#include <config.h>

#include "base/identity.h"
#include "base/identity_reader.h"

#include "json.h"
#include "support.h"

#include <string.h>

static const struct identity whole = {
    .version = "1.0.0",
    .host = "web-1",
    .pod = "echo-7f9c",
    .pod_namespace = "prod",
    .pod_ip = "10.1.2.3",
    .node = "worker-3",
    .container = "echo",
    .supervisor_process = "echod_00",
    .supervisor_group = "echod",
    .pid = 1234,
    .worker = 0,
    .id = 42,
    .listener = "public",
    .impaired = "delay=50ms",
    .local = "192.0.2.7:7",
    .client = "198.51.100.3:40112",
    .tls = {"TLSv1.3", "TLS_AES_256_GCM_SHA384", "echo/1", "echo.example", "CN=client"},
    .source = "203.0.113.9:5001",
    .destination = "203.0.113.1:443",
    .authority = "www.example",
    .unique_id = "f00d",
    .verified = "yes",
    .proxy_tls = {"TLSv1.2", "ECDHE-RSA-AES128-SHA", "h2", NULL, "somebody"},
};

static const char whole_line[] =
    "echod=1.0.0 host=web-1 pod=echo-7f9c supervisor_process=echod_00 local=192.0.2.7:7 "
    "client=198.51.100.3:40112 source=203.0.113.9:5001 destination=203.0.113.1:443 id=42 "
    "listener=public impaired=delay=50ms namespace=prod pod_ip=10.1.2.3 node=worker-3 "
    "container=echo supervisor_group=echod pid=1234 worker=0 tls=TLSv1.3 "
    "cipher=TLS_AES_256_GCM_SHA384 sni=echo.example alpn=echo/1 subject=CN=client "
    "proxy_authority=www.example proxy_unique_id=f00d proxy_tls=TLSv1.2 "
    "proxy_cipher=ECDHE-RSA-AES128-SHA proxy_alpn=h2 proxy_subject=somebody proxy_verified=yes\n";

static const char whole_json[] =
    "{\"echod\":\"1.0.0\",\"host\":\"web-1\",\"pod\":\"echo-7f9c\","
    "\"supervisor_process\":\"echod_00\",\"local\":\"192.0.2.7:7\","
    "\"client\":\"198.51.100.3:40112\",\"source\":\"203.0.113.9:5001\","
    "\"destination\":\"203.0.113.1:443\",\"id\":42,\"listener\":\"public\","
    "\"impaired\":\"delay=50ms\",\"namespace\":\"prod\",\"pod_ip\":\"10.1.2.3\","
    "\"node\":\"worker-3\",\"container\":\"echo\",\"supervisor_group\":\"echod\",\"pid\":1234,"
    "\"worker\":0,\"tls\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\","
    "\"sni\":\"echo.example\",\"alpn\":\"echo/1\",\"subject\":\"CN=client\","
    "\"proxy_authority\":\"www.example\",\"proxy_unique_id\":\"f00d\",\"proxy_tls\":\"TLSv1.2\","
    "\"proxy_cipher\":\"ECDHE-RSA-AES128-SHA\",\"proxy_alpn\":\"h2\","
    "\"proxy_subject\":\"somebody\",\"proxy_verified\":\"yes\"}\n";

/* Write an identity into so many bytes, and make it a string. Nothing behind them is touched. */
static const char *write_text(const struct identity *identity, enum identity_form form, size_t size)
{
    static char bytes[IDENTITY_SIZE + 1];
    size_t length;

    memset(bytes, '#', sizeof bytes);
    length = identity_write(identity, form, bytes, size);
    ck_assert_uint_le(length, size);
    ck_assert_int_eq(bytes[size], '#');
    bytes[length] = '\0';
    ck_assert(length == 0 || bytes[length - 1] == '\n');
    ck_assert_uint_eq(strcspn(bytes, "\n"), length - (length > 0));
    return bytes;
}

/* Read the JSON of a written line; the caller frees it. */
static struct json_line *read_json(const char *written)
{
    char text[IDENTITY_SIZE + 1];
    struct json_line *json;

    (void)strcpy(text, written);
    text[strcspn(text, "\n")] = '\0';
    json = json_read(text);
    ck_assert_msg(json != NULL, "no JSON: %s", text);
    return json;
}

START_TEST(a_line_has_a_word_for_each_fact)
{
    ck_assert_str_eq(write_text(&whole, IDENTITY_LINE, IDENTITY_SIZE), whole_line);
}
END_TEST

START_TEST(json_has_the_same_names)
{
    struct json_line *json;

    ck_assert_str_eq(write_text(&whole, IDENTITY_JSON, IDENTITY_SIZE), whole_json);
    json = read_json(whole_json);
    ck_assert_uint_eq(json->count, 30);
    json_check_member(json, 0, "echod", "1.0.0", 0);
    json_check_member(json, 8, "id", NULL, 42);
    json_free(json);
}
END_TEST

START_TEST(what_is_not_known_is_left_out)
{
    const struct identity identity = {.version = "1", .host = "", .pid = 7, .worker = 3};

    ck_assert_str_eq(write_text(&identity, IDENTITY_LINE, IDENTITY_SIZE),
                     "echod=1 pid=7 worker=3\n");
    ck_assert_str_eq(write_text(&identity, IDENTITY_JSON, IDENTITY_SIZE),
                     "{\"echod\":\"1\",\"pid\":7,\"worker\":3}\n");
}
END_TEST

START_TEST(hostile_values_stay_in_their_place)
{
    static const char hostile[] = "a b\n\"c\" \\ id=1 \xff\xe2\x80\xa8\x1b[31m";
    const struct identity identity = {.version = "1", .host = hostile, .client = "{}"};
    struct json_line *json;

    ck_assert_str_eq(write_text(&identity, IDENTITY_LINE, IDENTITY_SIZE),
                     "echod=1 host=a\\x20b\\x0a\"c\"\\x20\\x5c\\x20id=1\\x20\\xff\\xe2\\x80\\xa8"
                     "\\x1b[31m client={} pid=0 worker=0\n");
    json = read_json(write_text(&identity, IDENTITY_JSON, IDENTITY_SIZE));
    json_check_member(json, 1, "host", "a b\n\"c\" \\ id=1 \xef\xbf\xbd\xe2\x80\xa8\x1b[31m", 0);
    json_free(json);
}
END_TEST

/* Values of bytes that are written as six characters: all of them together have room. */
START_TEST(the_longest_values_have_room)
{
    char text[1000];
    struct identity longest = whole;
    const char **const texts[] = {
        &longest.version,
        &longest.host,
        &longest.pod,
        &longest.pod_namespace,
        &longest.pod_ip,
        &longest.node,
        &longest.container,
        &longest.supervisor_process,
        &longest.supervisor_group,
        &longest.listener,
        &longest.impaired,
        &longest.local,
        &longest.client,
        &longest.tls.version,
        &longest.tls.cipher,
        &longest.tls.alpn,
        &longest.tls.name,
        &longest.tls.subject,
        &longest.source,
        &longest.destination,
        &longest.authority,
        &longest.unique_id,
        &longest.verified,
        &longest.proxy_tls.version,
        &longest.proxy_tls.cipher,
        &longest.proxy_tls.alpn,
        &longest.proxy_tls.subject,
    };
    struct json_line *json;

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = text;
    longest.pid = longest.worker = longest.id = UINT64_MAX;
    ck_assert_ptr_null(strstr(write_text(&longest, IDENTITY_LINE, IDENTITY_SIZE), "cut="));
    json = read_json(write_text(&longest, IDENTITY_JSON, IDENTITY_SIZE));
    ck_assert_uint_eq(json->count, 30);
    json_free(json);
}
END_TEST

/* Units of which a value is made, and how each is written. */
static const struct {
    enum identity_form form;
    const char *unit, *written;
} long_values[] = {
    {IDENTITY_LINE, "x", "x"},
    {IDENTITY_LINE, "\n", "\\x0a"},
    {IDENTITY_LINE, "\xe2\x82\xac", "\xe2\x82\xac"},
    {IDENTITY_JSON, "\x01", "\\u0001"},
    {IDENTITY_JSON, "\xc3\xbc", "\xc3\xbc"},
    {IDENTITY_JSON, "\"", "\\\""},
};

START_TEST(a_long_value_is_cut_between_characters)
{
    char text[1001] = "";
    struct identity identity = {.version = "1", .host = text};
    const size_t length = strlen(long_values[_i].written);
    const char *value, *written;
    size_t value_length;

    while (strlen(text) + strlen(long_values[_i].unit) < sizeof text)
        (void)strcat(text, long_values[_i].unit);
    written = write_text(&identity, long_values[_i].form, IDENTITY_SIZE);
    value = strstr(written, long_values[_i].written);
    value_length = (size_t)(strstr(value, "...") - value);
    ck_assert_uint_eq(value_length % length, 0);
    ck_assert_uint_le(value_length + strlen("..."), IDENTITY_VALUE_SIZE);
    ck_assert_uint_gt(value_length + strlen("...") + length, IDENTITY_VALUE_SIZE);
    for (size_t i = 0; i < value_length; i += length)
        ck_assert_int_eq(strncmp(value + i, long_values[_i].written, length), 0);
}
END_TEST

/* In any size it is the beginning of the whole, a mark, and the end. */
START_TEST(a_short_line_has_whole_words)
{
    static const char mark[] = "cut=yes\n";

    for (size_t size = strlen(mark); size < strlen(whole_line); size++) {
        const char *written = write_text(&whole, IDENTITY_LINE, size);
        const size_t kept = strlen(written) - strlen(mark);

        ck_assert_str_eq(written + kept, mark);
        ck_assert_int_eq(strncmp(written, whole_line, kept), 0);
        ck_assert(kept == 0 || (written[kept - 1] == ' ' && whole_line[kept - 1] == ' '));
    }
    ck_assert_str_eq(write_text(&whole, IDENTITY_LINE, strlen(whole_line)), whole_line);
}
END_TEST

START_TEST(a_short_object_is_still_json)
{
    for (size_t size = strlen("{\"cut\":\"yes\"}\n"); size < strlen(whole_json); size++) {
        struct json_line *json = read_json(write_text(&whole, IDENTITY_JSON, size));

        json_check_member(json, json->count - 1, "cut", "yes", 0);
        if (json->count > 1)
            json_check_member(json, 0, "echod", "1.0.0", 0);
        json_free(json);
    }
    ck_assert_str_eq(write_text(&whole, IDENTITY_JSON, strlen(whole_json)), whole_json);
}
END_TEST

START_TEST(in_next_to_nothing_it_is_an_empty_line)
{
    static const char *const lines[] = {"", "\n", "\n", "\n", "\n", "\n", "\n", "\n"};
    static const char *const objects[] = {"", "\n", "\n", "{}\n", "{}\n", "{}\n"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_str_eq(write_text(&whole, IDENTITY_LINE, i), lines[i]);
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        ck_assert_str_eq(write_text(&whole, IDENTITY_JSON, i), objects[i]);
}
END_TEST

/* --- Reading --------------------------------------------------------------------------------- */

/* Read without the line feed. */
static int read_back(const char *written, struct identity_value *values, size_t count)
{
    char text[IDENTITY_SIZE + 1];

    (void)strcpy(text, written);
    text[strcspn(text, "\n")] = '\0';
    return identity_read(text, values, count);
}

START_TEST(what_is_read_is_what_was_written)
{
    const enum identity_form form = (enum identity_form)_i;
    const struct identity identity = {
        .version = "1", .host = "a b=\"c\"\\x20\n\xc3\xbc", .local = "[::1]:7", .worker = 3};
    struct identity_value values[] = {{.name = "host"},
                                      {.name = "local"},
                                      {.name = "worker"},
                                      {.name = "pod", .text = "left from before"},
                                      {.name = "echod"}};

    ck_assert_int_eq(read_back(write_text(&identity, form, IDENTITY_SIZE), values, 5), 0);
    ck_assert_str_eq(values[0].text, identity.host);
    ck_assert_str_eq(values[1].text, identity.local);
    ck_assert_str_eq(values[2].text, "3");
    ck_assert_str_eq(values[3].text, "");
    ck_assert_str_eq(values[4].text, "1");
}
END_TEST

/* What a value is read as. */
static const struct {
    const char *identity, *host;
} readings[] = {
    {"echod=1", ""},
    {"echod=", ""},
    {"echod=1 host", ""},
    {"echod=1 host= x", ""},
    {"echod=1 host=a host=b", "b"},
    {"echod=1 host=\\x4", "\\x4"},
    {"echod=1 host=\\x00", "\xef\xbf\xbd"},
    {"echod=1 host=\\", "\\"},
    {"echod=1  host=a", "a"},
    {"{\"echod\":\"1\",\"host\":\"\\u0041\\u00fC\\u20ac\\n\\ud800\\ue000\\u0000\"}",
     "A\xc3\xbc\xe2\x82\xac\n\xef\xbf\xbd\xee\x80\x80\xef\xbf\xbd"},
    {"{\"echod\":\"1\",\"host\":7}", "7"},
};

START_TEST(values_are_read)
{
    struct identity_value host = {.name = "host"};

    ck_assert_int_eq(identity_read(readings[_i].identity, &host, 1), 0);
    ck_assert_str_eq(host.text, readings[_i].host);
}
END_TEST

static const char *const strangers[] = {
    "",
    "echo",
    "echod",
    "Echod=1",
    "host=a echod=1",
    "SSH-2.0-OpenSSH_9.2",
    "{",
    "{}",
    "{\"host\":\"a\"}",
    "{\"echod\":\"",
    "{\"echod\":\"1",
    "{\"echod\":\"1\"",
    "{\"echod\":\"1\",",
    "{\"echod\":\"1\",}",
    "{\"echod\":\"1\"}}",
    "{\"echod\":\"1\",\"host\"}",
    "{\"echod\":\"1\",\"host\":}",
    "{\"echod\":\"1\",\"host\":\"\\u00\"}",
    "{\"echod\":\"1\",\"host\":\"\\",
    "{\"echod\":\"1\",\"host\":\"\\q\"}",
    "{\"echod\":\"1\",\"host\":\"\t\"}",
};

START_TEST(other_bytes_are_no_identity)
{
    struct identity_value host = {.name = "host"};

    ck_assert_int_eq(identity_read(strangers[_i], &host, 1), -1);
}
END_TEST

START_TEST(too_long_a_value_is_cut)
{
    char text[1000] = "echod=1 host=";
    struct identity_value host = {.name = "host"};

    memset(text + strlen(text), 'h', sizeof text - strlen(text));
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(identity_read(text, &host, 1), 0);
    ck_assert_uint_eq(strlen(host.text), IDENTITY_VALUE_SIZE);
}
END_TEST

START_TEST(the_first_bytes_tell_a_stranger)
{
    ck_assert(identity_may_begin("e", 1));
    ck_assert(identity_may_begin("echod=1", 7));
    ck_assert(identity_may_begin("{\"ech", 5));
    ck_assert(!identity_may_begin("\n", 1));
    ck_assert(!identity_may_begin("echo=", 5));
    ck_assert(!identity_may_begin("{\"host", 6));
    ck_assert(!identity_may_begin("echod\0", 6));
}
END_TEST

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static Suite *identity_suite(void)
{
    Suite *suite = suite_create("identity");
    TCase *writing = support_case(suite, "writing");
    TCase *reading = support_case(suite, "reading");

    tcase_add_test(writing, a_line_has_a_word_for_each_fact);
    tcase_add_test(writing, json_has_the_same_names);
    tcase_add_test(writing, what_is_not_known_is_left_out);
    tcase_add_test(writing, hostile_values_stay_in_their_place);
    tcase_add_test(writing, the_longest_values_have_room);
    tcase_add_loop_test(writing, a_long_value_is_cut_between_characters, 0, COUNT_OF(long_values));
    tcase_add_test(writing, a_short_line_has_whole_words);
    tcase_add_test(writing, a_short_object_is_still_json);
    tcase_add_test(writing, in_next_to_nothing_it_is_an_empty_line);
    tcase_add_loop_test(reading, what_is_read_is_what_was_written, IDENTITY_LINE,
                        IDENTITY_JSON + 1);
    tcase_add_loop_test(reading, values_are_read, 0, COUNT_OF(readings));
    tcase_add_loop_test(reading, other_bytes_are_no_identity, 0, COUNT_OF(strangers));
    tcase_add_test(reading, too_long_a_value_is_cut);
    tcase_add_test(reading, the_first_bytes_tell_a_stranger);
    return suite;
}

int main(void)
{
    return support_run_together(identity_suite());
}
