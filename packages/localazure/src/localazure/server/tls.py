"""An authority of our own, so that clients that insist on https (the SDKs do) can have it on one machine."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

#: How long the authority and a server certificate are good for, and when they are made anew.
AUTHORITY_DAYS = 3650
SERVER_DAYS = 90
RENEW_BEFORE_DAYS = 30

_ALWAYS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Certificate:
    """What a server needs.

    Attributes:
        authority: The authority's certificate; clients verify with this file.
        chain: The server's certificate.
        key: The server's key.
    """

    authority: Path
    chain: Path
    key: Path


def ensure_certificate(folder: Path, names: Iterable[str], now: datetime) -> Certificate:
    """Return a certificate for these names, made anew if there is none, it is near its end, or names differ.

    Args:
        folder: Where the files are kept; keys can be read by this user only.
        names: Host names and addresses beside 127.0.0.1, ::1 and localhost.
        now: The present moment.
    """
    certificate = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    wanted = sorted({*_ALWAYS, *(name.lower() for name in names)})
    facts = _facts(folder)
    renew_at = now + timedelta(days=RENEW_BEFORE_DAYS)
    if not certificate.authority.exists() or _before(facts.get("authority_until"), renew_at):
        _make_authority(folder, now)
        facts = {"authority_until": (now + timedelta(days=AUTHORITY_DAYS)).isoformat()}
    complete = certificate.chain.exists() and certificate.key.exists()
    if not complete or facts.get("names") != wanted or _before(facts.get("server_until"), renew_at):
        _make_server(folder, wanted, now)
        facts |= {"names": wanted, "server_until": (now + timedelta(days=SERVER_DAYS)).isoformat()}
        _write(folder / "tls.json", json.dumps(facts).encode("utf-8"))
    return certificate


def _facts(folder: Path) -> dict[str, Any]:
    """What is known of the files there are, so that they need not be parsed: that takes long to import."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((folder / "tls.json").read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) else {}
    return {}


def _before(when: object, limit: datetime) -> bool:
    return not isinstance(when, str) or datetime.fromisoformat(when) < limit


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 (mode)
        file.write(content)
    draft.replace(path)


def _make_authority(folder: Path, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("localazure authority of this machine")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "ca.key", _pem(key))
    _write(folder / "ca.pem", _pem(certificate))


def _make_server(folder: Path, names: list[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    authority_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'ca.key'} is not the key that was written there")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(_name("localazure"), authority.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write(folder / "server.key", _pem(key))
    _write(folder / "server.pem", _pem(certificate))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of virtual machines differ
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(thing: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM)
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
