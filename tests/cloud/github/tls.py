# SPDX-License-Identifier: MIT
"""Certificates for GitHub's stand-in, and the key of its App.

A certificate authority and a certificate for localhost are made once a process, so that the
programs verify a real chain: they are told to trust the authority as any program is, through
SSL_CERT_FILE.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=2)


def make_certificates(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Write `ca.pem` to `directory`; return its path and a server's context for localhost."""
    authority, chain = _chain()
    ca_file = directory / "ca.pem"
    chain_file = directory / "server.pem"
    ca_file.write_bytes(authority)
    chain_file.touch(mode=0o600)
    chain_file.write_bytes(chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(chain_file)
    context.set_alpn_protocols(["http/1.1"])
    return ca_file, context


@cache
def _chain() -> tuple[bytes, bytes]:
    """Make the authority's certificate, and the server's with its key."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Local Cloud CA", authority_key, None, authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("localhost", key, authority, authority_key)
    return (
        authority.public_bytes(serialization.Encoding.PEM),
        _private_pem(key) + certificate.public_bytes(serialization.Encoding.PEM),
    )


@cache
def make_app_key() -> tuple[str, rsa.RSAPublicKey]:
    """Make the key of a GitHub App, once: PEM as GitHub hands it out, and its public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _private_pem(key).decode(), key.public_key()


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if issuer is None:
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
        builder = builder.add_extension(_usage(sign_certificates=True), True)
    else:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        builder = builder.add_extension(_usage(sign_certificates=False), True)
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(server, False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
