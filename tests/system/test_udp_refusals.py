"""
test_udp_refusals: what the system refuses while datagrams are served harms nobody else.
strace lets system calls fail. The echo of datagrams is in test_udp.
Run alone, by `run` or by make check.
"""

import json
import signal
import socket

import harness
from harness import Echod
from test_udp import UDP, UdpTestCase, totals_of, wait_for_totals, with_host


class RefusalTest(UdpTestCase):
    def setUp(self):
        self.strace = self.need_program("strace")

    def echod(self, injection, *arguments, listen=UDP, **more):
        """An echod whose calls fail; -D: it remains our own child."""
        prefix = [self.strace, "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={injection}"]
        return Echod(*arguments, listen=listen, prefix=prefix, **more)

    def expect_bursts(self, client):
        for burst in (1, 1, 30, 1, 100, 1, 1):
            datagrams = [b"%d of %d" % (i, burst) for i in range(burst)]
            for data in datagrams:
                client.send(data)
            self.assertEqual([client.recv(100) for _ in datagrams], datagrams)

    def test_a_full_send_buffer(self):
        """What cannot leave now leaves later: nothing is lost, doubled or out of order."""
        for call in ("sendto", "sendmmsg", "sendmsg"):
            for error in ("EAGAIN", "ENOBUFS", "EINTR"):
                with self.subTest(call, error=error), \
                        self.echod(f"{call}:error={error}:when=1+2", listen="udp://0.0.0.0:0") as server:
                    client = self.client(with_host(server.addresses[0], "127.0.0.1"))
                    self.expect_bursts(client)
                    self.expect_silence(client)
                    self.assertEqual(totals_of(server)["failed"], 0)

    def test_an_error_that_belongs_to_another_answer(self):
        """It is over once it was told: the answer is sent again."""
        for error in ("ECONNREFUSED", "EHOSTUNREACH"):
            with self.subTest(error), \
                    self.echod(f"sendto,sendmmsg:error={error}:when=1+2") as server:
                self.expect_bursts(self.client(server.addresses[0]))

    def test_answers_that_are_forbidden(self):
        """A firewall costs the answers that it forbids, and few lines of the log."""
        with self.echod("sendto,sendmsg,sendmmsg:error=EPERM:when=1..40") as server:
            client = self.client(server.addresses[0])
            for i in range(60):
                client.send(b"%d" % i)
            wait_for_totals(server, lambda totals: totals["failed"] > 0 and
                            totals["failed"] + totals["datagrams_out"] == 60, "all were tried")
            self.assertLessEqual(len(server.log.find("warning.*fail: Operation not permitted")), 3)

    def test_in_json_the_listener_that_fails_is_a_fact(self):
        with self.echod("sendto,sendmsg,sendmmsg:error=EPERM", "--log-format", "json",
                        listen=f"{UDP},name=forbidden") as server:
            self.client(server.addresses[0]).send(b"no answer")
            line = server.log.wait_for('"message":"datagrams at forbidden fail: ').string
            self.assertEqual(json.loads(line)["listener"], "forbidden")

    def test_a_port_that_left_is_free_for_the_next_reload(self):
        """A reload is in effect when the sockets that leave are closed, which may take a while."""
        path = f"{self.temporary_directory()}/echod.conf"
        address = f"udp://127.0.0.1:{harness.free_port(socket.SOCK_DGRAM)}"

        def configure(*addresses):
            with open(path, "w", encoding="ascii") as file:
                file.writelines(f"listen {one}\n" for one in addresses)

        configure(harness.LOOPBACK, address)
        with self.echod("recvmsg,recvmmsg:delay_enter=300000", listen=None, ready=2,
                        config=path) as server:
            for addresses in ((harness.LOOPBACK,), (harness.LOOPBACK, address)):
                since = len(server.log.lines)
                configure(*addresses)
                server.signal(signal.SIGHUP)
                server.log.wait_for("HUP: the configuration of .* is in effect", since=since)
            self.expect_echo(self.client(address), b"back again")

    def test_errors_of_receiving(self):
        """An error that the network tells of on receiving ends nothing."""
        with self.echod("recvmsg,recvmmsg:error=ECONNREFUSED:when=1+3") as server:
            self.expect_bursts(self.client(server.addresses[0]))


if __name__ == "__main__":
    harness.main()
