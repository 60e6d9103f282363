"""
test_admin_actions: what an operator may do beside ending connections: pause and resume listeners,
reload, change the log's level, drain.
Run by `run`, by automake, or alone.
"""

import os
import signal
import socket
import urllib.parse

import harness
from admin_client import AdminTestCase
from harness import LOOPBACK


def quote(name):
    return urllib.parse.quote(name, safe="")


class ActionsTestCase(AdminTestCase):

    def states(self, operator):
        return {listener["name"]: listener["state"]
                for listener in operator.get("/status").json["listeners"]}

    def pause(self, operator, name, verb="pause"):
        answer = operator.ask("POST", f"/listeners/{quote(name)}/{verb}")
        self.assertEqual(200, answer.status, answer.text)
        self.assertEqual("paused" if verb == "pause" else "listening", answer.json["state"])
        self.assertEqual(name, answer.json["name"])

    def is_served(self, server, index=0):
        harness.round_trip(server.connect(index))

    def write_config(self, text):
        path = os.path.join(self.directory, "echod.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path


class ListenerTest(ActionsTestCase):

    def test_a_tcp_listener_that_is_paused_refuses_clients(self):
        with self.serve("--workers", "2", listen=[LOOPBACK, f"{LOOPBACK},name=other"]) as server:
            operator, name = self.operator(server), server.addresses[0]
            client = server.connect()
            harness.round_trip(client)
            for _ in range(2):
                self.pause(operator, name)
                self.pause(operator, name)
                self.assertEqual({name: "paused", "other": "listening"}, self.states(operator))
                for _ in range(4):
                    self.assertTrue(harness.is_refused(name))
                harness.round_trip(client)
                self.is_served(server, 1)
                self.pause(operator, name, "resume")
                self.pause(operator, name, "resume")
                workers = set()
                while len(workers) < 2:  # both listen again, at the same port
                    self.is_served(server, 0)
                    workers |= {connection["worker"] for connection in
                                operator.get("/connections").json["connections"]}
            server.log.wait_for(r"operator \(uid \d+, pid \d+\) asks to pause listener " + name, 4)
            for wrong in ("nobody", "", name + "x"):
                answer = operator.ask("POST", f"/listeners/{quote(wrong)}/pause")
                self.assertEqual(404, answer.status)
            self.assertEqual(405, operator.get(f"/listeners/{quote(name)}/pause").status)
            self.pause(operator, name)  # a drain comes to it as well

    def test_a_listener_that_cannot_be_resumed_stays_paused(self):
        """Somebody else listens at its address by then; until it goes, no answer says otherwise."""
        with self.serve(listen=f"{LOOPBACK},name=a", may_log="cannot listen at a again") as server:
            operator = self.operator(server)
            self.pause(operator, "a")
            with socket.create_server(("127.0.0.1", harness.port_of(server.addresses[0]))):
                for _ in range(2):
                    answer = operator.ask("POST", "/listeners/a/resume")
                    self.assertEqual(500, answer.status)
                    self.assertIn("a stays paused: ", answer.error)
                    self.assertIn("Address already in use", answer.error)
                    self.assertEqual({"a": "paused"}, self.states(operator))
            self.pause(operator, "a", "resume")
            self.is_served(server)

    def test_where_the_system_refuses_nobody_clients_wait(self):
        path = os.path.join(self.directory, "echo.sock")
        with self.serve("--workers", "2", listen=f"unix://{path},name=local") as server:
            operator = self.operator(server)
            self.pause(operator, "local")
            client = server.connect()
            client.sendall(b"late")
            client.settimeout(0.2)
            self.assertRaises(TimeoutError, client.recv, 4)
            client.settimeout(harness.PATIENCE_SECONDS)
            self.pause(operator, "local", "resume")
            self.assertEqual(b"late", harness.receive_exactly(client, 4))

    def test_a_udp_listener_that_is_paused_answers_nothing_and_nothing_late(self):
        with self.serve("--workers", "2", listen="udp://127.0.0.1:0,name=u") as server:
            operator = self.operator(server)
            client = server.adopt(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(harness.PATIENCE_SECONDS)
            client.connect(("127.0.0.1", harness.port_of(server.addresses[0])))
            self.pause(operator, "u")
            client.send(b"lost")

            def has_dropped():
                listener, = operator.get("/status").json["listeners"]
                return listener["counters"]["while_paused"] == 1

            harness.wait_until(has_dropped, "the datagram is dropped")
            self.pause(operator, "u", "resume")
            client.send(b"kept")
            self.assertEqual(b"kept", client.recv(10))

    def test_a_pause_lasts_over_reloads(self):
        path = self.write_config(f"listen {LOOPBACK},name=one\n")
        with self.serve(listen=None, ready=1, config=path) as server:
            operator, address = self.operator(server), server.addresses[0]
            self.pause(operator, "one")
            for backlog in (100, 200):
                self.write_config(f"listen {LOOPBACK},name=one,backlog={backlog}\n")
                self.assertEqual({"reloaded": True}, operator.ask("POST", "/reload").json)
                self.assertEqual({"one": "paused"}, self.states(operator))
                self.assertTrue(harness.is_refused(address))
            # So it does over a move of that name.
            self.write_config("listen tcp://127.0.0.2:0,name=one\n")
            operator.ask("POST", "/reload")
            second = server.log.wait_for(r"listening on (tcp://127\.0\.0\.2:\d+)").group(1)
            self.assertTrue(harness.is_refused(second))
            self.pause(operator, "one", "resume")
            harness.round_trip(server.adopt(harness.connect(second)))
            # One that has gone cannot be paused.
            self.write_config(f"listen {LOOPBACK},name=new\n")
            operator.ask("POST", "/reload")
            self.assertEqual(404, operator.ask("POST", "/listeners/one/pause").status)
            operator.close()
            server.close_clients()
            server.signal(signal.SIGTERM)
            server.wait_for_exit(harness.STATUS_STOPPED)

    def test_a_listener_that_a_reload_cannot_resume_is_paused(self):
        """With another name it is not paused any more, but its address is somebody else's."""
        port = harness.free_port()
        text = f"listen 127.0.0.1:{port},name=%s\n"
        path = self.write_config(text % "a")
        with self.serve("--workers", "2", listen=None, ready=1, config=path,
                        may_log="cannot listen at b again") as server:
            operator = self.operator(server)
            self.pause(operator, "a")
            with socket.create_server(("127.0.0.1", port)):
                self.write_config(text % "b")
                self.assertEqual({"reloaded": True}, operator.ask("POST", "/reload").json)
                self.assertEqual({"a": "closed", "b": "paused"}, self.states(operator))
                self.assertEqual(500, operator.ask("POST", "/listeners/b/resume").status)
            self.pause(operator, "b", "resume")
            self.is_served(server)

    def test_a_pause_belongs_to_a_name_whatever_comes_by_it(self):
        """So it goes over to another kind of listener, and a resume of that one comes back."""
        tcp, udp = f"listen {LOOPBACK},name=one\n", "listen udp://127.0.0.1:0,name=one\n"
        path = self.write_config(tcp)
        with self.serve(listen=None, ready=1, config=path) as server:
            operator = self.operator(server)

            def expect(text, *states):
                self.write_config(text)
                self.assertEqual({"reloaded": True}, operator.ask("POST", "/reload").json)
                self.assertEqual(list(states), [listener["state"] for listener in
                                                operator.get("/status").json["listeners"]])

            self.pause(operator, "one")
            expect(udp, "closed", "paused")
            self.pause(operator, "one", "resume")
            expect(tcp, "listening", "closed")
            server.log.wait_for(r"listening on tcp://", 2)
            self.pause(operator, "one")
            expect(udp, "closed", "paused")
            self.pause(operator, "one", "resume")
            operator.close()
            server.signal(signal.SIGTERM)
            server.wait_for_exit(harness.STATUS_STOPPED)


class ProcessTest(ActionsTestCase):

    def test_a_reload_tells_how_it_went(self):
        path = self.write_config(f"listen {LOOPBACK},name=a\nlog-level debug\n")
        with self.serve(listen=None, ready=1, config=path, may_log="echod.conf") as server:
            operator = self.operator(server)
            self.assertEqual({"log_level": "warning"},
                             operator.ask("PUT", "/log-level", "warning\n").json)
            self.assertEqual("warning", operator.get("/status").json["log_level"])
            for wrong in ("", "loud", "info debug", "warning\nx", "warning\0", "warning\0x"):
                answer = operator.ask("PUT", "/log-level", wrong)
                self.assertEqual(400, answer.status)
                self.assertIn("warning", answer.error)
            self.assertEqual({"reloaded": True}, operator.ask("POST", "/reload").json)
            self.assertEqual("debug", operator.get("/status").json["log_level"])
            who = rf"operator \(uid {os.getuid()}, pid {os.getpid()}\)"
            server.log.wait_for(f"{who}: the configuration of {path} is in effect")
            self.write_config(f"listen {LOOPBACK},name=a\n\nidle-timeout never\n")
            answer = operator.ask("POST", "/reload")
            self.assertEqual(409, answer.status)
            self.assertIn(f"{path}:3:", answer.error)
            server.log.wait_for(f"{who}: the configuration is not changed")
            self.assertIn("never", answer.error)
            self.write_config(f"listen {LOOPBACK},name=a\n")
            others = [self.operator(server) for _ in range(5)]
            for other in others:  # while one is under way, the rest become one that follows
                other.begin("POST", "/reload")
            for other in others:
                self.assertEqual({"reloaded": True}, other.end().json)
            for other in others:
                other.close()
            operator.close()

    def test_a_reload_waits_for_held_answers_no_longer_than_a_drain(self):
        """A UDP listener that goes may hold answers back for an hour; who reloads is answered."""
        text = f"listen {LOOPBACK}\ndrain-timeout 100ms\n"
        path = self.write_config(text + "listen udp://127.0.0.1:0,delay=1h,name=late\n")
        with self.serve("--workers", "2", listen=None, ready=2, config=path) as server:
            operator = self.operator(server)
            client = server.adopt(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.connect(("127.0.0.1", harness.port_of(server.addresses[1])))
            client.send(b"late")

            def is_held():
                return [1] == [listener["counters"]["datagrams_in"] for listener in
                               operator.get("/status").json["listeners"] if listener["datagrams"]]

            harness.wait_until(is_held, "the answer is held back")
            self.write_config(text)
            self.assertEqual({"reloaded": True}, operator.ask("POST", "/reload").json)
            self.assertEqual("closed", self.states(operator)["late"])

    def test_a_drain_begins_once_and_ends_echod(self):
        with self.serve("--workers", "2", "--drain-timeout", "1h", "--admin",
                        "127.0.0.1:0") as server:
            operator = self.operator(server)
            tcp = server.log.wait_for(r"operators are answered at (tcp://\S+)").group(1)
            reader = self.operator(server, tcp)
            for method, path in (("POST", "/drain"), ("POST", "/reload"), ("PUT", "/log-level"),
                                 ("POST", "/listeners/a/pause"), ("POST", "/listeners/a/resume")):
                self.assertEqual(403, reader.ask(method, path).status)
            client = server.connect()
            harness.round_trip(client)
            for _ in range(3):
                answer = operator.ask("POST", "/drain")
                self.assertEqual((202, {"state": "draining"}), (answer.status, answer.json))
                harness.round_trip(client)
            answer = operator.ask("POST", "/reload")
            self.assertEqual(409, answer.status)
            self.assertIn("about to end", answer.error)
            server.log.wait_for(r"operator \(.*\): echod is about to end, and reloads no more")
            self.assertEqual({server.addresses[0]: "closed"}, self.states(operator))
            answer = operator.ask("POST", f"/listeners/{quote(server.addresses[0])}/pause")
            self.assertEqual(409, answer.status)
            self.assertIn("draining", answer.error)
            harness.finish(client)
            server.wait_for_exit(harness.STATUS_STOPPED)

    def test_a_drain_that_is_over_at_once_is_answered(self):
        for _ in range(4):
            with self.serve("--workers", "2") as server:
                answer = self.operator(server).ask("POST", "/drain")
                self.assertEqual((202, {"state": "draining"}), (answer.status, answer.json))
                server.wait_for_exit(harness.STATUS_STOPPED)

    def test_many_actions_in_a_row(self):
        with self.serve("--workers", "2", listen=f"{LOOPBACK},name=a") as server:
            operator = self.operator(server)
            for number in range(1000 if not harness.SANITIZED else 100):
                verb = ("pause", "resume")[number % 2]
                answer = operator.ask("POST", f"/listeners/a/{verb}")
                self.assertEqual(200, answer.status)
            self.is_served(server, 0)


if __name__ == "__main__":
    harness.main()
