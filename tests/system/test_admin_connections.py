"""
test_admin_connections: which connections there are, what one is like, and how an operator ends it.
Pages while clients come and go are in check_inspection.
Run by `run`, by automake, or alone.
"""

import os
import shutil
import signal
import socket
import struct
import tempfile

import harness
from admin_client import AdminTestCase
from certificates import Authority
from harness import LOOPBACK
from tls_client import TlsClient, context_for

PROXY_V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
FACTS = {"id", "listener", "peer", "state", "age_ms", "idle_ms", "in_bytes", "out_bytes",
         "queued_bytes", "worker"}


class ConnectionsTestCase(AdminTestCase):

    def pages(self, operator, query):
        """All connections of all pages."""
        connections, after = [], "0"
        while after is not None:
            page = operator.get(f"/connections?{query}&after={after}").json
            connections += page["connections"]
            after = page.get("next")
        return connections

    def wait_for_connections(self, operator, count, query=""):
        return harness.wait_until(
            lambda: (found := operator.get(f"/connections?{query}").json["connections"])
            and len(found) == count and found, f"{count} connections")

    def ids(self, operator, query):
        return [connection["id"]
                for connection in operator.get(f"/connections?{query}").json["connections"]]


class ListTest(ConnectionsTestCase):

    def test_pages_and_one(self):
        with self.serve("--workers", "3") as server:
            operator = self.operator(server)
            self.assertEqual({"connections": []}, operator.get("/connections").json)
            clients = [server.connect() for _ in range(25)]
            for client in clients:
                harness.round_trip(client, b"hello")
            for limit in (1, 7, 25, 1000):
                found = self.pages(operator, f"limit={limit}")
                ids = [connection["id"] for connection in found]
                self.assertEqual(sorted(set(ids)), ids)
                self.assertEqual(sorted(harness.address_of(client).removeprefix("tcp://")
                                        for client in clients),
                                 sorted(connection["peer"] for connection in found))
            for connection in found:
                self.assertEqual(FACTS, set(connection))
                self.assertEqual("open", connection["state"])
                self.assertEqual((5, 5, 0), tuple(
                    connection[name] for name in ("in_bytes", "out_bytes", "queued_bytes")))
                self.assertEqual((connection["id"] - 1) % 3, connection["worker"])
                self.assertEqual(server.addresses[0], connection["listener"])
            one = operator.get(f"/connections/{ids[3]}").json
            self.assertEqual(found[3]["peer"], one["peer"])
            head = operator.ask("HEAD", "/connections")
            self.assertEqual((200, ""), (head.status, head.text))
            for wrong in ("9999999", "0", "-1", "x", "1/2", "18446744073709551616"):
                answer = operator.get(f"/connections/{wrong}")
                self.assertEqual(404, answer.status)
                self.assertIn(wrong, answer.error)

    def test_filters(self):
        listen = [f"{LOOPBACK},name=a,high-water=64KiB", f"{LOOPBACK},name=b",
                  "udp://127.0.0.1:0,name=c"]
        with self.serve(listen=listen) as server:
            operator = self.operator(server)
            plain, stuck = server.connect(), server.connect(receive_buffer=4096)
            other = server.adopt(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            other.bind(("127.0.0.2", 0))
            other.connect(harness.socket_address(server.addresses[1])[1])
            half_closed = server.connect(1)
            for client in (plain, other, half_closed):
                harness.round_trip(client)
            harness.fill([stuck])
            by_peer = {connection["peer"]: connection["id"]
                       for connection in self.wait_for_connections(operator, 4)}
            plain, stuck, other, half_closed = (
                by_peer[harness.address_of(client).removeprefix("tcp://")]
                for client in (plain, stuck, other, half_closed))
            for query, expected in (
                    ("listener=a", {plain, stuck}), ("listener=b", {other, half_closed}),
                    ("peer=127.0.0.2", {other}), ("peer=127.0.0.2/32&listener=a", set()),
                    ("peer=127.0.0.0/8&listener=a&min_queued=1", {stuck}),
                    ("min_queued=1GiB", set()), ("state=open&min_idle=0&min_age=0",
                                                 {plain, stuck, other, half_closed}),
                    ("state=draining", set()), ("min_idle=1h", set()), ("min_age=1h", set())):
                self.assertEqual(sorted(expected), self.ids(operator, query), query)
            self.assertEqual(2, len(self.ids(operator, "limit=2&peer=127.0.0.0/8")))
            operator.ask("DELETE", f"/connections/{plain}")
            self.assertEqual([plain], self.ids(operator, "state=lingering"))
            for query, words in (
                    ("limit=0", "from 1 to 1000"), ("limit=1001", "from 1 to 1000"),
                    ("after=x", "id"), ("listener=c", '"c"'), ("listener=", "listener"),
                    ("peer=127.0.0.1/33", "network"), ("state=ended", "lingering"),
                    ("min_idle=1x", "duration"), ("min_age=", "duration"),
                    ("min_queued=-1", "size"), ("color=red", "color")):
                answer = operator.get(f"/connections?{query}")
                self.assertEqual(400, answer.status, query)
                self.assertIn(words, answer.error)
                self.assertIn(query.partition("=")[0], answer.error)

    def test_who_goes_away_while_it_is_answered_leaves_nothing(self):
        with self.serve("--workers", "2") as server:
            server.connect()
            for method in (b"GET /connections", b"GET /connections/1", b"DELETE /connections/999"):
                for _ in range(20):
                    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    client.connect(self.path)
                    client.sendall(method + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                    client.close()
            operator = self.operator(server)
            self.wait_for_connections(operator, 1)
            operator.close()


class TlsTest(ConnectionsTestCase):

    def test_a_proxy_and_tls_are_told(self):
        self.need_program("openssl")
        directory = tempfile.mkdtemp(prefix="echod-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        authority = Authority(directory)
        certificate = authority.issue("/CN=localhost")
        jane = authority.issue('/CN=Jane "J" Doe')
        options = (f"cert={certificate},client-ca={authority.path},client-auth=require,alpn=echo,"
                   "proxy=v1,name=front")
        with self.serve(listen=f"tls://127.0.0.1:0,{options}") as server:
            operator = self.operator(server)
            client = server.connect()
            client.sendall(PROXY_V1)
            waiting, = self.wait_for_connections(operator, 1, "state=handshake&peer=192.0.2.1")
            self.assertNotIn("tls", waiting)
            self.assertTrue(waiting["via"].startswith("127.0.0.1:"))
            tls = TlsClient(client, context_for(authority.path, ["echo"], jane))
            tls.shake_hands()
            found, = self.wait_for_connections(operator, 1, "state=open")
            self.assertEqual("192.0.2.1:56324", found["peer"])
            self.assertEqual(waiting["via"], found["via"])
            self.assertRegex(found["tls"].pop("cipher"), "^TLS_")
            self.assertIn("Jane", found["tls"].pop("subject"))
            self.assertEqual({"version": "TLSv1.3", "sni": "localhost", "alpn": "echo",
                              "resumed": False}, found["tls"])
            ended = operator.ask("DELETE", f"/connections/{found['id']}").json
            self.assertIn(ended["state"], ("draining", "lingering"))
            client.close()
            server.wait_for_closed("closed by an operator")


class EndTest(ConnectionsTestCase):

    def test_orderly_or_at_once(self):
        with self.serve("--workers", "2", "--admin", "127.0.0.1:0") as server:
            operator = self.operator(server)
            tcp = server.log.wait_for(r"operators are answered at (tcp://\S+)").group(1)
            clients = [server.connect() for _ in range(6)]
            peers = {}
            for client in clients:
                harness.round_trip(client)
                peers[harness.address_of(client).removeprefix("tcp://")] = client
            for number, connection in enumerate(operator.get("/connections").json["connections"]):
                client = peers[connection["peer"]]
                path = f"/connections/{connection['id']}"
                refused = self.operator(server, tcp).ask("DELETE", path)
                self.assertEqual(403, refused.status)
                self.assertIn("Unix socket", refused.error)
                if number % 2 == 0:
                    client.sendall(b"last")
                    ended = operator.ask("DELETE", path).json
                    self.assertEqual(b"last", harness.receive_all(client))
                    self.assertEqual("lingering", ended["state"])
                    client.close()
                else:
                    ended = operator.ask("DELETE", path + "?abort=1").json
                    self.assertRaises(ConnectionResetError, harness.receive_exactly, client, 1)
                    self.assertEqual("ended", ended["state"])
                self.assertEqual(connection["peer"], ended["peer"])
            server.wait_for_closed("closed by an operator", 6)
            self.assertEqual([], self.ids(operator, ""))
            self.assertEqual(404, operator.ask("DELETE", path).status)
            self.assertEqual(400, operator.ask("DELETE", path + "?abort=maybe").status)
            self.assertEqual(405, operator.ask("POST", path).status)
            server.log.wait_for(rf"info: operator \(uid {os.getuid()}, pid {os.getpid()}\) asks to "
                                r"close connection \d+$", 4)
            server.log.wait_for(r"asks to reset connection \d+$", 3)
            server.stop()
            server.log.wait_for(r"totals: ended: closed_by_operator=6$")

    def test_in_every_state(self):
        listen = [f"{LOOPBACK},proxy=v1", f"{LOOPBACK},accept-delay=1h", f"{LOOPBACK},delay=1h",
                  f"{LOOPBACK},truncate-fin,lifetime=1h", f"{LOOPBACK},high-water=64KiB"]
        with self.serve("--workers", "2", "--linger-timeout", harness.scaled_ms(300),
                        listen=listen) as server:
            operator = self.operator(server)
            for abort in ("", "?abort=1"):
                clients = [server.connect(index, receive_buffer=4096)
                           for index in range(5) for _ in range(2)]
                clients[0].sendall(PROXY_V1[:10])
                clients[4].sendall(b"held back")
                clients[6].sendall(b"echo")
                harness.fill(clients[8:])
                clients[9].shutdown(socket.SHUT_WR)
                found = self.wait_for_connections(operator, 10)
                self.assertLessEqual({"handshake", "open"},
                                     {connection["state"] for connection in found})
                for connection in found:
                    ended = operator.ask("DELETE", f"/connections/{connection['id']}{abort}")
                    self.assertEqual(200, ended.status)
                    self.assertIn(operator.ask("DELETE", f"/connections/{connection['id']}").status,
                                  (200, 404))
                harness.wait_until(lambda: self.ids(operator, "") == [], "all have ended")

    def test_while_a_drain_is_under_way(self):
        with self.serve("--workers", "2", "--drain-timeout", "1h") as server:
            operator = self.operator(server)
            clients = [server.connect() for _ in range(4)]
            for client in clients:
                harness.round_trip(client)
            ids = self.ids(operator, "")
            server.signal(signal.SIGTERM)
            server.log.wait_for("draining: 4")
            self.assertEqual(ids, self.ids(operator, "limit=1000"))
            for number, each in enumerate(ids[:3]):
                self.assertEqual(200, operator.ask(
                    "DELETE", f"/connections/{each}?abort={number % 2}").status)
            harness.wait_until(lambda: ids[3] in self.ids(operator, ""), "one is left")
            for client in clients:  # whose last end lets echod end, whoever still asks
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                client.close()
            server.wait_for_exit(harness.STATUS_STOPPED)


if __name__ == "__main__":
    harness.main()
