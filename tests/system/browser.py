"""
browser: a Chromium without a screen, told what to do by WebDriver (W3C), and a way for it to a Unix
socket, which no browser can reach.
Knows no page.
Used by test_admin_browser.
"""

import base64
import contextlib
import json
import re
import socket
import subprocess
import threading
import urllib.request

import harness

TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"


class Browser:
    """One window. Whoever uses it has chromium and chromedriver."""

    def __init__(self, chromium, chromedriver, directory):
        self._driver = subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        try:
            self._url = f"http://127.0.0.1:{self._read_port()}"
            self._url += "/session/" + self._begin(chromium, directory)["sessionId"]
        except BaseException:
            self._driver.kill()
            raise

    def close(self):
        self._ask("DELETE", "")
        self._driver.terminate()
        self._driver.communicate()

    def _read_port(self):
        for line in self._driver.stdout:
            match = re.search(r"started successfully on port (\d+)", line)
            if match:
                return match[1]
        raise AssertionError("chromedriver did not start")

    def _begin(self, chromium, directory):
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", f"--user-data-dir={directory}"]
        return self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"}}}})

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=3 * harness.PATIENCE_SECONDS) as answer:
            return json.load(answer)["value"]

    def _tell_devtools(self, command, **parameters):
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Run the body of a function in the page; return what it returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, expression, what):
        harness.wait_until(lambda: self.run(f"return Boolean({expression})"), what)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def press(self, *keys):
        """Press keys, one after the other, where the focus is."""
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys",
                                                    "actions": presses}]})

    def resize(self, width, height):
        self._tell_devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                            deviceScaleFactor=1, mobile=width < 500)

    def prefer(self, medium="", **features):
        """Be a medium, such as print, or who prefers a color_scheme or reduced_motion."""
        self._tell_devtools("Emulation.setEmulatedMedia", media=medium, features=[
            {"name": "prefers-" + name.replace("_", "-"), "value": value}
            for name, value in features.items()])

    def save_picture(self, path, height_max=2200):
        width, height = self.run(
            "return [innerWidth, document.documentElement.scrollHeight]")
        picture = self._tell_devtools(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": width, "height": min(height, height_max), "scale": 1})
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def complaints(self):
        """What the browser itself had to say since the last time, such as of a broken policy."""
        return [line["message"] for line in self._ask("POST", "/se/log", {"type": "browser"})]


class Door:
    """A TCP port of the loopback that leads to a Unix socket, as `ssh -L` makes one, or to a port."""

    def __init__(self, target):
        self._target = target
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        """Close it, and what has come in by it."""
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _connect(self):
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        service = socket.socket(socket.AF_UNIX)
        self._open.append(service)
        service.connect(self._target)
        return service

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            service = self._connect()
            self._open += [client, service]
            back = threading.Thread(target=self._copy, args=(service, client), daemon=True)
            back.start()
            self._copy(client, service)
            back.join()
            service.close()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):  # one of them is gone
            while piece := source.recv(64 * harness.KIB):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
