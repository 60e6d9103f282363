"""
certificates: an authority for the tests of TLS, and what it signs; made by openssl(1).
Proves nothing by itself.
Used by the tests of TLS.
"""

import os
import subprocess


class Authority:
    """Signs certificates, and writes each with its key into one PEM file of a directory."""

    def __init__(self, directory, name="Test CA"):
        self._directory = directory
        self._key = f"{directory}/key.pem"
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self._key)
        self.path = f"{directory}/ca.pem"
        self._run("req", "-new", "-x509", "-key", self._key, "-subj", f"/CN={name}", "-days", "300",
                  "-out", self.path)

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def issue(self, name, alternatives="DNS:localhost,IP:127.0.0.1", days=100):
        """
        Sign a certificate for a name in the form of a subject, "/CN=localhost"; return the path of its
        file. -1 day has ended yesterday.
        """
        base = os.path.join(self._directory, f"{len(os.listdir(self._directory))}")
        with open(f"{base}.cnf", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternatives}\n")
        self._run("req", "-new", "-key", self._key, "-subj", name, "-out", f"{base}.csr")
        self._run("x509", "-req", "-in", f"{base}.csr", "-CA", self.path, "-CAkey", self._key,
                  "-set_serial", str(len(os.listdir(self._directory))), "-days", str(days),
                  "-extfile", f"{base}.cnf", "-out", f"{base}.pem")
        with open(f"{base}.pem", "a", encoding="ascii") as file, \
                open(self._key, encoding="ascii") as key:
            file.write(key.read())
        return f"{base}.pem"
