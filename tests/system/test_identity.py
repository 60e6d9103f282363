"""
test_identity: listeners that tell a client who serves it.
What an identity looks like is in check_identity; echoprobe's --identify is in
test_echoprobe_identify.
Run by `run`, by automake, or alone.
"""

import json
import os
import socket
import ssl
import struct
import subprocess
import tempfile

import harness
import tls_client
from certificates import Authority
from harness import LOOPBACK, Echod

VARIABLES = ("POD_NAME", "MY_POD_NAME", "POD_NAMESPACE", "MY_POD_NAMESPACE", "NAMESPACE", "POD_IP",
             "MY_POD_IP", "NODE_NAME", "MY_NODE_NAME", "CONTAINER_NAME", "SUPERVISOR_PROCESS_NAME",
             "SUPERVISOR_GROUP_NAME")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def environment(**variables):
    """This environment without what an identity tells, and with these variables."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables


def take_line(client):
    """Read up to a line feed, and no byte behind it."""
    line = b""
    while not line.endswith(b"\n"):
        line += harness.receive_exactly(client, 1)
    return line.decode()


def words(line):
    """The words of a line as a dictionary, in their order."""
    return dict(word.split("=", 1) for word in line.removesuffix("\n").split(" "))


def name_of(client):
    return "{}:{}".format(*client.getsockname()[:2])


def extension(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def version_2(extensions=b""):
    body = (socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1")
            + struct.pack("!HH", 56324, 443) + extensions)
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


class StreamTest(harness.TestCase):

    def test_line(self):
        """It comes unasked; what is sent before it was read is echoed behind it."""
        for options in ((), ("--no-shortcuts",)):
            with Echod(*options, listen=f"{LOOPBACK},identify=line", env=environment()) as server:
                client = server.connect()
                facts = words(take_line(client))
                self.assertEqual(" ".join(facts),
                                 "echod host local client id listener pid worker")
                self.assertEqual(facts["host"], socket.gethostname())
                self.assertEqual(facts["local"], "{}:{}".format(*client.getpeername()))
                self.assertEqual(facts["client"], name_of(client))
                self.assertEqual(facts["listener"], server.addresses[0])
                self.assertEqual(facts["pid"], str(server.pid))
                eager = server.connect()
                eager.sendall(b"early")
                self.assertTrue(take_line(eager).startswith("echod="))
                self.assert_echo(harness.finish(eager, harness.random_bytes(100000)),
                                 b"early" + harness.random_bytes(100000))
                self.assert_echo(harness.finish(client, b"late"), b"late")
                lines = server.wait_for_closed("client closed", 2)
                self.assertEqual({line.id for line in lines}, {1, 2})
                self.assertEqual(sorted(line.bytes_out for line in lines), [4, 100005])
                self.assertEqual(server.log.find(r"(\S+): clients are told its identity")[0]
                                 .group(1), server.addresses[0])

    def test_json(self):
        with Echod("--workers", "2", env=environment(POD_NAME="echo-1"),
                   listen=f"{LOOPBACK},identify=json,name=public") as server:
            client = server.connect()
            facts = json.loads(take_line(client))
            self.assertEqual((facts["pod"], facts["listener"]), ("echo-1", "public"))
            self.assertIn(facts["worker"], (0, 1))
            self.assertEqual(facts["client"], name_of(client))
            harness.round_trip(client)

    def test_only(self):
        """Then FIN, also for who sends something that nobody reads."""
        with Echod(listen=(f"{LOOPBACK},identify=only", f"{LOOPBACK},identify=only-json"),
                   env=environment()) as server:
            for index in (0, 1):
                client = server.connect(index)
                client.sendall(bytes(10000))
                line = harness.receive_all(client).decode()
                self.assertEqual(line.count("\n"), 1)
                facts = words(line) if index == 0 else json.loads(line)
                self.assertEqual(facts["client"], name_of(client))
                client.close()
            for line in server.wait_for_closed("identity sent", 2):
                self.assertEqual((line.bytes_in, line.bytes_out), (0, 0))
            server.report()
            totals = server.log.wait_for(r"totals: .*in=(\d+) out=(\d+) .*identity_out=(\d+)")
            self.assertEqual(totals.group(1, 2), ("0", "0"))
            self.assertGreater(int(totals.group(3)), 100)

    def test_clients_of_others(self):
        for command in (("ncat", "127.0.0.1", "PORT"), ("socat", "-", "tcp:127.0.0.1:PORT")):
            with self.subTest(program=command[0]):
                program = self.need_program(command[0])
                with Echod(listen=(f"{LOOPBACK},identify=line")) as server:
                    port = str(harness.port_of(server.addresses[0]))
                    output = subprocess.run(
                        [program, *(word.replace("PORT", port) for word in command[1:])],
                        input=b"hello\n", stdout=subprocess.PIPE, check=True,
                        timeout=harness.PATIENCE_SECONDS).stdout
                    self.assertRegex(output.decode(), r"\Aechod=[^\n]+\nhello\n\Z")

    def test_all_kinds_of_sockets(self):
        path = f"{self.temporary_directory()}/echod.sock"
        with harness.listening_socket() as listener:
            with Echod(pass_fds=(listener.fileno(),), env=environment(), listen=(
                    f"unix://{path},identify=line", "tcp://[::1]:0,identify=line",
                    f"fd://{listener.fileno()},identify=line")) as server:
                ipv6, = (address for address in server.addresses if "[::1]" in address)
                with harness.connect(f"unix://{path}") as client:
                    facts = words(take_line(client))
                    self.assertEqual((facts["local"], facts["client"]), (path, "unix"))
                with harness.connect(ipv6) as client:
                    facts = words(take_line(client))
                    self.assertEqual(facts["local"], ipv6.removeprefix("tcp://"))
                with harness.connect(harness.address_of(listener)) as client:
                    self.assertEqual(words(take_line(client))["client"], name_of(client))

    def test_standard_input(self):
        for mode, echo in (("line", "hello"), ("only", "")):
            with tempfile.TemporaryFile() as file:
                file.write(b"hello")
                file.seek(0)
                result = harness.run_echod("--listen", f"stdio:,identify={mode}", stdin=file)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stdout, rf"\Aechod=[^\n]+ client=stdio [^\n]+\n{echo}\Z")

    def test_reload(self):
        """Who comes after it is told, and the log says so."""
        directory = self.temporary_directory()
        path = f"{directory}/echod.conf"

        def write(options):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen {address}{options}\n")

        address = f"tcp://127.0.0.1:{harness.free_port()}"
        write("")
        with Echod(config=path, listen=(), ready=1, env=environment()) as server:
            with harness.connect(address) as client:
                harness.round_trip(client)
                write(",identify=line")
                server.signal(1)
                server.log.wait_for("is in effect")
                self.assertEqual(len(server.log.find("clients are told its identity")), 1)
                harness.round_trip(client)
            with harness.connect(address) as client:
                self.assertEqual(words(take_line(client))["listener"], address)
            server.signal(1)
            server.log.wait_for("is in effect", 2)
            self.assertEqual(len(server.log.find("clients are told its identity")), 1)


class EnvironmentTest(harness.TestCase):

    def test_what_is_told_and_nothing_else(self):
        told = {"POD_NAME": "pod", "POD_NAMESPACE": "namespace", "POD_IP": "pod_ip",
                "NODE_NAME": "node", "CONTAINER_NAME": "container",
                "SUPERVISOR_PROCESS_NAME": "supervisor_process",
                "SUPERVISOR_GROUP_NAME": "supervisor_group"}
        variables = {name: f"value of\n{name}" for name in told}
        with Echod(listen=f"{LOOPBACK},identify=line",
                   env=environment(ECHOD_SECRET="secret-value", **variables)) as server:
            line = take_line(server.connect())
        facts = words(line)
        for name, fact in told.items():
            self.assertEqual(facts[fact], rf"value\x20of\x0a{name}")
        self.assertNotIn("secret", line)

    def test_a_long_value_is_cut(self):
        with Echod(listen=f"{LOOPBACK},identify=json",
                   env=environment(POD_NAME=5000 * "\N{EURO SIGN}")) as server:
            pod = json.loads(take_line(server.connect()))["pod"]
        self.assertEqual(pod, 84 * "\N{EURO SIGN}" + "...")


class ProxyTest(harness.TestCase):

    def test_version_1(self):
        with Echod(listen=f"{LOOPBACK},identify=line,proxy=v1") as server:
            client = server.connect()
            client.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nping")
            facts = words(take_line(client))
            self.assertEqual(facts["client"], name_of(client))
            self.assertEqual(facts["source"], "192.0.2.1:56324")
            self.assertEqual(facts["destination"], "198.51.100.1:443")
            self.assertEqual(harness.receive_exactly(client, 4), b"ping")

    def test_version_2(self):
        """With what it may tell beside the addresses, some of it hostile."""
        ssl = struct.pack("!BI", 0x03, 0) + extension(0x21, b"TLSv1.3") + extension(0x22, b"J. R.")
        header = version_2(extension(0x02, b"www.example\npod=x") + extension(0x05, b"id\0\xff")
                           + extension(0x01, b"h2") + extension(0x20, ssl))
        with Echod(listen=(f"{LOOPBACK},identify=line,proxy=v2",
                           f"{LOOPBACK},identify=json,proxy=v2"), env=environment()) as server:
            client = server.connect(0)
            client.sendall(header)
            facts = words(take_line(client))
            self.assertEqual(facts["proxy_authority"], r"www.example\x0apod=x")
            self.assertEqual(facts["proxy_unique_id"], "id\N{REPLACEMENT CHARACTER}\\xff")
            self.assertEqual((facts["proxy_tls"], facts["proxy_alpn"]), ("TLSv1.3", "h2"))
            self.assertEqual((facts["proxy_subject"], facts["proxy_verified"]),
                             (r"J.\x20R.", "yes"))
            self.assertNotIn("pod", facts)
            harness.round_trip(client)
            client = server.connect(1)
            client.sendall(header)
            facts = json.loads(take_line(client))
            self.assertEqual(facts["proxy_authority"], "www.example\npod=x")
            self.assertEqual(facts["source"], "192.0.2.1:56324")

    def test_without_addresses(self):
        with Echod(listen=f"{LOOPBACK},identify=line,proxy=any") as server:
            client = server.connect()
            client.sendall(b"PROXY UNKNOWN\r\n")
            facts = words(take_line(client))
            self.assertNotIn("source", facts)
            self.assertEqual(facts["client"], name_of(client))


class TlsTest(harness.TestCase):

    def setUp(self):
        self.need_program("openssl")
        if not tls_client.can_serve():
            self.skipTest("echod was built without OpenSSL")
        authority = Authority(self.temporary_directory())
        self.ca = authority.path
        self.certificate = authority.issue("/CN=localhost")
        self.client_certificate = authority.issue("/O=Some Body/CN=somebody")

    def connect(self, address):
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client_certificate)
        context.set_alpn_protocols(["echo"])
        return context.wrap_socket(harness.connect(address.replace("tls://", "tcp://")),
                                   server_hostname="localhost")

    def test_what_was_agreed_is_told(self):
        """And the echo behind it, or nothing but an orderly end."""
        options = f"cert={self.certificate},client-ca={self.ca},client-auth=require,alpn=echo"
        for more in ((), ("--no-shortcuts",)):
            with self.subTest(options=more), Echod(*more, env=environment(), listen=(
                    f"tls://127.0.0.1:0,identify=line,{options}",
                    f"tls://127.0.0.1:0,identify=only-json,{options}")) as server:
                with self.connect(server.addresses[0]) as client:
                    client.sendall(b"early")
                    facts = words(take_line(client))
                    self.assertEqual((facts["tls"], facts["cipher"]), client.cipher()[1::-1])
                    self.assertEqual((facts["sni"], facts["alpn"]), ("localhost", "echo"))
                    self.assertRegex(facts["subject"], r"CN=somebody.*O=Some\\x20Body")
                    self.assertEqual(facts["client"], name_of(client))
                    self.assertEqual(harness.receive_exactly(client, 5), b"early")
                    harness.round_trip(client, harness.random_bytes(100000))
                with self.connect(server.addresses[1]) as client:
                    facts = json.loads(harness.receive_all(client))
                    self.assertEqual(facts["sni"], "localhost")
                server.log.wait_for("closed: identity sent")

    def test_what_comes_with_the_handshake_is_not_echoed_either(self):
        """Where the identity is all; OpenSSL has it before the identity has left."""
        for more in ((), ("--no-shortcuts",), ("--rate-limit", "1MiB/s")):
            with self.subTest(options=more), Echod(
                    *more, listen=f"tls://127.0.0.1:0,identify=only,cert={self.certificate}") as server:
                client = tls_client.TlsClient(server.connect(), tls_client.context_for(self.ca))
                early = client.shake_all_but_the_last()
                client.write(b"early")
                client.socket.sendall(early + client.made())
                self.assertRegex(client.receive_all(), rb"\Aechod=[^\n]*\n\Z")
                client.socket.close()
                closed = server.wait_for_closed("identity sent")
                self.assertEqual((closed.bytes_in, closed.bytes_out), (0, 0))

    def test_who_is_told_all_and_stays_is_read(self):
        """What is thrown away there is limited by no rate, and who is idle is ended."""
        options = f",cert={self.certificate}"
        with Echod("--rate-limit", "10/s", "--idle-timeout", harness.scaled_ms(500), listen=[
                f"{address},identify=only,truncate-fin"
                for address in (LOOPBACK, f"tls://127.0.0.1:0{options}")]) as server:
            plain = server.connect(0)
            over_tls = tls_client.TlsClient(server.connect(1), tls_client.context_for(self.ca))
            over_tls.shake_hands()
            for receive, send in ((plain.recv, plain.sendall), (over_tls.receive, over_tls.send)):
                self.assertEqual(receive(10000)[-1:], b"\n")
                send(bytes(1000))
            for closed in server.wait_for_closed("idle timeout", 2):
                self.assertEqual((closed.bytes_in, closed.bytes_out), (0, 0))

    def test_echoprobe(self):
        with Echod(listen=f"tls://127.0.0.1:0,identify=line,cert={self.certificate}") as server:
            for arguments in (("--churn", "-c", "20"), ("-P", "3", "-c", "60"), ("--half-close",)):
                result = harness.probe("--identify", "--ca", self.ca, *arguments, "-W", "1m",
                                       server.addresses[0])
                self.assertEqual((result.status, result.errors), (0, ""), result.text)


class DatagramTest(harness.TestCase):

    def client(self, server, index=0):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.settimeout(harness.PATIENCE_SECONDS)
        client.connect(("127.0.0.1", harness.port_of(server.addresses[index])))
        return client

    def ask(self, client, size):
        client.send(bytes(size))
        answer = client.recv(65536)
        self.assertLessEqual(len(answer), size)
        return answer.decode()

    def test_the_answer_is_the_identity(self):
        with Echod(listen=("udp://127.0.0.1:0,identify=line", "udp://0.0.0.0:0,identify=json,name=j"),
                   env=environment(POD_NAME="echo-1")) as server:
            client = self.client(server)
            facts = words(self.ask(client, 500))
            self.assertEqual(" ".join(facts), "echod host pod local client listener pid worker")
            self.assertEqual(facts["client"], name_of(client))
            self.assertEqual(facts["local"], "{}:{}".format(*client.getpeername()))
            client = self.client(server, 1)
            facts = json.loads(self.ask(client, 500))
            self.assertEqual((facts["local"], facts["listener"], facts["pod"]),
                             ("{}:{}".format(*client.getpeername()), "j", "echo-1"))

    def test_it_misbehaves_as_an_echo_would(self):
        with Echod(listen="udp://127.0.0.1:0,identify=line,duplicate=100%",
                   env=environment()) as server:
            client = self.client(server)
            answer = self.ask(client, 500)
            self.assertEqual(words(answer)["client"], name_of(client))
            self.assertEqual(client.recv(65536).decode(), answer)

    def test_it_is_cut_to_the_size_of_the_question(self):
        with Echod(listen=("udp://127.0.0.1:0,identify=line", "udp://127.0.0.1:0,identify=json"),
                   env=environment()) as server:
            line, object_ = self.client(server, 0), self.client(server, 1)
            whole = self.ask(line, 65507)
            for size in (0, 1, 2, 8, 20, 64, len(whole) - 1, len(whole)):
                answer = self.ask(line, size)
                if 8 <= size < len(whole):
                    self.assertTrue(answer.endswith("cut=yes\n"), answer)
                    self.assertTrue(whole.startswith(answer.removesuffix("cut=yes\n")), answer)
                elif size < 8:
                    self.assertEqual(answer, "\n"[:size])
            self.assertEqual(answer, whole)
            for size in (3, 15, 64):
                self.assertIsInstance(json.loads(self.ask(object_, size)), dict)

    def test_a_train(self):
        with Echod(listen="udp://127.0.0.1:0,identify=line", env=environment()) as server:
            client = self.client(server)
            whole = self.ask(client, 1000)
            try:
                client.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # linux/udp.h, UDP_SEGMENT
            except OSError as error:
                self.skipTest(f"no trains here: {error}")
            client.send(bytes(3020))
            answers = [client.recv(65536).decode() for _ in range(4)]
            self.assertEqual(answers[:3], [whole] * 3)
            self.assertTrue(0 < len(answers[3]) <= 20)

    def test_reload(self):
        path = f"{self.temporary_directory()}/echod.conf"
        address = f"udp://127.0.0.1:{harness.free_port(socket.SOCK_DGRAM)}"

        def write(options):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listen {address}{options}\n")

        write("")
        with Echod(config=path, listen=(), ready=1, env=environment()) as server:
            client = self.client(server)
            self.assertEqual(self.ask(client, 10), "\0" * 10)
            write(",identify=line")
            server.signal(1)
            server.log.wait_for("is in effect")
            self.assertEqual(words(self.ask(client, 500))["listener"], address)
            write("")
            server.signal(1)
            server.log.wait_for("is in effect", 2)
            self.assertEqual(self.ask(client, 10), "\0" * 10)


class UsageTest(harness.TestCase):

    def test_a_wrong_form(self):
        result = harness.run_echod("--listen", f"{LOOPBACK},identify=yes")
        self.assertEqual(result.returncode, harness.STATUS_USAGE)
        self.assertIn("is not one of off, line, json, only, only-json", result.stderr)

    def test_it_is_off_by_default(self):
        with Echod(listen=LOOPBACK) as server:
            harness.round_trip(server.connect())
            self.assertEqual(server.log.find("clients are told"), [])


if __name__ == "__main__":
    harness.main()
