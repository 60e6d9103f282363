"""
test_tls_config: the certificates of TLS listeners at the start, in --check and at a reload: what
the log tells of them, and what is wrong with them.
What is agreed with clients is in tests/unit/check_tls_context.c.
Run by `run`, by automake, or alone.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
import unittest

import failing_malloc
import harness
import tls_client
from certificates import Authority
from failing_malloc import FOR_EVER, FailingMalloc
from harness import Echod

TLS = "tls://127.0.0.1:0"
DAY = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
IN_EFFECT = r"HUP: the configuration of \S+ is in effect"
NOT_CHANGED = r"HUP: the configuration is not changed"


class Files:
    """Certificates and their keys, made once: `good`, `other`, and `late`, which ends in 20 days."""

    directory = None
    paths = {}

    @classmethod
    def make(cls):
        cls.directory = tempfile.mkdtemp(prefix="echod-")
        cls.sign("one", "good", "DNS:localhost,DNS:*.example.org", 100)
        cls.sign("one", "other", "DNS:localhost", 200)
        cls.sign("two", "late", "DNS:localhost", 20)

    @classmethod
    def sign(cls, key, name, names, days):
        """Make a certificate by an authority; what one authority signs has one key."""
        directory = f"{cls.directory}/{key}"
        if not os.path.exists(directory):
            os.mkdir(directory)
            cls.paths[key] = Authority(directory)
        cls.paths[name] = (cls.paths[key].issue(f"/CN={name}", names, days), f"{directory}/key.pem")

    @classmethod
    def owner_of(cls, certificate):
        """Return the name of a certificate of ours (DER)."""
        for name in ("good", "other", "late"):
            with open(cls.paths[name][0], encoding="ascii") as file:
                text = file.read()
            if ssl.PEM_cert_to_DER_cert(text[:text.index("-----END") + 25]) == certificate:
                return name
        return None


def connect(address):
    """Connect without a look at the certificate; return the client and whose that is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = context.wrap_socket(harness.connect(address.replace("tls://", "tcp://")),
                                 server_hostname="localhost")
    return client, Files.owner_of(client.getpeercert(binary_form=True))


def setUpModule():  # pylint: disable=invalid-name
    if not tls_client.can_serve():
        raise unittest.SkipTest("echod was built without OpenSSL")
    if shutil.which("openssl") is not None:
        Files.make()


def tearDownModule():  # pylint: disable=invalid-name
    if Files.directory is not None:
        shutil.rmtree(Files.directory, ignore_errors=True)


class TlsConfigTestCase(harness.TestCase):

    def setUp(self):
        self.need_program("openssl")
        self.directory = self.temporary_directory()
        self.path = os.path.join(self.directory, "echod.conf")

    def take(self, name, as_name=None):
        """Copy one of them to this test's directory; return the options of a listener with it."""
        target = os.path.join(self.directory, as_name or name)
        for source, end, mode in zip(Files.paths[name], ("pem", "key"), (0o644, 0o600)):
            shutil.copyfile(source, f"{target}.{end}")
            os.chmod(f"{target}.{end}", mode)
        return f"cert={target}.pem,key={target}.key"

    def write(self, *lines):
        with open(self.path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def hang_up(self, server, pattern):
        """Reload; return what was logged."""
        since = len(server.log.lines)
        server.signal(signal.SIGHUP)
        server.log.wait_for(pattern, since=since)
        return "\n".join(server.log.lines[since:])


class StartTest(TlsConfigTestCase):

    def test_the_log_tells_whose_certificates_there_are_and_when_they_end(self):
        late = self.take("late")
        os.chmod(f"{self.directory}/late.key", 0o644)
        with Echod(listen=(f"{TLS},{self.take('good')},name=web",
                           f"tls+unix://{self.directory}/socket,{late}")) as server:
            web, unix = (re.escape(address) for address in server.addresses)
            server.log.wait_for("certificate of .*", 2)
            server.log.wait_for("key of .*")  # the last of what follows "listening"
            text = "\n".join(server.log.lines)
            self.assertRegex(server.addresses[0], r"^tls://127\.0\.0\.1:[1-9]")
            self.assertRegex(text, rf"info: certificate of {web}: {self.directory}/good\.pem: "
                                   rf"CN=good for localhost, \*\.example\.org, ends {DAY}, in (99|100) ")
            self.assertRegex(text, rf"warning: certificate of {unix}: {self.directory}/late\.pem: "
                                   rf"CN=late for localhost, ends {DAY}, in (19|20) days; renew it\n")
            self.assertRegex(text, rf"warning: key of {unix}: others than the owner of "
                                   rf"{self.directory}/late\.key .*; let them not, by chmod o= ")
            self.assertNotRegex(text, f"key of {web}")

    def test_json_has_the_facts(self):
        with Echod("--log-format", "json", listen=f"{TLS},{self.take('good')},name=web") as server:
            line = server.log.wait_for("certificate of .*").string
            facts = json.loads(line)
            self.assertEqual((facts["level"], facts["file"], facts["subject"], facts["names"]),
                             ("info", f"{self.directory}/good.pem", "CN=good",
                              "localhost, *.example.org"))
            self.assertEqual((facts["address"], facts["listener"]), (server.addresses[0], "web"))
            self.assertIn(facts["days_left"], (99, 100))
            self.assertRegex(facts["ends"], f"^{DAY}$")

    def test_settings_are_for_all_listeners(self):
        """A listener with a certificate of its own does not have the key of the settings."""
        good, other = self.take("good"), self.take("other")
        os.chmod(f"{self.directory}/other.pem", 0o600)  # it has its key, too
        self.write(*(option.replace("=", " ") for option in good.split(",")), "tls-min 1.3",
                   f"listen {TLS}", f"listen {TLS},cert={self.directory}/other.pem",
                   f"listen {TLS},{other}", f"listen {harness.LOOPBACK}")
        with Echod(config=self.path, listen=None, ready=4) as server:
            found = server.log.wait_for("certificate of .*: CN=([a-z]+) ", 3)
            self.assertEqual([match.group(1) for match in found], ["good", "other", "other"])

    def test_what_cannot_be_used_is_an_error(self):
        good = self.take("good")
        self.take("late")
        result = harness.run_echod(
            "--no-config", "--listen", f"{TLS},{good}",
            "--listen", f"{TLS},cert={self.directory}/good.pem,key={self.directory}/late.key")
        self.assert_refused(result, f"--listen {TLS}: key {self.directory}/late.key: it does not "
                                    f"fit the certificate in {self.directory}/good.pem: ")

    def test_datagrams_cannot_be_had(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed:
            passed.bind(("127.0.0.1", 0))
            number = passed.fileno()
            result = harness.run_echod("--no-config", "--listen",
                                       f"tls+fd://{number},{self.take('good')}",
                                       pass_fds=(number,))
        self.assert_refused(result, f"tls+fd://{number} ", "TLS goes with stream sockets")


class CheckTest(TlsConfigTestCase):

    def check(self, *lines):
        self.write(*lines)
        return harness.run_echod("--check", "--config", self.path)

    def test_what_is_right_is_printed_with_comments_and_warnings(self):
        result = self.check(f"listen {TLS},{self.take('good')}", f"listen {TLS},{self.take('late')}")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, rf"\n# certificate of {TLS}: .*/good.pem: CN=good .* days\n")
        self.assertRegex(result.stderr, rf"^echod: warning: certificate of {TLS}: .*/late.pem: .*\n$")
        self.write(result.stdout)
        again = harness.run_echod("--check", "--config", self.path)
        self.assertEqual(*(re.sub("[0-9]+ days", "", one.stderr) for one in (again, result)))

    def test_all_that_is_wrong_is_told(self):
        good = self.take("good")
        result = self.check(f"listen {TLS}", f"listen {harness.LOOPBACK},cert=a",
                            f"listen {TLS},cert=/nowhere", f"listen {TLS},{good},ciphers=FOO",
                            f"listen tls://bad..name:7,{good},client-ca={self.path}")
        self.assertEqual((result.returncode, result.stdout), (harness.STATUS_CONFIG, ""))
        expected = [f"{self.path}:2: listen: .*\"cert\" is no option of tcp://",
                    f"{self.path}:1: listen: {TLS}: it has no certificate; add cert=FILE,key=FILE",
                    f"{self.path}:3: listen {TLS}: cert /nowhere: No such file or directory; ",
                    f"{self.path}:4: listen {TLS}: ciphers: \"FOO\" is no cipher: ",
                    f"{self.path}:5: listen tls://bad..name:7: .*; choose a name",
                    f"{self.path}:5: listen tls://bad..name:7: client-ca {self.path}: it holds no "
                    "certificate in PEM form: no start line; "]
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), len(expected), result.stderr)
        for line, pattern in zip(lines, expected):
            self.assertRegex(line, pattern)

    def test_a_line_says_that_it_is_wrong(self):
        result = harness.run_echod("--check", "--listen", f"{TLS},cert=/nowhere")
        self.assertEqual(result.returncode, harness.STATUS_USAGE)
        self.assertIn(f"--listen {TLS}: cert /nowhere: No such file", result.stderr)

    def test_no_file_is_blamed_for_a_lack_of_memory(self):
        """Of the 20,000 allocations some fail, each by itself and with all that follow."""
        failing_malloc.need(self)
        malloc = FailingMalloc(f"{self.temporary_directory()}/plan")
        arguments = ("--check", "--listen", f"{TLS},{self.take('good')}")
        malloc.fail(FOR_EVER)
        self.assertEqual(harness.run_echod(*arguments, prefix=malloc.prefix).returncode, 0)
        total = malloc.count
        for count in (1, FOR_EVER):
            for number in range(62, total, total // 8):
                malloc.fail(number, count)
                result = harness.run_echod(*arguments, prefix=malloc.prefix)
                self.assertIn(result.returncode, (0, harness.STATUS_SYSTEM), result.stderr)


class ReloadTest(TlsConfigTestCase):

    def expect_owner(self, server, expected):
        client, owner = connect(server.addresses[0])
        with client:
            harness.round_trip(client)
        self.assertEqual(owner, expected)

    def test_clients_come_and_go_while_files_change(self):
        """Each has one of the certificates, and an echo."""
        def come_and_go():
            while not is_over:
                client, owner = connect(server.addresses[0])
                with client:
                    harness.round_trip(client)
                    owners.add(owner)

        owners, is_over = set(), []
        self.write(f"listen {TLS},{self.take('good')}")
        with Echod("--workers", "2", config=self.path, listen=None) as server:
            clients = [harness.Background(come_and_go) for _ in range(2)]
            for name in ("other", "late", "good") * 2:
                seen = len(server.log.find("connection .* closed"))
                self.take(name, "good")
                self.hang_up(server, IN_EFFECT)
                server.log.wait_for("connection .* closed", count=seen + 4)
            is_over.append(True)
            for client in clients:
                client.result()
        self.assertEqual(owners, {"good", "other", "late"})

    def test_files_are_read_anew_where_no_setting_changed(self):
        self.write(f"listen {TLS},{self.take('good')}")
        with Echod(config=self.path, listen=None, may_log="cert|key") as server:
            old, owner = connect(server.addresses[0])
            self.assertEqual(owner, "good")
            server.adopt(old)
            self.take("other", "good")
            text = self.hang_up(server, IN_EFFECT)
            self.expect_owner(server, "other")
            self.assertRegex(text, r"info: certificate of .*/good.pem: CN=other for .* in (199|200) days")
            self.take("late", "good")
            shutil.copyfile(Files.paths["good"][1], f"{self.directory}/good.key")
            text = self.hang_up(server, NOT_CHANGED)
            self.assertRegex(text, r"error: .*: key .*/good.key: it does not fit ")
            self.assertNotIn("CN=", text)
            self.expect_owner(server, "other")
            os.unlink(f"{self.directory}/good.pem")
            text = self.hang_up(server, NOT_CHANGED)
            self.assertRegex(text, rf"error: {self.path}:1: listen {TLS}: cert .*/good.pem: No such")
            self.take("good")
            text = self.hang_up(server, IN_EFFECT)
            self.assertRegex(text, r"certificate of .*: CN=good ")
            self.expect_owner(server, "good")
            harness.round_trip(old)

    def test_listeners_come_and_go_with_their_certificates(self):
        first, second = (f"{harness.free_port()}" for _ in range(2))
        good, other = self.take("good"), self.take("other")
        self.write(f"listen tls://127.0.0.1:{first},{good}")
        with Echod("--workers", "2", config=self.path, listen=None, may_log="reload twice") as server:
            self.write(f"listen tls://127.0.0.1:{first},{other}",
                       f"listen tls://127.0.0.1:{second},{good}")
            text = self.hang_up(server, IN_EFFECT)
            self.assertRegex(text, rf"certificate of tls://127.0.0.1:{first}: .*CN=other")
            self.assertRegex(text, rf"certificate of tls://127.0.0.1:{second}: .*CN=good")
            self.write(f"listen 127.0.0.1:{first}")
            text = self.hang_up(server, NOT_CHANGED)
            self.assertRegex(text, f"echod itself listens on tls://127.0.0.1:{first}: .*reload twice")
            self.write(f"listen tls://127.0.0.1:{second},{good}")
            text = self.hang_up(server, IN_EFFECT)
            self.assertIn(f"no longer listening on tls://127.0.0.1:{first}", text)

    def test_the_user_who_may_not_read_a_file_is_named(self):
        """It was read at the start, by root."""
        self.need_other_users()
        self.write(f"listen {TLS},{self.take('good')}")
        os.chmod(self.directory, 0o755)
        with Echod("--user", "nobody", config=self.path, listen=None, may_log="key ") as server:
            text = self.hang_up(server, NOT_CHANGED)
            self.assertRegex(text, r"key .*/good.key: Permission denied; let user \d+ \(nobody\), "
                                   r"who this process runs as, read it")
            os.chown(f"{self.directory}/good.key", -1, 0)
            shutil.chown(f"{self.directory}/good.key", user="nobody")
            self.hang_up(server, IN_EFFECT)


if __name__ == "__main__":
    harness.main()
