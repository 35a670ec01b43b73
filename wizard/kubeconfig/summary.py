"""What a kubeconfig says about one cluster, without any secret: what the wizard looks at on the owner's own machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wizard.errors import WizardError
from wizard.kubeconfig.access import (
    Access,
    Names,
    access_of_entry,
    ca_hash,
    certificate_of,
    fingerprint,
    strange_context,
    strange_user,
)
from wizard.kubeconfig.api import Answer
from wizard.kubeconfig.document import CURRENT, NotUnderstood, entry, parse
from wizard.kubeconfig.place import default_path, read

Summary = dict[str, Any]


def summary(file: Path | None, name: str, ask: Callable[[Access], Answer] | None) -> Summary:
    """As JSON goes; `problem` says in words why the file is left alone, empty where it can be changed."""
    found: Summary = {"file": "", "there": False, "problem": "", "home": os.environ.get("HK8S_HOME", "")}
    found["sudo"] = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    try:
        path = file or default_path()
        found["file"] = str(path)
        if (text := read(path)) is None:
            return found
        found |= {"there": True, "private": not stat.S_IMODE(path.stat().st_mode) & 0o077}
        return found | _entries(text, name, ask)
    except NotUnderstood as error:
        return found | {"problem": str(error)}
    except WizardError as error:
        return found | {"problem": error.what, "cure": error.cure}


def _entries(text: str, name: str, ask: Callable[[Access], Answer] | None) -> Summary:
    document, names = parse(text), Names(name)
    found: Summary = {
        "contexts": [each["name"] for each in document.get("contexts") or ()],
        "current": str(document.get(CURRENT) or ""),
    }
    cluster, user = entry(document, "cluster", name), entry(document, "user", names.user)
    data = ""
    if cluster is not None:
        data = str(cluster.get("certificate-authority-data", ""))
        found |= {"server": str(cluster.get("server", "")), "ca": ca_hash(data)}
    if user is not None:
        certificate = certificate_of(str(user.get("client-certificate-data", "")))
        found |= {"certificate": fingerprint(certificate)}
        found |= {"until": certificate.not_valid_after_utc.isoformat()} if certificate else {}
    found["strange"] = strange_context(document, names) or strange_user(document, names, data)
    access = access_of_entry(text, names)
    if ask and access and not found["strange"]:
        heard = ask(access)
        found |= {"answer": heard.kind, "said": heard.said}
    return found
