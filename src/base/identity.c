#include <config.h>

#include "base/identity.h"

#include "base/line.h"

#include <stdbool.h>
#include <string.h>

enum fact_type {
    FACT_TEXT,
    FACT_NUMBER,
    FACT_ID, /* a number, of which 0 is none */
};

/* What stands first is what a short answer has: who answers, then who asks. */
static const struct fact {
    const char *name;
    enum fact_type type;
    size_t offset;
} facts[] = {
    {"echod", FACT_TEXT, offsetof(struct identity, version)},
    {"host", FACT_TEXT, offsetof(struct identity, host)},
    {"pod", FACT_TEXT, offsetof(struct identity, pod)},
    {"supervisor_process", FACT_TEXT, offsetof(struct identity, supervisor_process)},
    {"local", FACT_TEXT, offsetof(struct identity, local)},
    {"client", FACT_TEXT, offsetof(struct identity, client)},
    {"source", FACT_TEXT, offsetof(struct identity, source)},
    {"destination", FACT_TEXT, offsetof(struct identity, destination)},
    {"id", FACT_ID, offsetof(struct identity, id)},
    {"listener", FACT_TEXT, offsetof(struct identity, listener)},
    {"impaired", FACT_TEXT, offsetof(struct identity, impaired)},
    {"namespace", FACT_TEXT, offsetof(struct identity, pod_namespace)},
    {"pod_ip", FACT_TEXT, offsetof(struct identity, pod_ip)},
    {"node", FACT_TEXT, offsetof(struct identity, node)},
    {"container", FACT_TEXT, offsetof(struct identity, container)},
    {"supervisor_group", FACT_TEXT, offsetof(struct identity, supervisor_group)},
    {"pid", FACT_NUMBER, offsetof(struct identity, pid)},
    {"worker", FACT_NUMBER, offsetof(struct identity, worker)},
    {"tls", FACT_TEXT, offsetof(struct identity, tls.version)},
    {"cipher", FACT_TEXT, offsetof(struct identity, tls.cipher)},
    {"sni", FACT_TEXT, offsetof(struct identity, tls.name)},
    {"alpn", FACT_TEXT, offsetof(struct identity, tls.alpn)},
    {"subject", FACT_TEXT, offsetof(struct identity, tls.subject)},
    {"proxy_authority", FACT_TEXT, offsetof(struct identity, authority)},
    {"proxy_unique_id", FACT_TEXT, offsetof(struct identity, unique_id)},
    {"proxy_tls", FACT_TEXT, offsetof(struct identity, proxy_tls.version)},
    {"proxy_cipher", FACT_TEXT, offsetof(struct identity, proxy_tls.cipher)},
    {"proxy_alpn", FACT_TEXT, offsetof(struct identity, proxy_tls.alpn)},
    {"proxy_subject", FACT_TEXT, offsetof(struct identity, proxy_tls.subject)},
    {"proxy_verified", FACT_TEXT, offsetof(struct identity, verified)},
};

/* How a form is written. */
static const struct grammar {
    enum escape_form escape;
    const char *begin, *separator, *assign, *quote, *end;
} grammars[] = {
    [IDENTITY_LINE] = {ESCAPE_WORD, "", " ", "=", "", "\n"},
    [IDENTITY_JSON] = {ESCAPE_JSON, "{", ",", ":", "\"", "}\n"},
};

/* An identity as far as it is written. */
struct writing {
    const struct grammar *grammar;
    char *bytes;
    size_t length;
    size_t room; /* for all but the end */
    bool has_any;
};

/* --- One fact -------------------------------------------------------------------------------- */

/* Begin with ",\"name\":", or without the comma. */
static struct line begin_fact(const struct writing *writing, const char *name)
{
    const struct grammar *grammar = writing->grammar;
    struct line line;

    line.length = 0; /* the rest means nothing yet */
    if (writing->has_any)
        line_append_text(&line, grammar->separator);
    line_append_text(&line, grammar->quote);
    line_append_text(&line, name);
    line_append_text(&line, grammar->quote);
    line_append_text(&line, grammar->assign);
    return line;
}

static void append_value(struct line *line, const struct grammar *grammar, const char *text)
{
    line_append_text(line, grammar->quote);
    line_append_escaped(line, grammar->escape, text,
                        LINE_SIZE - line->length - IDENTITY_VALUE_SIZE);
    line_append_text(line, grammar->quote);
}

/* Add a piece. Return false if there is no room for it. */
static bool add(struct writing *writing, const struct line *piece)
{
    if (writing->length + piece->length > writing->room)
        return false;
    memcpy(writing->bytes + writing->length, piece->bytes, piece->length);
    writing->length += piece->length;
    writing->has_any = true;
    return true;
}

/* Add a fact, if it is known. Return false if there is no room for it. */
static bool add_fact(struct writing *writing, const struct fact *fact,
                     const struct identity *identity)
{
    const void *member = (const char *)identity + fact->offset;
    struct line line = begin_fact(writing, fact->name);
    const char *text;
    uint64_t number;

    if (fact->type == FACT_TEXT) {
        memcpy(&text, member, sizeof text);
        if (text == NULL || text[0] == '\0')
            return true;
        append_value(&line, writing->grammar, text);
    } else {
        memcpy(&number, member, sizeof number);
        if (number == 0 && fact->type == FACT_ID)
            return true;
        line_append_number(&line, number);
    }
    return add(writing, &line);
}

/* --- All of them ----------------------------------------------------------------------------- */

/* What says that some are missing. */
static struct line make_mark(const struct writing *writing)
{
    struct line line = begin_fact(writing, "cut");

    append_value(&line, writing->grammar, "yes");
    return line;
}

static bool has_room_for_mark(const struct writing *writing)
{
    return writing->length + make_mark(writing).length <= writing->room;
}

/* Go back to where the mark has room behind what is written, if it has any. */
static void mark_cut(struct writing *writing, const struct writing *kept)
{
    const struct line mark = make_mark(kept);

    *writing = *kept;
    (void)add(writing, &mark);
}

static void add_facts(struct writing *writing, const struct identity *identity)
{
    struct writing kept = *writing;

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (!add_fact(writing, &facts[i], identity)) {
            mark_cut(writing, &kept);
            return;
        }
        if (has_room_for_mark(writing))
            kept = *writing;
    }
}

static size_t append(char *bytes, size_t length, const char *text)
{
    while (*text != '\0')
        bytes[length++] = *text++;
    return length;
}

size_t identity_write(const struct identity *identity, enum identity_form form, char *bytes,
                      size_t size)
{
    const struct grammar *grammar = &grammars[form];
    struct writing writing = {.grammar = grammar, .bytes = bytes};

    if (size < strlen(grammar->begin) + strlen(grammar->end))
        return size == 0 ? 0 : append(bytes, 0, "\n");
    writing.room = size - strlen(grammar->end);
    writing.length = append(bytes, 0, grammar->begin);
    add_facts(&writing, identity);
    return append(bytes, writing.length, grammar->end);
}
