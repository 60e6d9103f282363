#include <config.h>

#include "echoprobe/plugin.h"

#include "base/escape.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Without --warning any loss is one. */
static const struct threshold any_loss = {.has_loss = true, .loss_millionths = 0};

static const char *const states[] = {
    [PLUGIN_OK] = "OK",
    [PLUGIN_WARNING] = "WARNING",
    [PLUGIN_CRITICAL] = "CRITICAL",
    [PLUGIN_UNKNOWN] = "UNKNOWN",
};

/* Print a text from anywhere, escaped as in the log; a bar would begin the performance data. */
static void print_text(const char *text)
{
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];

        text += escape_character(ESCAPE_TEXT, text, escaped);
        (void)fputs(strcmp(escaped, "|") == 0 ? "?" : escaped, stdout);
    }
}

static uint64_t median_ns(const struct tally *tally)
{
    return histogram_quantile(&tally->rtt_ns, 0.5);
}

static bool is_above(const struct threshold *threshold, const struct tally *tally)
{
    if (threshold->is_set && (double)median_ns(tally) > (double)threshold->rtt_us * 1e3)
        return true;
    return threshold->has_loss &&
           (double)tally->lost * 1e6 > (double)threshold->loss_millionths * (double)tally->sent;
}

/* What was lost, cut off or reset is judged by how much of it was lost. */
static bool has_changes(const struct tally *tally)
{
    static const enum fault_kind changes[] = {FAULT_DUPLICATED, FAULT_REORDERED,
                                              FAULT_FOREIGN,    FAULT_CORRUPTED,
                                              FAULT_INSERTED,   FAULT_MISADDRESSED};

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (tally->faults[changes[i]] > 0)
            return true;
    }
    return tally->corrupted > 0;
}

static int judge(const struct tally *tally, const struct threshold *warning,
                 const struct threshold *critical)
{
    if (tally->received == 0 || has_changes(tally) || is_above(critical, tally))
        return PLUGIN_CRITICAL;
    return tally->connects_failed > 0 || is_above(warning, tally) ? PLUGIN_WARNING : PLUGIN_OK;
}

static void print_rtt_limit(const struct threshold *threshold)
{
    (void)putchar(';');
    if (threshold->is_set)
        (void)printf("%.6f", (double)threshold->rtt_us / 1e6);
}

/* Print a percentage with up to four decimals; the convention knows no exponents. */
static void print_percent(double percent)
{
    char text[32];
    size_t length = (size_t)snprintf(text, sizeof text, "%.4f", percent);

    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    (void)printf("%.*s", (int)length, text);
}

static void print_loss_limit(const struct threshold *threshold)
{
    (void)putchar(';');
    if (threshold->has_loss)
        print_percent((double)threshold->loss_millionths / 1e4);
}

/* --- Certificates ---------------------------------------------------------------------------- */

static bool is_ending(const struct options *options, const struct tls_certificate *certificate)
{
    return certificate != NULL && tls_facts_is_ending(certificate, options->tls.certificate_days);
}

static void print_ending(const struct options *options, const struct tls_certificate *certificate)
{
    if (!is_ending(options, certificate))
        return;
    (void)fputs("; certificate ", stdout);
    print_text(certificate->subject);
    (void)printf(" ends in %.1f days", tls_facts_days_left(certificate));
}

/* Its performance data: a warning below --cert-days. */
static void print_days_left(const struct options *options,
                            const struct tls_certificate *certificate)
{
    (void)printf("%.1f", tls_facts_days_left(certificate));
    if (options->tls.certificate_days > 0)
        (void)printf(";%" PRIu64 ":", options->tls.certificate_days);
}

/* --- The line -------------------------------------------------------------------------------- */

static const struct threshold *warning_of(const struct options *options)
{
    return options->warning.is_set ? &options->warning : &any_loss;
}

int plugin_judge(const struct plugin_result *result)
{
    const struct options *options = result->options;
    const int state = judge(result->tally, warning_of(options), &options->critical);

    return state == PLUGIN_OK && is_ending(options, result->certificate) ? PLUGIN_WARNING : state;
}

/* Say what came of the messages, without a line feed. */
static void print_result(const struct plugin_result *result)
{
    const struct tally *tally = result->tally;

    (void)printf("%" PRIu64 " of %" PRIu64 " messages returned from ", tally->received,
                 tally->sent);
    print_text(result->peer);
    if (tally->received > 0)
        (void)printf(", median %.3f ms", (double)median_ns(tally) / 1e6);
    if (tally->unsent > 0)
        (void)printf(", %" PRIu64 " unsent", tally->unsent);
    if (tally->outages > 0)
        (void)printf(", %" PRIu64 " %s of %.3f s", tally->outages,
                     tally->outages == 1 ? "outage" : "outages",
                     tally_downtime_seconds(tally, result->options->connections));
    if (result->first != NULL) {
        (void)printf("; %s: ", fault_name(result->first->kind));
        print_text(result->first->text);
    }
    if (options_have_no_echo(result->options) && tally_is_uncertain(tally))
        (void)fputs("; identities do not tell what they answer: uncertain", stdout);
    print_ending(result->options, result->certificate);
}

/* Print " NAME=", in quotes behind the name of one of several targets. */
static void print_label(const struct plugin_result *result, const char *name)
{
    if (result->name == NULL)
        (void)printf(" %s=", name);
    else
        (void)printf(" '%s %s'=", result->name, name);
}

static void print_rtt(const struct plugin_result *result)
{
    print_label(result, "rtt");
    if (result->tally->received > 0)
        (void)printf("%.6fs", (double)median_ns(result->tally) / 1e9);
    else
        (void)putchar('U');
    print_rtt_limit(warning_of(result->options));
    print_rtt_limit(&result->options->critical);
    (void)fputs(";0", stdout);
}

static void print_loss(const struct plugin_result *result)
{
    const struct tally *tally = result->tally;

    print_label(result, "loss");
    print_percent(tally->sent == 0 ? 100 : 100 * (double)tally->lost / (double)tally->sent);
    (void)putchar('%');
    print_loss_limit(warning_of(result->options));
    print_loss_limit(&result->options->critical);
    (void)fputs(";0;100", stdout);
}

static void print_performance(const struct plugin_result *result)
{
    const struct tally *tally = result->tally;

    print_rtt(result);
    print_loss(result);
    print_label(result, "unsent");
    (void)printf("%" PRIu64, tally->unsent);
    print_label(result, "outages");
    (void)printf("%" PRIu64, tally->outages);
    print_label(result, "downtime");
    (void)printf("%.6fs", tally_downtime_seconds(tally, result->options->connections));
    if (tally->handshake_ns.count > 0) {
        print_label(result, "handshake");
        (void)printf("%.6fs", (double)histogram_quantile(&tally->handshake_ns, 0.5) / 1e9);
    }
    if (result->certificate != NULL) {
        print_label(result, "certificate_days");
        print_days_left(result->options, result->certificate);
    }
}

int plugin_print_messages(const struct plugin_result *result)
{
    const int state = plugin_judge(result);

    (void)printf("ECHO %s - ", states[state]);
    print_result(result);
    (void)fputs(" |", stdout);
    print_performance(result);
    (void)putchar('\n');
    return state;
}

int plugin_print_targets(const struct plugin_result *results, size_t count)
{
    int worst = PLUGIN_OK;
    size_t well = 0;

    for (size_t i = 0; i < count; i++) {
        const int state = plugin_judge(&results[i]);

        well += state == PLUGIN_OK;
        worst = state > worst ? state : worst;
    }
    (void)printf("ECHO %s - %zu of %zu targets OK |", states[worst], well, count);
    for (size_t i = 0; i < count; i++)
        print_performance(&results[i]);
    (void)putchar('\n');
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s %s - ", results[i].name, states[plugin_judge(&results[i])]);
        print_result(&results[i]);
        (void)putchar('\n');
    }
    return worst;
}

static int state_of(const struct options *options, const struct verdict *verdict,
                    const struct tls_certificate *certificate)
{
    if (verdict->status == EXIT_STATUS_SYSTEM)
        return PLUGIN_UNKNOWN;
    if (verdict->status != EXIT_STATUS_UNCHANGED)
        return PLUGIN_CRITICAL;
    return is_ending(options, certificate) ? PLUGIN_WARNING : PLUGIN_OK;
}

int plugin_print_verdict(const struct options *options, const struct verdict *verdict,
                         const struct tls_certificate *certificate)
{
    const int state = state_of(options, verdict, certificate);

    (void)printf("ECHO %s - %s: ", states[state], options_check(options));
    print_text(verdict->text);
    print_ending(options, certificate);
    if (verdict->figure_count > 0 || certificate != NULL)
        (void)fputs(" |", stdout);
    for (size_t i = 0; i < verdict->figure_count; i++) {
        const struct figure *figure = &verdict->figures[i];

        (void)printf(" %s=%.*f%s", figure->name, figure->unit == FIGURE_SECONDS ? 6 : 0,
                     figure->value, figure->unit == FIGURE_SECONDS ? "s" : "B");
    }
    if (certificate != NULL) {
        (void)fputs(" certificate_days=", stdout);
        print_days_left(options, certificate);
    }
    (void)putchar('\n');
    return state;
}

int plugin_print_failure(int state, const char *text)
{
    (void)printf("ECHO %s - ", states[state]);
    print_text(text);
    (void)putchar('\n');
    return state;
}
