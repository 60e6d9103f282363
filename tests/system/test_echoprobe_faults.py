"""
test_echoprobe_faults: echoprobe calls each fault of an echo service by its name.
The servers are deliberately broken ones (broken_servers); what works is test_echoprobe's.
Run by `run`, by automake, or alone.
"""

import socket
import threading
import time

import broken_servers
import harness
from broken_servers import UdpServer
from harness import probe
from test_echoprobe_outages import Run

SHORT = ("--timeout", harness.scaled_ms(300))  # where an answer never comes


class StreamFaultsTest(harness.ProbeTestCase):
    """
    Where the wrong byte is by chance the one that should have come, a fault shows a byte later: the
    last digit of its offset is left open.
    """

    def test_a_byte_that_is_left_out(self):
        self.expect(broken_servers.without_byte(10), ("-c", "1", *SHORT),
                    r"(?m)^seq=1 lost: 1 byte is missing at offset 1\d: expected")

    def test_a_byte_that_is_left_out_of_a_stream(self):
        self.expect(broken_servers.without_byte(300000), ("--stream", "-c", "20", *SHORT),
                    r"lost: 1 byte is missing at offset 30000\d")

    def test_a_changed_byte(self):
        """It is one corrupted message, and the connection goes on."""
        result = self.expect(broken_servers.with_changed_byte(74), ("-c", "3", "-i", "0"),
                             r"(?m)^seq=2 corrupted: 1 byte differs at offset 74: expected ([0-9a-f]"
                             r"{2}).*, found (?!\1)")
        self.assertRegex(result.text, r"3 sent, 2 received, 0 lost \(0.0%\), 1 corrupted")

    def test_several_changed_messages(self):
        """Each message with a wrong byte is corrupted, also of several under way at once."""
        result = self.expect(broken_servers.with_changed_bytes(256), ("--window", "16", "-c", "16"),
                             r"16 sent, 12 received, 0 lost \(0.0%\), 4 corrupted")
        for offset in (128, 384, 640, 896):
            self.assertRegex(result.text, f"corrupted: 1 byte differs at offset {offset}:")

    def test_a_changed_byte_before_a_byte_that_is_left_out(self):
        """A fault does not hide the next one."""
        def change(data, offset):
            data = bytearray(data)
            if offset == 0:
                data[10] ^= 1
                del data[100]
            return bytes(data)

        result = self.expect(broken_servers.echo_changed(change),
                             ("-s", "256", "-c", "1", *SHORT), "corrupted: 1 byte differs at offset 10")
        self.assertRegex(result.text, r"lost: 1 byte is missing at offset 10\d")

    def test_a_changed_byte_of_a_stream(self):
        self.expect(broken_servers.with_changed_byte(1000001), ("--stream", "-c", "40"),
                    r"corrupted: 1 byte differs at offset 1000001")

    def test_a_banner(self):
        self.expect(broken_servers.with_banner(b"Hello!"), ("-c", "1"),
                    r"seq=1 inserted: 6 bytes that nobody sent at offset \d: "
                    r"expected [0-9a-f ]+, found (48 )?65 6c 6c 6f 21")

    def test_right_answers_before_wrong_bytes(self):
        """They came back unchanged, though what follows them in one piece did not."""
        def serve(connection, _):
            data = broken_servers.read_exactly(connection, 4 * 64)
            connection.sendall(data[:3 * 64] + bytes(400))
            connection.recv(1)

        self.expect(broken_servers.TcpServer(serve), ("--window", "4", "-c", "4"),
                    r"4 sent, 3 received, 0 lost \(0.0%\), 1 corrupted")

    def test_right_answers_before_a_wrong_one_and_the_end(self):
        def serve(connection, _):
            data = bytearray(broken_servers.read_exactly(connection, 4 * 64))
            data[70] ^= 1
            connection.sendall(data[:3 * 64 + 10])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

        self.expect(broken_servers.TcpServer(serve), ("--window", "4", "-c", "4"),
                    r"4 sent, 2 received, 1 lost \(25.0%\), 1 corrupted")

    def test_a_wrong_answer_does_not_hold_up_the_right_ones_before_it(self):
        """They are told at once, though the wrong one is judged when more of it came."""
        seen = threading.Event()

        def serve(connection, _):
            data = bytearray(broken_servers.read_exactly(connection, 4 * 64))
            data[200] ^= 1
            connection.sendall(data[:210])
            if seen.wait(harness.PATIENCE_SECONDS):
                connection.sendall(data[210:])
                connection.recv(1)

        with broken_servers.TcpServer(serve) as server, \
                Run("-c", "4", "-i", "1ms", "-W", "1h", server.address) as run:
            run.read_echo(3)
            seen.set()
            result = run.result()
        self.assertRegex(result.text, r"4 sent, 3 received, 0 lost \(0.0%\), 1 corrupted")

    def test_a_message_that_comes_twice(self):
        self.expect(broken_servers.doubling(64), ("--window", "2", "-c", "2"),
                    r"duplicated: 64 bytes come once more at offset 6\d")

    def test_swapped_messages(self):
        self.expect(broken_servers.swapping(64), ("--window", "2", "-c", "2"),
                    r"reordered: the bytes at offset 6\d come before those at offset \d")

    def test_bytes_of_another_connection(self):
        self.expect(broken_servers.mixing(64), ("-P", "2", "-c", "2"),
                    r"foreign: bytes of connection [12] at offset \d")

    def test_the_bytes_of_another_run(self):
        kept = []

        def serve(connection, _):
            data = broken_servers.read_exactly(connection, 64)
            kept.append(data)
            connection.sendall(kept[0])

        with broken_servers.TcpServer(serve) as server:
            probe("-c", "1", server.address)
            result = probe("-c", "1", server.address)
        self.assertEqual(result.status, 1)
        self.assertRegex(result.text, r"foreign: bytes of another echoprobe at offset \d")

    def test_an_end_that_comes_too_early(self):
        self.expect(broken_servers.ending_after(32), ("-c", "1"),
                    r"seq=1 (truncated: the connection ended after 32 of 64 bytes|"
                    r"reset: .* after 32 of 64 bytes)")

    def test_a_reset(self):
        self.expect(broken_servers.ending_after(100, broken_servers.reset), ("-c", "2", "--window", "2"),
                    r"reset: Connection reset by peer after \d+ of 128 bytes")

    def test_silence(self):
        result = self.expect(broken_servers.silent_after(0), ("-c", "2", "-i", "0", *SHORT),
                             r"seq=1 lost: no answer within ")
        self.assertRegex(result.text, r"2 sent, 0 received, 2 lost \(100.0%\), 0 corrupted")

    def test_a_changed_byte_among_many(self):
        """More than is kept to judge it comes behind it; one byte is wrong, and none is lost."""
        with broken_servers.with_changed_byte(1000000) as server:
            result = probe("--json", "-c", "3", "-i", "0", "-s", "1MiB", "-W", "1m", server.address)
        self.assertEqual(result.status, 1)
        faults = {kind: count for kind, count in result.json()["faults"].items() if count}
        self.assertEqual(faults, {"corrupted": 1})
        self.assertEqual(result.json()["received"], 2)

    def test_an_answer_that_comes_too_late(self):
        """However little that is: it is lost, and has no round trip."""
        def answer(data):
            time.sleep(0.012)
            return data

        for server in (broken_servers.echo_changed(lambda data, _: answer(data)),
                       broken_servers.answer_changed(lambda data, _: [answer(data)])):
            with server:
                result = probe("-c", "20", "-i", "0", "-W", "10ms", "--json", server.address)
            figures = result.json()
            self.assertNotEqual(result.status, 0)
            self.assertEqual((figures["received"], figures["lost"]), (0, figures["sent"]))
            self.assertIsNone(figures["rtt_us"])

    def test_half_an_answer_and_silence(self):
        self.expect(broken_servers.silent_after(32), ("-c", "1", *SHORT),
                    r"seq=1 lost: only 32 of 64 bytes came back within ")
        result = self.expect(broken_servers.silent_after(74), ("-c", "3", "--window", "3", *SHORT),
                             r"lost: only 10 of 64 bytes came back within ")
        self.assertRegex(result.text, r"lost: no answer within ")

    def test_small_messages(self):
        """A byte is little to judge by, but wrong bytes stay wrong."""
        self.expect(broken_servers.with_changed_byte(1), ("-c", "3", "-s", "1", "-i", "0"),
                    r"seq=2 (corrupted|inserted|duplicated): ")

    def test_json_counts_faults(self):
        with broken_servers.with_changed_byte(5) as server:
            result = probe("-c", "2", "-i", "0", "--json", server.address)
        self.assertEqual(result.status, 1)
        facts = result.json()
        self.assertEqual((facts["sent"], facts["received"], facts["corrupted"]), (2, 1, 1))
        self.assertEqual(facts["faults"]["corrupted"], 1)
        self.assertRegex(facts["first_faults"][0], "corrupted: 1 byte differs at offset 5")
        self.assertEqual(facts["status"], 1)


class DatagramFaultsTest(harness.ProbeTestCase):

    def test_lost_datagrams(self):
        self.expect(broken_servers.answer_changed(lambda data, number: [] if number % 3 == 2 else [data]),
                    ("-c", "6", "-i", "0", *SHORT), r"6 sent, 4 received, 2 lost \(33.3%\)")

    def test_late_datagrams_are_not_doubled(self):
        """Each is answered when the next has come, however few may be under way."""
        before = []

        def answer(data, _):
            before.append(data)
            return before[-2:-1]

        with broken_servers.answer_changed(answer) as server:
            figures = probe("-c", "4", "-i", "0", "--json", *SHORT, server.address).json()
        self.assertEqual([figures[name] for name in ("sent", "received", "lost", "late", "duplicated")],
                         [4, 0, 4, 3, 0])

    def test_doubled_datagrams_are_no_loss(self):
        self.expect(broken_servers.answer_changed(lambda data, _: [data, data]), ("-c", "5", "-i", "0"),
                    r"5 sent, 5 received, 0 lost \(0.0%\), 0 corrupted, [45] duplicated", status=0)

    def test_swapped_datagrams_are_no_loss(self):
        kept = []

        def change(data, number):
            kept.append(data)
            return [data, kept[number - 1]] if number % 2 == 1 else []

        self.expect(broken_servers.answer_changed(change), ("-c", "4", "--window", "2"),
                    r"4 received, 0 lost \(0.0%\), 0 corrupted, 2 reordered", status=0)

    def test_a_short_datagram(self):
        self.expect(broken_servers.answer_changed(lambda data, _: [data[:32]]), ("-c", "1"),
                    "seq=1 truncated: only 32 of 64 bytes came back")

    def test_a_long_datagram(self):
        self.expect(broken_servers.answer_changed(lambda data, _: [data + b"more"]), ("-c", "1"),
                    "seq=1 inserted: 4 bytes that nobody sent at offset 64")

    def test_a_changed_datagram(self):
        self.expect(broken_servers.answer_changed(lambda data, _: [data[:9] + bytes([data[9] ^ 255]) + data[10:]]),
                    ("-c", "1"), "seq=1 corrupted: 1 byte differs at offset 9")

    def test_a_datagram_of_another_socket(self):
        kept = []

        def change(data, number):
            kept.append(data)
            return [] if number % 2 == 0 else [kept[number - 1]]

        self.expect(broken_servers.answer_changed(change), ("-P", "2", "-c", "2", *SHORT),
                    r"foreign: bytes of connection [12] at offset 0")

    def test_an_answer_from_another_address(self):
        def answer(_, data, client, __):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.2", 0))
                other.sendto(data, client)

        self.expect(UdpServer(answer), ("-c", "1"),
                    r"seq=1 misaddressed: the answer comes from 127\.0\.0\.2:\d+")


if __name__ == "__main__":
    harness.main()
