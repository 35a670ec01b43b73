"""Clusters made up for tests: a CA, an administrator's certificate, an API server, and kubeadm's admin.conf."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wizard.kubeconfig.access import Access

YEAR = datetime.timedelta(days=365)


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def _in_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, none)


def _in_base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _in_pem(self.key)


class Authority:
    """A CA, and what it issues; as kubeadm's, without key identifiers."""

    def __init__(self, name: str = "kubernetes") -> None:
        self.pair = self._issue(_name(name), None, ca=True)

    def issue(self, name: str, address: str = "") -> Pair:
        return self._issue(_name(name), self.pair, address=address)

    def _issue(self, name: x509.Name, by: Pair | None, address: str = "", ca: bool = False) -> Pair:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(by.certificate.subject if by else name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - YEAR).not_valid_after(now + YEAR)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if address:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        return Pair(builder.sign(by.key if by else key, hashes.SHA256()), key)

    def access(self, server: str = "https://k8s-api.home.arpa:6443") -> Access:
        admin = self.issue("kubernetes-admin")
        return Access(server, _in_base64(self.pair.pem), _in_base64(admin.pem), _in_base64(admin.key_pem))


def admin_conf(access: Access) -> str:
    """As kubeadm 1.20 writes it."""
    return f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {access.ca}
    server: {access.server}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {{}}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {access.certificate}
    client-key-data: {access.key}
"""
