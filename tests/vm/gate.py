# SPDX-License-Identifier: MIT
"""The way from a machine to AWS and GitHub: their real names, with TLS that ends here.

The machine's /etc/hosts has addresses for these names, and its network leads them to a gate. The
gate shows a certificate of the authority that the image trusts, and passes everything on to the
local cloud. So the programs on the machine need no setting that production does not have.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import tempfile
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud.serve import accept_each, close

CHUNK = 65536
LIFETIME = datetime.timedelta(days=1)


def make_context(authority: Path, names: list[str]) -> ssl.SSLContext:
    """Make a server's context for these names, signed by ca.pem and ca.key in `authority`."""
    issuer = x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes())
    issuer_key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
        .sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as chain:
        chain.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        chain.flush()
        context.load_cert_chain(chain.name)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Gate:
    """Ends TLS on a loopback port, and passes everything on to another port."""

    def __init__(self, context: ssl.SSLContext, target: int) -> None:
        self.target = target
        self.refused: list[str] = []
        self._context = context
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        accept_each(self._listener, self._serve, "gate")

    def stop(self) -> None:
        """End every connection."""
        for stream in [self._listener, *self._open]:
            close(stream)

    def _serve(self, plain: socket.socket) -> None:
        try:
            outside = self._context.wrap_socket(plain, server_side=True)
        except OSError as error:
            self.refused.append(str(error))
            close(plain)
            return
        try:
            inside = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            close(outside)
            return
        self._open |= {outside, inside}
        back = threading.Thread(target=self._carry, args=[inside, outside], daemon=True)
        back.start()
        self._carry(outside, inside)
        back.join()
        self._open -= {outside, inside}

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
        close(source)
        close(target)
