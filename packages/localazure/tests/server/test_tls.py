"""The authority of this machine and its certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from localazure.server.tls import ensure_certificate

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def names(path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in found}


def test_the_certificate_is_signed_by_the_authority_and_names_this_machine(tmp_path):
    made = ensure_certificate(tmp_path, ["management.azure.com"], NOW)
    assert names(made.chain) == {"127.0.0.1", "::1", "localhost", "management.azure.com"}
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    x509.load_pem_x509_certificate(made.chain.read_bytes()).verify_directly_issued_by(authority)
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)


def test_keys_are_for_this_user_only(tmp_path):
    ensure_certificate(tmp_path, [], NOW)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("ca.key", "server.key")} == {0o600}


def test_files_are_kept_until_they_near_their_end(tmp_path):
    def contents() -> list[bytes]:
        return [(tmp_path / name).read_bytes() for name in ("ca.pem", "server.pem")]

    ensure_certificate(tmp_path, [], NOW)
    first = contents()
    ensure_certificate(tmp_path, [], NOW + timedelta(days=59))
    assert contents() == first
    ensure_certificate(tmp_path, [], NOW + timedelta(days=61))
    second = contents()
    assert second[0] == first[0]
    assert second[1] != first[1]
    ensure_certificate(tmp_path, [], NOW + timedelta(days=3630))
    assert contents()[0] != first[0]


@pytest.mark.parametrize("lost", ["server.key", "server.pem", "tls.json", "ca.pem"])
def test_what_was_lost_is_made_anew(tmp_path, lost):
    ensure_certificate(tmp_path, [], NOW)
    (tmp_path / lost).unlink()
    made = ensure_certificate(tmp_path, [], NOW)
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    x509.load_pem_x509_certificate(made.chain.read_bytes()).verify_directly_issued_by(authority)


def test_another_name_makes_another_certificate(tmp_path):
    ensure_certificate(tmp_path, [], NOW)
    made = ensure_certificate(tmp_path, ["box.local"], NOW)
    assert "box.local" in names(made.chain)
