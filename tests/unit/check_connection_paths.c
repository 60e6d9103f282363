/*
 * check_connection_paths: every order in which a client, an operator and time may act, up to a
 * length, over every transport and through every stage of a connection that nothing hinders.
 * Wherever a path leads, something is armed there, so that it comes to an end; what came back is a
 * prefix of what was sent, and at an end in order all that was read.
 * ECHOD_TEST_PATH_LENGTH=N tries longer paths than make check does.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"
#include "paths.h"
#include "secure.h"
#include "support.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    LENGTH = 3,
    SENT_MAX = 100, /* times, so much more than KERNEL_BYTES */
};

static const struct stage stages[] = {
    {.layer = PLAIN},
    {.layer = PLAIN, .proxy_versions = PROXY_V1},
    {.layer = PLAIN, .identify = LISTENER_IDENTIFY_LINE},
    {.layer = PLAIN, .proxy_versions = PROXY_V1, .identify = LISTENER_IDENTIFY_LINE},
    {.layer = TLS_1_2},
    {.layer = TLS_1_2, .shaken = SHAKEN},
    {.layer = TLS_1_3, .proxy_versions = PROXY_V1},
    {.layer = TLS_1_3, .shaken = SHAKEN},
    {.layer = TLS_1_3, .shaken = SHAKEN, .identify = LISTENER_IDENTIFY_LINE},
};

START_TEST(every_path_ends_and_loses_nothing)
{
    const enum transport transport = (enum transport)(_i / COUNT_OF(stages));
    const struct stage *stage = &stages[_i % COUNT_OF(stages)];
    const bool is_secure = stage->layer != PLAIN;

    if (transport == PIPES && (stage->proxy_versions != 0 || is_secure))
        return; /* a pipe has neither */
    if (!walk_use(stage))
        return;
    paths_walk_all(transport, stage, is_secure ? "hsSrRfvlaw.tck" : "hsSrRfvlaw.", LENGTH);
    walk_leave(stage);
}
END_TEST

/* Somewhere between none and many, the last bytes fill what the system takes, and no more waits. */
START_TEST(close_notify_waits_where_the_system_has_no_room)
{
    static const struct stage stage = {.layer = TLS_1_3, .shaken = SHAKEN};

    if (!walk_use(&stage))
        return;
    for (int count = 0; count < SENT_MAX; count++) {
        walk_begin(scene_socket_of(_i), &stage);
        for (int i = 0; i < count; i++)
            (void)(walk_step('s') && walk_step('.'));
        (void)walk_step('l');
        paths_end();
    }
    walk_leave(&stage);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection_paths");
    TCase *all = scene_case(suite, "paths");

    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, every_path_ends_and_loses_nothing, 0,
                        TRANSPORT_COUNT * COUNT_OF(stages));
    tcase_add_loop_test(all, close_notify_waits_where_the_system_has_no_room, 0, SOCKET_COUNT);
    return support_run(suite);
}
