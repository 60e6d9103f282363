"""
tls_client: a client of TLS whose every record a test holds in its hand.
Decides nothing by itself: what is made is sent when the test says so, in pieces if it likes.
Used by the tests of TLS.
"""

import ssl

import harness


def context_for(authority, protocols=(), certificate=None):
    """What a client trusts, offers and has."""
    context = ssl.create_default_context(cafile=authority)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def can_serve():
    """Tell whether this build has TLS."""
    return "without OpenSSL" not in harness.run_echod("--check", "--listen", "tls://[::1]:7").stderr


class TlsClient:
    """TLS over a connected socket, which stays the caller's."""

    def __init__(self, sock, context, name="localhost", session=None):
        self.socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name,
                                    session=session)

    def made(self):
        """Return the records that were made and not sent, and forget them."""
        return self._outgoing.read()

    def flush(self):
        if records := self.made():
            self.socket.sendall(records)

    def _receive(self):
        data = self.socket.recv(65536)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _wait(self, step):
        """Do a step of TLS, with what has to be sent and received for it."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self.flush()
                self._receive()
            else:
                self.flush()
                return result

    def say_hello(self):
        """Make the ClientHello, and return it unsent."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return self.made()
        raise AssertionError("there was nothing to wait for")

    def shake_hands(self):
        self._wait(self.tls.do_handshake)
        return self

    def shake_all_but_the_last(self):
        """Agree on TLS 1.3, but return the last flight unsent."""
        self.socket.sendall(self.say_hello())
        while True:
            self._receive()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            return self.made()

    def write(self, data):
        """Make records of data; `flush` sends them."""
        self.tls.write(data)

    def send(self, data):
        self.write(data)
        self.flush()

    def receive(self, size=65536):
        """Return what comes next; nothing at a close_notify; ssl.SSLEOFError at the end without."""
        try:
            return self._wait(lambda: self.tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def receive_up_to(self, size):
        """Return so many bytes, or fewer if a close_notify comes before."""
        data = b""
        while len(data) < size and (piece := self.receive(size - len(data))):
            data += piece
        return data

    def receive_exactly(self, size):
        data = self.receive_up_to(size)
        if len(data) < size:
            raise AssertionError(f"close_notify after {len(data)} of {size} bytes")
        return data

    def receive_all(self):
        """Return everything before the other end's close_notify."""
        data = b""
        while piece := self.receive():
            data += piece
        return data

    def make_close_notify(self):
        """Say that nothing more comes; `flush` sends it. What the other end still sends is read."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # its own close_notify is still to come, or data before it
