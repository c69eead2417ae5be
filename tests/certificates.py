"""Certificates for the time of a test: an authority of its own, and what it signs for servers and clients."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_REQUEST = """[req]
distinguished_name = name
prompt = no
x509_extensions = more
[name]
CN = {name}
[more]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
_OF_AUTHORITY = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
_OF_OTHERS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
"""


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, both in PEM; whoever serves wants both in one file."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates that hold for 127.0.0.1 and for a client of a name; everything lies in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._own = self._make(name, _OF_AUTHORITY)
        self.file = self._own.certificate

    def sign(self, name: str, password: str = "") -> Certificate:
        """Make a key and sign for it."""
        signer = ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        return self._make(name, _OF_OTHERS, *signer, password=password)

    def _make(self, name: str, extensions: str, *signer: str, password: str = "") -> Certificate:
        made = Certificate(*(self._folder / f"{name}.{end}" for end in ("crt", "key", "pem")))
        request = self._folder / f"{name}.cnf"
        request.write_text(_REQUEST.format(name=name) + extensions)
        secret = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        command = ["openssl", "req", "-x509", "-config", str(request), "-days", "2", *signer, *secret]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-keyout", str(made.key), "-out", str(made.certificate)]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)  # noqa: S603 - built here
        made.both.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
        return made
