"""The server's certificate: one that is made for the life of the process, or files that may be replaced at any time.

A certificate that is made signs itself and is known to nobody: the APIService has to skip its verification, and what
protects the connection is then the network. Never writes a private key to a disk.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, final

_LIFE: Final = timedelta(days=3650)  # of the process; nobody checks it
_NAMELESS: Final = ("localhost",)
_EARLIER: Final = timedelta(hours=1)  # clocks differ
_MISSING: Final = "to make a certificate the library cryptography is needed: pip install 'fairlead[metrics-api]'"


@final
@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, and its private key, both PEM."""

    certificate: bytes
    key: bytes


def context(identity: Identity, ca: str) -> ssl.SSLContext:
    """What connections are accepted with. A caller may come without a certificate, but not with one that is wrong.

    `ca` is PEM of the authorities that may vouch for a caller, "" for none. Raises ssl.SSLError, or ValueError, when
    something is not what it should be.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    with _file(identity.certificate) as certificate, _file(identity.key) as key:
        made.load_cert_chain(certificate, key)
    made.set_alpn_protocols(["http/1.1"])
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is in the file is trusted, an authority's root or not
    if ca:
        made.load_verify_locations(cadata=ca)
    return made


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path to read it from, which is all that OpenSSL takes: of memory, so that no key is ever on a disk."""
    fd = os.memfd_create("fairlead")
    try:
        os.write(fd, content)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def made(server_names: Sequence[str]) -> Identity:
    """A certificate for these names that signs itself, and its key. Raises RuntimeError without the library."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise RuntimeError(_MISSING) from error
    names = server_names or _NAMELESS
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pkcs8, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return Identity(certificate.public_bytes(pem), key.private_bytes(pem, pkcs8, no_password))
