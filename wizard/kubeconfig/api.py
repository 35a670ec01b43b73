"""Does the Kubernetes API answer from this machine, to the certificate in a kubeconfig? No kubectl is needed."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.kubeconfig.access import Access

PORT = 443


@dataclass(frozen=True)
class Answer:
    """`kind` is ok, name, refused, silent, certificate, rejected, not-ready or other; `said` is what was heard."""

    kind: str
    said: str = ""

    @property
    def ok(self) -> bool:
        return self.kind == "ok"


def ask(access: Access, timeout: float = 5) -> Answer:
    """GET /readyz, with the client certificate (kubernetes.io, "Kubernetes API health endpoints")."""
    url = urlsplit(access.server)
    if url.scheme != "https" or not url.hostname:
        return Answer("other", f"{access.server} is no https address")
    try:
        connection = http.client.HTTPSConnection(
            url.hostname, url.port or PORT, timeout=timeout, context=_trust(access)
        )
        try:
            connection.request("GET", f"{url.path.rstrip('/')}/readyz", headers={"Connection": "close"})
            reply = connection.getresponse()
            return _heard(reply.status, reply.read(2000).decode("utf-8", "replace"))
        finally:
            connection.close()
    except socket.gaierror as error:
        return Answer("name", error.strerror or "the name is not known")
    except ssl.SSLCertVerificationError as error:
        return Answer("certificate", error.verify_message or "its certificate is not from this CA")
    except TimeoutError:
        return Answer("silent", f"no answer within {timeout:.0f} s")
    except ConnectionRefusedError:
        return Answer("refused", "nothing listens there")
    except (ssl.SSLError, http.client.HTTPException, ValueError) as error:
        return Answer("other", _of(error))
    except OSError as error:
        return Answer("silent", _of(error))


def _of(error: Exception) -> str:
    return (getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__)[:200]


def _trust(access: Access) -> ssl.SSLContext:
    """The CA alone, and our certificate; from memory, because ssl reads keys from files only."""
    context = ssl.create_default_context(cadata=base64.b64decode(access.ca).decode("ascii"))
    # kubeadm's certificates may lack what RFC 5280 wants and Python 3.13 asks for; Go does not ask for it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    handle = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(handle, base64.b64decode(access.certificate) + b"\n" + base64.b64decode(access.key))
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context


def _heard(status: int, body: str) -> Answer:
    if status == 200:
        return Answer("ok")
    if status in (401, 403):
        return Answer("rejected", f"it answers {status}: {_message(body)}")
    failing = " ".join(line for line in body.splitlines() if line.startswith("[-]"))
    return Answer("not-ready", f"it answers {status}: {failing or _message(body)}"[:300])


def _message(body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return body.strip()[:200]
    return str(found.get("message", "") if isinstance(found, dict) else found)[:200]
