"""One cluster's access in a kubeconfig: the entries that are ours, merged in and taken out."""

from __future__ import annotations

import base64
import binascii
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.utils import CryptographyDeprecationWarning
from ruamel.yaml.comments import CommentedMap

from wizard.kubeconfig.document import CURRENT, LISTS, NotUnderstood, drop, dump, entry, parse, put, tree


class Conflict(Exception):
    """An entry of our name belongs to something else; in words, both sides."""


@dataclass(frozen=True)
class Names:
    """What the entries of the cluster `name` are called."""

    name: str

    @property
    def user(self) -> str:
        return f"{self.name}-admin"

    @property
    def keys(self) -> frozenset[str]:
        """As `tree` has them."""
        return frozenset((f"clusters/{self.name}", f"contexts/{self.name}", f"users/{self.user}"))


@dataclass(frozen=True)
class Access:
    """What the administrator of a cluster needs; the last three in base64, as a kubeconfig has them."""

    server: str
    ca: str = field(repr=False)
    certificate: str = field(repr=False)
    key: str = field(repr=False)


# ---------------------------------------------------------------- certificates


def certificate_of(data: str) -> x509.Certificate | None:
    """The first certificate of PEM in base64, None where there is none.

    A CA of an older kubeadm has the serial number 0, which RFC 5280 does not allow: `cryptography` warns of it, and is
    to refuse it one day (pyproject.toml), while Kubernetes takes it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificates(base64.b64decode(data))[0]
    except (ValueError, binascii.Error):
        return None


def ca_hash(data: str) -> str:
    """The hash of a CA as `kubeadm join` wants it after "sha256:"; empty where it cannot be read."""
    if (ca := certificate_of(data)) is None:
        return ""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(ca.public_key().public_bytes(serialization.Encoding.DER, form))
    return digest.finalize().hex()


def fingerprint(certificate: x509.Certificate | None) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex() if certificate else ""


def issued_by(data: str, ca: str) -> bool:
    issued, issuer = certificate_of(data), certificate_of(ca)
    if issued is None or issuer is None:
        return False
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


# ---------------------------------------------------------------- reading


def access_of(text: str) -> Access:
    """The access that kubeadm's admin.conf gives. Raises `NotUnderstood`."""
    document = parse(text)
    context = entry(document, "context", str(document.get(CURRENT))) or CommentedMap()
    cluster = entry(document, "cluster", str(context.get("cluster"))) or CommentedMap()
    user = entry(document, "user", str(context.get("user"))) or CommentedMap()
    found = Access(
        _text(cluster, "server"),
        _text(cluster, "certificate-authority-data"),
        _text(user, "client-certificate-data"),
        _text(user, "client-key-data"),
    )
    if not all((found.server, ca_hash(found.ca), fingerprint(certificate_of(found.certificate)), found.key)):
        raise NotUnderstood("it does not give a server, its CA, a client certificate and its key")
    return found


def _text(body: CommentedMap, key: str) -> str:
    value = body.get(key)
    return str(value) if isinstance(value, str) else ""


def obstacle(document: CommentedMap, names: Names, wanted: Access) -> str:
    """Why our entries cannot be put there, in words; empty where they can."""
    cluster = entry(document, "cluster", names.name)
    if cluster is not None:
        there = (_text(cluster, "server"), ca_hash(_text(cluster, "certificate-authority-data")))
        if there != (wanted.server, ca_hash(wanted.ca)):
            return (
                f"it has a cluster {names.name} at {there[0] or 'no address'}, CA {there[1] or 'unknown'}; "
                f"this one is at {wanted.server}, CA {ca_hash(wanted.ca)}"
            )
    return strange_context(document, names) or strange_user(document, names, wanted.ca)


def strange_context(document: CommentedMap, names: Names) -> str:
    context = entry(document, "context", names.name)
    if context is None or (context.get("cluster"), context.get("user")) == (names.name, names.user):
        return ""
    return f"its context {names.name} is of the cluster {context.get('cluster')} and the user {context.get('user')}"


def strange_user(document: CommentedMap, names: Names, ca: str) -> str:
    user = entry(document, "user", names.user)
    if user is None:
        return ""
    if not issued_by(_text(user, "client-certificate-data"), ca):
        return f"its user {names.user} has no certificate from this cluster's CA"
    others = [each["name"] for each in document.get("contexts") or () if _uses(each.get("context"), names)]
    return f"its user {names.user} is used by the context {others[0]} of another cluster" if others else ""


def _uses(context: object, names: Names) -> bool:
    if not isinstance(context, CommentedMap):
        return False
    return bool(context.get("user") == names.user and context.get("cluster") != names.name)


# ---------------------------------------------------------------- changing


def merge(text: str, name: str, wanted: Access) -> str:
    """The kubeconfig with this cluster in it; its context becomes the current one where there was none.

    Raises `NotUnderstood` and `Conflict`.
    """
    document, names = parse(text), Names(name)
    if why := obstacle(document, names, wanted):
        raise Conflict(why)
    put(document, "cluster", name, {"certificate-authority-data": wanted.ca, "server": wanted.server})
    put(document, "context", name, {"cluster": name, "user": names.user})
    given = {"client-certificate-data": wanted.certificate, "client-key-data": wanted.key}
    put(document, "user", names.user, given, gone=("client-certificate", "client-key"))
    if not document.get(CURRENT):
        document[CURRENT] = name
    result = dump(document, text)
    _prove(text, result, names)
    if access_of_entry(result, names) != wanted:
        raise NotUnderstood("it could not be written so that it reads back the same")
    return result


def access_of_entry(text: str, names: Names) -> Access | None:
    """The access that our entries give; None where one is missing."""
    document = parse(text)
    cluster, user = entry(document, "cluster", names.name), entry(document, "user", names.user)
    if cluster is None or user is None or entry(document, "context", names.name) is None:
        return None
    return Access(
        _text(cluster, "server"),
        _text(cluster, "certificate-authority-data"),
        _text(user, "client-certificate-data"),
        _text(user, "client-key-data"),
    )


def remove(text: str, name: str, server: str) -> str:
    """The kubeconfig without this cluster, if it is the one at `server`; a current-context of ours is then none.

    Raises `NotUnderstood`, and `Conflict` where the entries belong to something else by now.
    """
    document, names = parse(text), Names(name)
    cluster = entry(document, "cluster", name)
    if cluster is not None and _text(cluster, "server") != server:
        raise Conflict(f"its cluster {name} is at {_text(cluster, 'server')} by now, not at {server}")
    if why := strange_context(document, names):
        raise Conflict(why)
    ca = _text(cluster, "certificate-authority-data") if cluster is not None else ""
    for kind, of in (("cluster", name), ("context", name), ("user", names.user)):
        if kind != "user" or not strange_user(document, names, ca):
            drop(document, kind, of)
    if document.get(CURRENT) == name:
        document[CURRENT] = ""
    result = dump(document, text)
    _prove(text, result, names)
    return result


def _prove(before: str, after: str, names: Names) -> None:
    """All that is not ours is still there, and nothing else has come. Raises `NotUnderstood`."""
    was, now = tree(before), tree(after)
    ours = {*names.keys, *([CURRENT] if was.get(CURRENT, ("", ""))[1] in ("", names.name) else [])}
    ours |= {"apiVersion", "kind"} if not was else set()
    if {key: value for key, value in was.items() if key not in ours} != {
        key: value for key, value in now.items() if key not in ours
    }:
        raise NotUnderstood("it could not be written again without changing what is not ours")


def is_empty(text: str) -> bool:
    """No cluster, context or user is in it."""
    return not any(key.startswith(tuple(f"{name}/" for name in LISTS)) for key in tree(text))
