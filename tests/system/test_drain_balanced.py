"""
test_drain_balanced: one of three echod behind a real haproxy that asks /readyz is drained.
Restarts, and checks that want an echo, are in test_scaleout; what /readyz answers is in test_admin.
Run by `run`, by automake, or alone.
"""

import contextlib
import re

import harness
from admin_client import AdminTestCase
from balancers import CONFIGURATION, ShippedHaproxy

SERVERS = ("echod1", "echod2", "echod3")


def with_ready_checks(text, ports):
    """The shipped configuration with the checks of its comments, each at a port of its own."""
    lines = re.findall(r"^ +#   (option httpchk .+|http-check .+)$", text, re.M)
    assert len(lines) == 2, lines
    text, count = re.subn(r"^    (?:option )?tcp-check.*\n", "", text, flags=re.M)
    assert count == 4, count
    text = re.sub(r"^    (?:user|group) .*\n", "", text, flags=re.M)  # it stays who runs the test
    for server, port in ports.items():
        text = re.sub(f"^    server {server} .*$", rf"\g<0> port {port}", text, flags=re.M)
    return text + "".join(f"    {line}\n" for line in lines)


class BalancedDrain(AdminTestCase):

    @contextlib.contextmanager
    def three_servers(self):
        """Three of echod, of which the first obeys operators, and a haproxy that finds them ready."""
        program = self.need_program("haproxy", "/usr/sbin", "/sbin")
        with contextlib.ExitStack() as stack:
            start = ("--admin", "127.0.0.1:0", "--drain-timeout", "1h")
            self.echods = {name: stack.enter_context(
                self.serve(*start) if name == "echod1" else harness.Echod(*start))
                           for name in SERVERS}
            listener = stack.enter_context(harness.listening_socket())
            self.front = harness.address_of(listener)
            self.haproxy = stack.enter_context(ShippedHaproxy(
                program, self.directory, f"fd@{listener.fileno()}",
                {name: echod.addresses[0].removeprefix("tcp://")
                 for name, echod in self.echods.items()},
                self.configuration(), pass_fds=(listener.fileno(),)))
            self.clients = stack.enter_context(contextlib.ExitStack())
            yield

    def configuration(self):
        ports = {name: echod.log.wait_for(r"operators are answered at tcp://127\.0\.0\.1:(\d+)")[1]
                 for name, echod in self.echods.items()}
        path = f"{self.directory}/haproxy.cfg"
        with open(CONFIGURATION, encoding="ascii") as shipped, open(path, "w", encoding="ascii") as own:
            own.write(with_ready_checks(shipped.read(), ports))
        return path

    def connect(self, count):
        """Clients of haproxy, each of which was served."""
        clients = [self.clients.enter_context(harness.connect(self.front)) for _ in range(count)]
        for client in clients:
            harness.round_trip(client)
        return clients

    def fact(self, name):
        """What haproxy counts for the first one."""
        return self.haproxy.facts("echod1")[name]

    def tries_elsewhere(self):
        return int(self.fact("wredis"))

    def test_new_clients_go_elsewhere_and_others_stay(self):
        with self.three_servers():
            staying = self.connect(6)
            count = self.fact("scur")
            self.assertGreater(int(count), 0)
            self.haproxy.ask("disable health echod/echod1")
            result = harness.control("-s", self.path, "drain")
            self.assertEqual(result.returncode, 0, result.stderr)
            harness.wait_until(lambda: harness.is_refused(self.echods["echod1"].addresses[0]),
                               "echod1 takes no more clients")

            # Before a check has told, haproxy is refused, but no client.
            self.connect(6)
            tries = self.tries_elsewhere()
            self.assertGreater(tries, 0)

            self.haproxy.ask("enable health echod/echod1")
            harness.wait_until(lambda: self.fact("status") == "DOWN", "haproxy takes it out")
            self.assertEqual((self.fact("check_status"), self.fact("check_code")), ("L7STS", "503"))
            self.connect(6)
            self.assertEqual((self.tries_elsewhere(), self.fact("scur")), (tries, count))
            for client in staying:
                harness.round_trip(client)

            self.assertIsNone(self.echods["echod1"].status)
            self.clients.close()
            self.echods["echod1"].wait_for_exit(harness.STATUS_STOPPED)


if __name__ == "__main__":
    harness.main()
