"""
test_admin_page: the page at / of the admin endpoint, as far as no browser is needed: it has all in
itself, its policy fits it, its parts fit together.
test_admin_browser uses it.
Run alone, by `run` or by make check.
"""

import base64
import hashlib
import html.parser
import http.client
import re
import socket
import subprocess
import tempfile

import harness

SIZE_MAX = 64 * harness.KIB
VOID = {"link", "meta", "input", "br", "hr", "img", "path"}
# What makes markup or code of text.
DANGEROUS = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|"
                       r"new Function|createContextualFragment|setTimeout\(\s*[\"'`]")


class Document(html.parser.HTMLParser):
    """What stands in a document, and whether its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.ids, self.attributes = [], [], [], []
        self.contents = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] in self.contents:
            self.contents[self.open[-1]].append(data)


def ask(path, method, **headers):
    """Ask for the page at a Unix socket; return the answer and its body."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    try:
        connection.request(method, "/", headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def hash_of(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class Page(harness.TestCase):

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory(prefix="echod-") as directory:
            path = f"{directory}/admin.sock"
            with harness.Echod("--admin", f"unix://{path}"):
                cls.answer, body = ask(path, "GET")
                cls.head, cls.head_body = ask(path, "HEAD")
                cls.status_of_host = {
                    name: ask(path, "GET", Host=name)[0].status
                    for name in ("localhost:9265", "127.0.0.1", "echod", "elsewhere.example:9265")}
        cls.text = body.decode()
        cls.document = Document(cls.text)

    def test_answer(self):
        self.assertEqual(self.answer.status, 200)
        self.assertEqual(self.answer.getheader("Content-Type"), "text/html; charset=utf-8")
        self.assertEqual(self.answer.getheader("Cache-Control"), "no-store")
        self.assertEqual(self.answer.getheader("X-Content-Type-Options"), "nosniff")
        self.assertEqual(self.answer.getheader("Referrer-Policy"), "no-referrer")
        self.assertLess(len(self.text.encode()), SIZE_MAX)
        self.assertEqual((self.head.status, self.head_body), (200, b""))
        self.assertEqual(self.head.getheader("Content-Length"), str(len(self.text.encode())))

    def test_foreign_name_leads_nobody_through_a_forwarded_port(self):
        self.assertEqual(self.status_of_host, {"localhost:9265": 200, "127.0.0.1": 200, "echod": 200,
                                               "elsewhere.example:9265": 403})

    def test_policy_lets_in_this_script_and_this_style_alone(self):
        policy = self.answer.getheader("Content-Security-Policy")
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        for kind in ("script", "style"):
            (content,) = self.document.contents[kind]
            self.assertEqual(rules.pop(f"{kind}-src"), f"'sha256-{hash_of(content)}'",
                             f"what admin_page.c has to say of the {kind} stands first")
        self.assertEqual(rules, {
            "default-src": "'none'", "img-src": "data:", "connect-src": "'self'",
            "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'", "trusted-types": "'none'"})

    def test_everything_is_in_the_page(self):
        namespaces = self.text.replace("http://www.w3.org/2000/svg", "")
        self.assertNotRegex(namespaces, r"https?://|//[a-z]+\.[a-z]|@import|url\(")
        for name, value in self.document.attributes:
            self.assertNotRegex(name, r"^on|^style$|^src", f"{name}={value}")

    def test_text_stays_text(self):
        self.assertNotRegex(self.text, DANGEROUS)

    def test_elements_are_closed_and_found(self):
        self.assertEqual(self.document.faults, [])
        self.assertEqual(self.document.open, [])
        self.assertEqual(len(set(self.document.ids)), len(self.document.ids), "an id comes twice")
        references = re.findall(r'(?<![#.])\bfind\("([\w-]+)"\)', self.text)
        for name, value in self.document.attributes:
            if name in ("for", "aria-labelledby", "aria-describedby"):
                references += value.split()
            if name == "href" and value.startswith("#"):
                references.append(value[1:])
        self.assertGreater(len(references), 20)
        self.assertEqual(set(references) - set(self.document.ids), set())

    def test_script_can_be_parsed(self):
        script = self.document.contents["script"][0]
        try:
            result = subprocess.run(["node", "--input-type=module", "--check", "-"], text=True,
                                    input=script, capture_output=True, check=False)
        except FileNotFoundError:
            return  # what it says is known in test_admin_browser at the latest
        self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    harness.main()
