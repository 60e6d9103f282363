"""
test_scaleout: three echod behind a real haproxy are restarted one by one, as haproxy.cfg says.
What one echod makes of the signals is in test_signals; what supervisord does, in test_supervisor.
Run by `run`, by automake, or alone; needs root, for its network of namespaces.
"""

import contextlib
import re
import signal
import subprocess

import harness
from balancers import CONFIGURATION, ShippedHaproxy
from harness import Background, Echod, Process, scaled_ms

SERVERS = ("echod1", "echod2", "echod3")
ADDRESSES = {name: f"10.213.1{number}.1:13265" for number, name in enumerate(SERVERS)}
BALANCER = "10.213.1.1:7"
CLIENTS = 12  # that stay connected, so many that each server has some


class Load(Process):
    """An echoprobe that runs until `finish`, and leaves the processor to others."""

    def __init__(self, prefix, *arguments):
        super().__init__(["nice", *prefix, harness.ECHOPROBE, "--json", *arguments, BALANCER],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._output = Background(self.stdout.read)

    def finish(self):
        """Send no more, wait for what is under way, and return the figures."""
        self.signal(signal.SIGTERM)
        text = self._output.result()
        self._popen.wait(harness.PATIENCE_SECONDS)
        figures = harness.ProbeResult(self.status, text.decode(), "").json()
        return figures


class ScaleOutTest(harness.TestCase):

    @contextlib.contextmanager
    def three_servers(self, *options, listener_options="", configuration=CONFIGURATION):
        """A client's host, the balancer's and three of echod, all of which run; see `start`."""
        program = self.need_program("haproxy", "/usr/sbin")
        self.options = options
        self.listener_options = listener_options
        with contextlib.ExitStack() as stack:
            self.network = stack.enter_context(
                harness.Network(self, "client", "balancer", *SERVERS))
            self.network.link("balancer", "10.213.1.1/24", "client", "10.213.1.2/24")
            for server, address in ADDRESSES.items():
                host = address.partition(":")[0]
                self.network.link(server, f"{host}/24", "balancer", f"{host[:-1]}2/24")
            self.stack = stack.enter_context(contextlib.ExitStack())
            self.echods = {}
            for server in SERVERS:
                self.start(server)
            self.haproxy = stack.enter_context(
                ShippedHaproxy(program, self.temporary_directory(), BALANCER, ADDRESSES,
                               configuration, prefix=self.network.inside("balancer")))
            yield

    def start(self, server):
        self.echods[server] = self.stack.enter_context(
            Echod("--workers", "2", *self.options,
                  listen=(f"tcp://{ADDRESSES[server]}{self.listener_options}",
                          f"tcp://{ADDRESSES[server].replace(':13265', ':13266')},name=checks,log=off"),
                  prefix=self.network.inside(server)))

    def stop(self, server):
        """End an echod with TERM, and wait for it; its clients may stay as long as they may."""
        self.echods[server].signal(signal.SIGTERM)
        self.echods[server].wait_for_exit(0)

    def load(self, *arguments):
        return self.stack.enter_context(Load(self.network.inside("client"), *arguments))

    def staying_clients(self, server):
        """The connections of an echod that have seen many messages, as it reports them."""
        return [line for line in self.echods[server].report()[1] if line.bytes_out > 100 * 64]

    def clients_that_stay(self):
        """A load whose connections last, once all are there and every server has some of them."""
        load = self.load("-P", str(CLIENTS))

        def are_there():
            counts = [len(self.staying_clients(server)) for server in SERVERS]
            return sum(counts) == CLIENTS and all(counts)
        harness.wait_until(are_there, f"{CLIENTS} clients, some of them at each server")
        return load

    def wait_for_traffic(self, server):
        """Wait until the clients that stay at a server were sent more than until now."""
        def echoed_bytes():
            return sum(line.bytes_out for line in self.staying_clients(server))
        before = echoed_bytes()
        harness.wait_until(lambda: echoed_bytes() > before, f"{server} echoes")

    def probe_often(self):
        """Connect a hundred times, one after the other, and return the figures."""
        result = subprocess.run([*self.network.inside("client"), harness.ECHOPROBE, "--json",
                                 "--churn", "-c", "100", BALANCER], stdout=subprocess.PIPE,
                                check=False, text=True, timeout=harness.PATIENCE_SECONDS)
        return harness.ProbeResult(result.returncode, result.stdout, "").json()

    def assert_no_loss(self, figures):
        self.assertEqual(figures["first_faults"], [])
        self.assertEqual({word: count for word, count in figures["faults"].items() if count}, {})
        self.assertEqual(figures["sent"], figures["received"])
        self.assertEqual((figures["connects_failed"], figures["status"]), (0, 0))
        self.assertGreater(figures["received"], CLIENTS)


class HealthCheckTest(ScaleOutTest):

    def test_checks_stay_out_of_the_log(self):
        """haproxy's checks come by a listener of their own; other connections are logged."""
        with self.three_servers():
            for server in SERVERS:
                self.haproxy.wait_until_healthy(server)
            self.assert_no_loss(self.probe_often())
            for server, echod in self.echods.items():
                echod.log.wait_for("connection [0-9]+ .* closed: client closed, in=64 out=64 ")
                self.assertEqual(echod.log.find("listener=checks$")[1:], [], server)
                echod.signal(signal.SIGUSR1)
                echod.log.wait_for("listener checks: open=[0-9]+ accepted=[1-9]")


class ProxyTest(ScaleOutTest):

    def test_echod_sees_the_clients(self):
        """As the comments of haproxy.cfg say; its checks need no header."""
        path = f"{self.temporary_directory()}/haproxy.cfg"
        with open(CONFIGURATION, encoding="ascii") as file:
            text = file.read()
        self.assertIn("send-proxy-v2", text)
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace("default-server check", "default-server send-proxy-v2 check"))
        with self.three_servers(listener_options=",proxy=v2,proxy-from=10.213.0.0/16",
                                configuration=path):
            self.assert_no_loss(self.probe_often())
            for server, echod in self.echods.items():
                echod.log.wait_for(r"connection \d+ 10\.213\.1\.2:\d+ closed: client closed, in=64 "
                                   rf"out=64 age=\S+ via={ADDRESSES[server][:-7]}2:\d+$")
                self.assertEqual(echod.log.find("bad PROXY header"), [], server)


class RollingRestartTest(ScaleOutTest):

    def test_no_byte_is_lost(self):
        """By the commands of haproxy.cfg; clients that stay leave when it waits for that."""
        self.need_program("socat")
        with self.three_servers():
            churn = self.load("--churn", "-P", "4")
            for server in SERVERS:
                staying = self.clients_that_stay()
                self.assertEqual(self.haproxy.follow("state drain", server), "")
                self.wait_for_traffic(server)
                self.assert_no_loss(staying.finish())
                harness.wait_until(lambda: self.haproxy.follow("print $5", server) == "0",
                                   f"the clients have left {server}")
                before = int(self.haproxy.facts(server)["stot"])
                self.stop(server)
                self.assertEqual(self.echods[server].log.find("closed: drained"), [])

                self.start(server)
                self.assertEqual(self.haproxy.follow("state ready", server), "")
                harness.wait_until(lambda: self.haproxy.follow("print $18", server) == "UP",
                                   f"{server} is healthy")
                harness.wait_until(lambda: int(self.haproxy.facts(server)["stot"]) > before,
                                   f"{server} has clients again")
            figures = churn.finish()
            self.assert_no_loss(figures)
            print(f"{figures['connects']} connections ", end="", flush=True)


class StopTest(ScaleOutTest):

    def test_clients_of_a_draining_echod_are_served_though_it_is_marked_down(self):
        """After TERM alone clients that leave in time lose nothing, and new ones go elsewhere."""
        with self.three_servers("--drain-timeout", "1h"):
            staying = self.clients_that_stay()
            self.echods["echod1"].signal(signal.SIGTERM)
            harness.wait_until(lambda: self.haproxy.facts("echod1")["status"] == "DOWN",
                               "haproxy sees that echod1 does not listen")
            self.wait_for_traffic("echod1")
            self.assert_no_loss(self.probe_often())
            self.assert_no_loss(staying.finish())
            self.echods["echod1"].wait_for_exit(0)

    def test_clients_that_stay_too_long_lose_what_is_under_way_and_no_more(self):
        """At the end of the drain each gets FIN, all that was echoed, and a new connection."""
        with self.three_servers("--drain-timeout", scaled_ms(300)):
            staying = self.clients_that_stay()
            self.haproxy.ask("set server echod/echod1 state drain")
            self.wait_for_traffic("echod1")
            self.stop("echod1")
            self.echods["echod1"].log.wait_for_end()
            drained = [harness.facts(match)
                       for match in self.echods["echod1"].log.find(harness.CLOSED_LINE)
                       if match["reason"] == "drained"]
            self.assertGreater(len(drained), 0)
            self.assertEqual([line.bytes_in for line in drained],
                             [line.bytes_out for line in drained])
            self.wait_for_replacements()

            figures = staying.finish()
            faults = {word: count for word, count in figures["faults"].items() if count}
            print(f"{len(drained)} drained, {faults} ", end="", flush=True)
            self.assertEqual(set(faults) - {"truncated"}, set())
            self.assertLessEqual(faults.get("truncated", 0), len(drained))
            self.assertEqual(figures["lost"], faults.get("truncated", 0))  # a window of one message
            self.assertEqual(figures["received"] + figures["lost"], figures["sent"])
            self.assertEqual((figures["connects"], figures["connects_failed"]),
                             (CLIENTS + len(drained), 0))

    def test_what_a_killed_echod_costs_is_seen(self):
        """Without a drain its clients lose messages, so these tests can see a loss."""
        with self.three_servers():
            staying = self.clients_that_stay()
            killed = self.haproxy.client_count("echod1")
            self.echods["echod1"].signal(signal.SIGKILL)
            self.echods["echod1"].wait_for_exit(-signal.SIGKILL)
            self.wait_for_replacements()
            figures = staying.finish()
            self.assertEqual(figures["status"], 1)
            self.assertEqual(figures["lost"], killed)
            self.assertEqual((figures["connects"], figures["connects_failed"]),
                             (CLIENTS + killed, 0))

    def test_a_refused_connection_is_tried_elsewhere(self):
        """Before haproxy knows that an echod is gone, no client notices."""
        with self.three_servers():
            self.haproxy.ask("disable health echod/echod1")
            self.stop("echod1")
            self.assert_no_loss(self.probe_often())
            self.assertGreater(int(self.haproxy.facts("echod1")["wredis"]), 0)

    def wait_for_replacements(self):
        harness.wait_until(
            lambda: self.haproxy.client_count("echod2") + self.haproxy.client_count("echod3")
            == CLIENTS, "all clients are at the other two")


if __name__ == "__main__":
    harness.main()
