"""
test_sandbox_levels: what each level of the sandbox comes to, in whatever build, on whatever system.
What is then allowed is in test_sandbox.
Run by `run`, by automake, or alone.
"""

import harness
from harness import LISTENING_LINE, Echod

REFUSED = ("error: --sandbox on: this (echod|system) [^;]*; choose auto, which takes what there is$")


class LevelTest(harness.TestCase):

    def test_on_is_whole_or_refused(self):
        """Where a part of it cannot be had, one sentence says why, and nothing is served."""
        with Echod("--sandbox", "on", ready=0, may_log=REFUSED) as server:
            harness.wait_until(lambda: server.status is not None or server.log.find(LISTENING_LINE),
                               "it listens or ends")
            if server.status is None:
                address = server.log.wait_for(LISTENING_LINE).group(1)
                server.log.wait_for(r"info: sandbox: seccomp and Landlock \(ABI \d+\)")
                harness.round_trip(server.adopt(harness.connect(address)))
                return
            server.wait_for_exit(harness.STATUS_SYSTEM)
            server.log.wait_for_end()
            self.assertEqual(len(server.log.find(REFUSED)), 1)
            self.assertEqual(len(server.log.lines), 1)

    def test_auto_serves_and_says_how(self):
        with Echod("--sandbox", "auto") as server:
            server.log.wait_for("info: sandbox: (seccomp|Landlock|none)")
            harness.round_trip(server.connect())

    def test_off_says_nothing(self):
        with Echod("--sandbox", "off") as server:
            harness.round_trip(server.connect())
            self.assertEqual(server.log.find("sandbox"), [])


if __name__ == "__main__":
    harness.main()
