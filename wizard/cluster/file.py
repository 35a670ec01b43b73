"""cluster.yaml on disk: read with all mistakes at once, changed with its comments kept, saved whole or not at all."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wizard.cluster import Cluster, json_schema
from wizard.cluster.fields import FieldInfo, field_info, fields, pattern, plain_value, show_text
from wizard.cluster.judge import Fault, judge, of_error, order, path_of
from wizard.cluster.storage import content_of, decoded, save
from wizard.cluster.yamledit import change, put
from wizard.cluster.yamltext import Document, Node, read
from wizard.cluster.yamlwrite import scalar
from wizard.errors import InputError, InputFinding, WizardError

__all__ = [
    "ClusterFile",
    "FieldInfo",
    "check_field",
    "field_info",
    "json_schema",
    "load",
    "new",
    "parse_text",
    "plain_value",
    "show_text",
]


class ClusterFile:
    """A cluster.yaml and what it says. `set` changes the text in memory, `save` the file."""

    def __init__(self, path: Path, text: str, on_disk: bytes | None) -> None:
        self.path = path
        self._text = text
        self._on_disk = on_disk
        self._data: Any = None
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """What the text says now. Raises `InputError` with all that is wrong."""
        if self._cluster is None:
            self._cluster = understood(self._text, str(self.path))
        return self._cluster

    def text(self) -> str:
        return self._text

    def data(self) -> Any:
        """What the text says now as plain dicts, lists and scalars, right or wrong."""
        if self._data is None:
            root = read(self._text).root
            self._data = root.data if root else {}
        return copy.deepcopy(self._data)

    def set(self, key: str, value: object) -> None:
        """Puts a value at a key, or with None removes it; sections and the next item of a list are made as needed.

        Nothing is judged here, so that keys which belong together can be set one after another. Raises KeyError for
        what is no key of cluster.yaml.
        """
        fields()[pattern(key)]
        self._text = change(self._text, path_of(key), value, order)
        self._data = self._cluster = None

    def save(self) -> None:
        """Writes the file atomically. Raises `InputError` for what would not load again, `WaitsForOwner` when somebody
        else changed the file meanwhile, and `WizardError` when it cannot be written."""
        self._cluster = understood(self._text, str(self.path))
        content = self._text.encode()
        try:
            save(self.path, content, self._on_disk)
        except OSError as error:
            raise WizardError(f"cannot be written: {error.strerror}", where=str(self.path)) from error
        self._on_disk = content


def load(path: Path | str) -> ClusterFile:
    """Reads and judges a file. Raises `InputError` with everything that is wrong with it."""
    raw = content_of(Path(path))
    found = ClusterFile(Path(path), decoded(raw, str(path)), raw)
    found.cluster  # noqa: B018 - raises what is wrong
    return found


NEW = """\
# yaml-language-server: $schema=cluster.schema.json
# What this home cluster should be. Only `name` and `hypervisor` must be here;
# the wizard leaves alone what is left out.
name: {name}
hypervisor:
  # As typed after `ssh`; `localhost` works.
  ssh: {ssh}
"""


def new(name: str, ssh: str, path: Path | str = "cluster.yaml") -> ClusterFile:
    """A file that is not on disk yet. Raises `InputError` when name or destination cannot be right."""
    found = ClusterFile(Path(path), NEW.format(name=scalar(name), ssh=scalar(ssh)), None)
    found.cluster  # noqa: B018 - raises what is wrong
    return found


def parse_text(key: str, text: str) -> Any:
    """What is typed for a key, as the value the models hold; None where nothing is typed for an optional one.

    Raises `InputError` when it is wrong by itself, KeyError for what is no key of cluster.yaml.
    """
    field, plain = fields()[pattern(key)], plain_value(key, text)
    if plain is None and not field.info.required:
        return None
    one = key.endswith("]")
    try:
        return (field.one if one else field.value).validate_python("" if plain is None else plain)
    except ValidationError as error:
        faults = [of_error({**each, "loc": (*path_of(key), *each["loc"])}) for each in error.errors()]
        raise InputError([finding_of(fault, None, "") for fault in faults if fault]) from None


def check_field(key: str, text: str, draft: ClusterFile, typed: Mapping[str, str] | None = None) -> list[InputFinding]:
    """What is wrong with what is typed so far for one key, alone and together with the rest of the draft.

    `typed` is what stands in the form's other fields, by key. Nothing is changed.
    """
    data = draft.data()
    for each, said in {**(typed or {}), key: text}.items():
        put(data, path_of(each), plain_value(each, said))
    judged = judge(data)
    faults = [] if isinstance(judged, Cluster) else [fault for fault in judged if involves(fault, key)]
    return [finding_of(fault, None, str(draft.path)) for fault in faults]


def involves(fault: Fault, key: str) -> bool:
    return any(each == key or each.startswith((f"{key}[", f"{key}.")) for each in (fault.key, *fault.keys))


def understood(text: str, file: str) -> Cluster:
    """The cluster that a text describes. Raises `InputError` with all findings, in the order of the file."""
    document = read(text)
    findings = [InputFinding(file, each.line, each.key, each.message, each.cure) for each in document.mistakes]
    judged = judged_root(document)
    if isinstance(judged, Cluster):
        if not findings:
            return judged
    else:
        spoken = {each.key for each in document.mistakes if each.key}
        faults = [fault for fault in judged if not any(below(fault.key, key) for key in spoken)]
        findings += [finding_of(fault, document, file) for fault in faults]
    raise InputError(sorted(dict.fromkeys(findings), key=lambda each: each.line))


def judged_root(document: Document) -> Cluster | list[Fault]:
    if document.root is None:
        return []
    if document.root.entries is None:
        return [Fault((), "keys are expected, such as `name: aki`", "See examples/aki.yaml.")]
    return judge(document.root.data)


def below(key: str, parent: str) -> bool:
    return key == parent or key.startswith((f"{parent}.", f"{parent}["))


def finding_of(fault: Fault, document: Document | None, file: str) -> InputFinding:
    line = line_of(document.root, fault.path) if document and document.root else 0
    return InputFinding(file, line, fault.key, fault.message, fault.cure)


def line_of(node: Node, path: tuple[str | int, ...]) -> int:
    """Where a key stands; for one that is missing, where what should hold it stands."""
    line = node.line
    for step in path:
        if isinstance(step, str) and node.entries is not None and step in node.entries:
            line, node = node.entries[step].line, node.entries[step].node
        elif isinstance(step, int) and node.items is not None and step < len(node.items):
            node = node.items[step]
            line = node.line
        else:
            break
    return line
