"""
test_admin_browser: the page of the admin endpoint in a Chromium, as people use it: with the mouse's
place, by keyboard, on a phone, in the dark, on paper.
test_admin_page has what needs no browser.
Run by `make check-page`, alone or by `run`; Chromium is too large for every build.

Environment:
    AXE        axe.min.js of axe-core: then each scene has to be without violations, too
    PICTURES   a directory, in which a picture of each scene is left
"""

import contextlib
import os
import socket
import ssl
import time

import browser
import certificates
import harness
from browser import ENTER, ESCAPE, TAB

AXE = os.environ.get("AXE")
PICTURES = os.environ.get("PICTURES")
EVIL_PATH = "<hr>"
EVIL_NAME = "<img src=x onerror=alert(1)>"
ROWS = "#clients tbody tr"


class AdminPage(harness.TestCase):

    def setUp(self):
        self.directory = self.temporary_directory()
        chromium, driver = (self.need_program(name) for name in ("chromium", "chromedriver"))
        self.browser = browser.Browser(chromium, driver, f"{self.directory}/profile")
        self.addCleanup(self.browser.close)
        self.door = None

    # What stands around it.

    @contextlib.contextmanager
    def serve(self, *arguments, listen=harness.LOOPBACK):
        with harness.Echod("--admin", f"unix://{self.directory}/admin.sock", *arguments,
                           listen=listen) as echod:
            yield echod
            self.door.close()  # the browser would keep its connections for minutes

    def open_page(self, target=None):
        """Open the page by way of the Unix socket, or of a TCP port."""
        self.door = browser.Door(target or f"{self.directory}/admin.sock")
        self.browser.open(self.door.url)
        self.wait_for_state("Running")
        self.browser.wait_for("document.getElementById('range').textContent !== '–'", "the list")

    def wait_for_state(self, words):
        self.browser.wait_for(f"document.getElementById('state').textContent === '{words}'", words)

    def wait_for_rows(self, count):
        self.browser.wait_for(f"document.querySelectorAll('{ROWS}').length === {count}",
                              f"{count} connections in the table")

    def focused(self):
        return self.browser.run(
            "const one = document.activeElement; return one.ariaLabel ?? one.textContent")

    def look(self, scene):
        """Look at a scene at both widths, in light and dark."""
        for width in (1280, 360):
            self.browser.resize(width, 800)
            for scheme in ("light", "dark"):
                self.browser.prefer(color_scheme=scheme)
                with self.subTest(f"{scene}, {width} pixels, {scheme}"):
                    self.check_picture(f"{scene}-{width}-{scheme}", width)

    def check_picture(self, name, width):
        page_width = self.browser.run("return document.documentElement.scrollWidth")
        self.assertLessEqual(page_width, width)
        if PICTURES:
            self.browser.save_picture(f"{PICTURES}/{name}.png")
        if AXE:
            with open(AXE, encoding="utf-8") as file:
                self.browser.run(file.read())
            self.assertEqual(self.browser.run(
                "return axe.run().then(({violations}) => violations.map("
                "({id, nodes}) => [id, nodes.map(({html}) => html)]))"), [])

    # What it does.

    def test_nobody_is_connected(self):
        with self.serve():
            self.open_page()
            self.assertEqual(self.browser.text("#empty"), "Nobody is connected.")
            self.look("nobody")
            self.assertEqual(self.browser.complaints(), [])

    def test_what_strangers_say_is_text(self):
        self.need_program("openssl")
        pem = certificates.Authority(self.directory).issue("/CN=localhost")
        evil = f"{self.directory}/{EVIL_PATH}"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.serve(listen=[f"tls://127.0.0.1:0,cert={pem},key={pem}", f"unix://{evil}"]) as echod:
            local = echod.adopt(socket.socket(socket.AF_UNIX))
            local.connect(evil)
            echod.adopt(context.wrap_socket(echod.connect(), server_hostname=EVIL_NAME))
            self.open_page()
            self.wait_for_rows(2)
            self.assertIn(EVIL_PATH, self.browser.text("#listeners tbody"))
            self.browser.run("[...document.querySelectorAll('td[data-column=tls]')]"
                             ".find((one) => one.textContent.startsWith('TLS'))"
                             ".closest('tr').querySelector('button').click()")
            self.assertIn(EVIL_NAME, self.browser.text("#details"))
            self.assertEqual(self.browser.run("return document.querySelectorAll('img, hr').length"), 0)
            self.look("strangers")
            self.assertEqual(self.browser.complaints(), [])

    def test_a_connection_is_ended_by_keyboard(self):
        with self.serve() as echod:
            clients = [echod.connect() for _ in range(3)]
            self.open_page()
            self.wait_for_rows(3)
            self.look("three")
            self.browser.run(f"document.querySelectorAll('{ROWS}')[1]"
                             ".querySelector('[data-column=end] button').focus()")
            name = self.focused()
            self.browser.press(ENTER)
            self.assertEqual(self.focused(), "Keep it")
            self.look("question")
            self.browser.press(ESCAPE)
            self.assertEqual(self.focused(), name)
            self.browser.press(ENTER, TAB)
            self.assertEqual(self.focused(), "End it")
            self.browser.press(ENTER)
            self.wait_for_rows(2)
            self.assertRegex(self.browser.text("#note"), r"^Connection \d+ is ending\.$")
            self.assertRegex(self.focused(), r"^End connection \d+$")
            ended = echod.wait_for_closed("closed by an operator")
            self.assertEqual(name, f"End connection {ended.id}")
            self.assertEqual(sum(self.has_ended(client) for client in clients), 1)

    @staticmethod
    def has_ended(client):
        client.setblocking(False)
        try:
            return client.recv(1) == b""
        except BlockingIOError:
            return False

    def test_many_connections(self):
        with self.serve() as echod:
            for _ in range(120):
                echod.connect()
            self.open_page()
            self.wait_for_rows(50)
            self.assertEqual(self.browser.text("#range"), "1 to 50 of 120")
            self.check_order()
            self.check_pages()
            self.check_filter()
            self.check_that_nothing_moves()
            self.look("many")

    def ids(self):
        return self.browser.run(
            f"return [...document.querySelectorAll('{ROWS}')].map(({{dataset}}) => +dataset.id)")

    def check_order(self):
        ids = self.ids()
        self.assertEqual(ids, sorted(ids))
        self.browser.run("document.querySelector('#clients th[data-column=id] button').focus()")
        self.browser.press(ENTER)
        self.assertEqual(self.browser.run(
            "return document.querySelector('#clients th[data-column=id]').ariaSort"), "descending")
        self.assertEqual(self.ids(), sorted(self.ids(), reverse=True))
        self.assertLess(max(ids), min(self.ids()))
        self.browser.press(ENTER)

    def check_pages(self):
        for text in ("51 to 100 of 120", "101 to 120 of 120"):
            self.browser.run("document.getElementById('next').click()")
            self.assertEqual(self.browser.text("#range"), text)
            self.assertEqual(self.browser.text("#announcement"), text)

    def check_filter(self):
        self.browser.run("document.querySelector('[name=peer]').focus()")
        self.browser.press(*"192.0.2.0/24", ENTER)
        self.browser.wait_for("!document.getElementById('empty').hidden", "an empty table")
        self.assertEqual(self.browser.text("#empty"), "No connection is like that.")
        self.browser.press(*"!", ENTER)
        self.browser.wait_for("document.getElementById('note').dataset.kind === 'error'",
                              "what is wrong with the filter")
        self.browser.run("document.querySelector('[type=reset]').click()")
        self.wait_for_rows(50)

    def check_that_nothing_moves(self):
        """While it refreshes: neither the page, nor a row that has the focus."""
        self.browser.run(f"document.querySelectorAll('{ROWS}')[9].querySelector('button').focus();"
                         "window.moves = []; window.seen = document.getElementById('freshness');"
                         "new PerformanceObserver((list) => moves.push(...list.getEntries()))"
                         ".observe({type: 'layout-shift'})")
        before = self.focused(), self.ids()
        for _ in range(3):
            self.browser.run("window.then = seen.textContent")
            self.browser.wait_for("seen.textContent !== then", "fresh figures")
        self.assertEqual((self.focused(), self.ids()), before)
        self.assertEqual(self.browser.run("return moves.length"), 0)

    def test_over_tcp_it_only_looks(self):
        port = harness.free_port()
        with self.serve("--admin", f"127.0.0.1:{port}") as echod:
            echod.connect()
            self.open_page(port)
            self.wait_for_rows(1)
            self.assertEqual(self.browser.run(
                "return document.querySelectorAll('[data-column=end]').length"), 0)

    def test_it_tells_of_a_drain_and_of_the_end_and_comes_back(self):
        with self.serve("--drain-timeout", "1h") as echod:
            echod.connect()
            self.open_page()
            self.look("running")
            echod.signal(harness.signal.SIGTERM)
            self.wait_for_state("Draining, lets nobody in")
            self.look("draining")
            echod.close_clients()
            echod.wait_for_exit(0)
            self.wait_for_state("No answer")
            self.assertIn("All below is as of", self.browser.text("#freshness"))
            self.look("gone")
            with self.serve():
                self.wait_for_state("Running")

    def test_it_rests_where_that_is_wanted(self):
        with self.serve():
            self.browser.prefer(reduced_motion="reduce")
            self.open_page()
            line = "return document.querySelector('#lag .line').getAttribute('d')"
            before = self.browser.run(line)
            when = self.browser.text("#freshness")
            self.browser.wait_for(
                f"document.getElementById('freshness').textContent !== '{when}'", "fresh figures")
            self.assertEqual(self.browser.run(line), before)
            self.browser.run("document.getElementById('pause').click()")
            self.assertTrue(self.browser.text("#freshness").endswith("Paused."))
            asked = "return performance.getEntriesByType('resource').length"
            count = self.browser.run(asked)
            time.sleep(3)  # in which it would ask four times
            self.assertLessEqual(self.browser.run(asked), count + 2)  # what was under way


if __name__ == "__main__":
    harness.main()
