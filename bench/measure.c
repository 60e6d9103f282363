#include <config.h>

#include "measure.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const uint64_t patience_ns = UINT64_C(5000000000);

static void say(const char *mark)
{
    (void)puts(mark);
    (void)fflush(stdout);
}

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t measure_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

void measure_start(struct measure *measure)
{
    measure->state = MEASURE_WARMING_UP;
    measure->start_ns = measure_now_ns();
}

void measure_bytes(struct measure *measure, uint64_t bytes)
{
    if (measure->state == MEASURE_COUNTING)
        measure->bytes += bytes;
}

void measure_message(struct measure *measure, uint64_t sent_ns, uint64_t now_ns)
{
    if (measure->state != MEASURE_COUNTING)
        return;
    measure->messages++;
    histogram_add(&measure->latencies_ns, now_ns - sent_ns);
}

void measure_lost(struct measure *measure, uint64_t datagrams)
{
    if (measure->state == MEASURE_COUNTING)
        measure->lost += datagrams;
}

void measure_truncated(struct measure *measure)
{
    if (measure->state == MEASURE_COUNTING)
        measure->truncated++;
}

/* Time is up, and each connection answered, or some never will. */
static bool is_warm(const struct measure *measure, uint64_t now_ns)
{
    const uint64_t age_ns = now_ns - measure->start_ns;

    return age_ns >= measure->warm_up_ns && (measure->silent == 0 || age_ns >= patience_ns);
}

static void begin(struct measure *measure)
{
    say("begin");
    measure->own_cpu_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID);
    measure->begin_ns = measure_now_ns();
    measure->state = MEASURE_COUNTING;
}

static void end(struct measure *measure)
{
    say("end");
    measure->end_ns = measure_now_ns();
    measure->own_cpu_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID) - measure->own_cpu_ns;
    measure->state = measure->holds ? MEASURE_HOLDING : MEASURE_OVER;
}

static bool input_has_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, 0) > 0 && getchar() == EOF;
}

static bool has_counted_enough(const struct measure *measure)
{
    return measure->max_messages > 0 && measure->messages >= measure->max_messages;
}

bool measure_is_over(struct measure *measure)
{
    const uint64_t now_ns = measure_now_ns();

    if (measure->state == MEASURE_WARMING_UP && is_warm(measure, now_ns))
        begin(measure);
    else if (measure->state == MEASURE_COUNTING &&
             (now_ns - measure->begin_ns >= measure->duration_ns || has_counted_enough(measure)))
        end(measure);
    else if (measure->state == MEASURE_HOLDING && input_has_ended())
        measure->state = MEASURE_OVER;
    return measure->state == MEASURE_OVER;
}
