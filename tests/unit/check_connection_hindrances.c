/*
 * check_connection_hindrances: every order in which a client, an operator and time may act, up to a
 * length, on connections that are held back by a rate, that misbehave on purpose, or that only tell
 * their identity; and at the deadlines of a handshake. What check_connection_paths asks of those
 * that nothing hinders, is asked of these, as far as their listener lets it.
 * ECHOD_TEST_PATH_LENGTH=N tries longer paths than make check does.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"
#include "paths.h"
#include "secure.h"
#include "support.h"

#include <stdbool.h>

enum {
    LENGTH = 2,
    SLOW = 10,       /* bytes a second: one passes at once */
    FAST = 1 << 30,  /* nobody is held back */
    CUT_BYTES = 150, /* more than is sent of a little, less than of it twice */
    WAIT_MS = 1000,
};

#define DELAY      .impair.delay_ms = WAIT_MS
#define NO_FIN     .impair.is_fin_withheld = true
#define LATE       .impair.accept_delay_ms = WAIT_MS
#define CUT        .impair.close_after.bytes = CUT_BYTES
#define CUT_BY_AGE .impair.close_after.ms = WAIT_MS
#define RESET      .impair.reset_after.bytes = CUT_BYTES
#define ONLY       .identify = LISTENER_IDENTIFY_ONLY
#define LINE       .identify = LISTENER_IDENTIFY_LINE
#define PROXY      .proxy_versions = PROXY_V1
#define TLS        .layer = TLS_1_3, .shaken = SHAKEN
#define OLD_TLS    .layer = TLS_1_2, .shaken = SHAKEN

static const struct stage stages[] = {
    {.rate = SLOW},
    {.rate = FAST},
    {.line_rate = SLOW},
    {.rate = SLOW, PROXY, LINE},
    {.rate = SLOW, DELAY},
    {.rate = SLOW, NO_FIN},
    {.rate = SLOW, ONLY, NO_FIN},
    {.rate = FAST, CUT},
    {ONLY},
    {ONLY, PROXY},
    {ONLY, NO_FIN},
    {ONLY, DELAY},
    {NO_FIN},
    {NO_FIN, LINE},
    {DELAY},
    {DELAY, CUT_BY_AGE, .before = "s"},
    {DELAY, CUT, LINE},
    {CUT},
    {RESET},
    {CUT_BY_AGE, PROXY},
    {LATE, PROXY},
    {LATE, NO_FIN, ONLY},
    {.rate = SLOW, TLS},
    {.rate = FAST, TLS},
    {.line_rate = SLOW, OLD_TLS},
    {.rate = SLOW, OLD_TLS, DELAY},
    {.rate = SLOW, TLS, NO_FIN},
    {.rate = SLOW, TLS, ONLY, NO_FIN},
    {.rate = SLOW, TLS, CUT},
    {.rate = SLOW, ONLY, .layer = TLS_1_3, .shaken = NEARLY_SHAKEN, .before = "hh"},
    {ONLY, .layer = TLS_1_3, .shaken = NEARLY_SHAKEN, .before = "hh"},
    {LINE, .layer = TLS_1_3, .shaken = NEARLY_SHAKEN, .before = "hh"},
    {TLS, ONLY, NO_FIN},
    {TLS, NO_FIN},
    {TLS, DELAY},
    {TLS, RESET},
    {TLS, DELAY, CUT_BY_AGE, .before = "s"},
    {OLD_TLS, CUT},
    {OLD_TLS, LINE},
    {LATE, PROXY, .layer = TLS_1_3},
    {.layer = TLS_1_2, .before = "h"},
    {.layer = TLS_1_3, .before = "g"},
    {PROXY, .layer = TLS_1_3, .before = "h"},
    {PROXY, .layer = TLS_1_3, .before = "hh"},
};

START_TEST(every_path_ends_whatever_is_in_the_way)
{
    const enum transport transport = scene_socket_of(_i);
    const struct stage *stage = &stages[_i / SOCKET_COUNT];
    const bool is_secure = stage->layer != PLAIN;

    if (transport >= FIRST_SHORTCUT && impair_is_on(&stage->impair))
        return; /* who misbehaves takes no shortcut */
    if (!walk_use(stage))
        return;
    paths_walk_all(transport, stage, is_secure ? "hsSrRfvlaw.dngtckp" : "hsSrRfvlaw.dng", LENGTH);
    walk_leave(stage);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection_hindrances");
    TCase *all = scene_case(suite, "paths");

    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, every_path_ends_whatever_is_in_the_way, 0,
                        SOCKET_COUNT * COUNT_OF(stages));
    return support_run(suite);
}
