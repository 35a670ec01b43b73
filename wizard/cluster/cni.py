"""Which software connects pods: one that the wizard knows, the owner's own manifest, or none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import PlainValidator, WithJsonSchema

from wizard.cluster.mistakes import NotText, Wrong, shown
from wizard.cluster.names import URL, checked, matching, text

Known = Literal["calico", "cilium", "none"]
PART = r"[A-Za-z0-9_.~][A-Za-z0-9_+@:~.-]*"
PATH = rf"{PART}(/{PART})*"
FILE_OR_URL = rf"/?{PATH}|{URL}/?"
CURE = "Write calico, cilium, none, or {manifest: FILE}, with a file beside cluster.yaml or a URL."


@dataclass(frozen=True)
class Cni:
    """`name` is calico, cilium, none or manifest; only the last has a `manifest`: a file of the owner's, or a URL."""

    name: str
    manifest: str = ""

    def __str__(self) -> str:
        return f"{{manifest: {self.manifest}}}" if self.manifest else self.name


def file_or_url(value: object) -> str:
    """A file on the owner's machine (from where cluster.yaml is), or an http(s) URL."""
    word = matching(value, FILE_OR_URL, 1000, "a file's path or an https:// URL, without spaces")
    if not re.match("https?://", word) and ".." in word.split("/"):
        raise Wrong(f"{shown(word)} climbs out of its directory with `..`", "Write the path without `..`.")
    return word


def cni(value: object) -> Cni:
    if isinstance(value, Cni):
        return value
    if isinstance(value, dict):
        if list(value) != ["manifest"]:
            raise Wrong(f"{shown(value)} is no pod network", CURE)
        return Cni("manifest", file_or_url(value["manifest"]))
    try:
        word = text(value)
    except NotText:
        raise NotText(f"a pod network is expected, not {shown(value)}", CURE) from None
    if word not in get_args(Known):
        raise Wrong(f"{shown(word)} is no pod network that the wizard knows", CURE)
    return Cni(word)


SCHEMA = {
    "anyOf": [
        {"enum": list(get_args(Known)), "type": "string"},
        {
            "type": "object",
            "properties": {"manifest": {"type": "string", "pattern": f"^({FILE_OR_URL})$"}},
            "required": ["manifest"],
            "additionalProperties": False,
        },
    ]
}

FileOrUrl = Annotated[str, *checked(file_or_url, FILE_OR_URL)]
PodNetwork = Annotated[Cni, PlainValidator(cni), WithJsonSchema(SCHEMA)]
