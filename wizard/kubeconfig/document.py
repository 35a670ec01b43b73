"""A kubeconfig as YAML: read with its comments and order, written again, and proved to hold all that it held before."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml as pyyaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

LISTS = ("clusters", "contexts", "users")
CURRENT = "current-context"
ENDLESS = 1_000_000
"""Columns: certificates stay on one line."""

Tree = tuple[str, Any]


class NotUnderstood(Exception):
    """Why a text is not taken for a kubeconfig that can be changed."""


def parse(text: str) -> CommentedMap:
    """An empty text is an empty kubeconfig. Raises `NotUnderstood`."""
    try:
        if any(isinstance(event, pyyaml.AliasEvent) for event in pyyaml.parse(text, Loader=pyyaml.SafeLoader)):
            raise NotUnderstood("it uses YAML aliases (*NAME)")
        documents = list(_yaml(text).load_all(text))
    except (YAMLError, pyyaml.YAMLError) as error:
        raise NotUnderstood(f"it is not valid YAML ({_brief(error)})") from None
    except RecursionError:
        raise NotUnderstood("it is nested too deeply") from None
    if len(documents) > 1:
        raise NotUnderstood("it holds several YAML documents")
    found = documents[0] if documents and documents[0] is not None else CommentedMap(apiVersion="v1", kind="Config")
    if not isinstance(found, CommentedMap) or found.get("kind", "Config") != "Config":
        raise NotUnderstood("it is no kubeconfig (`kind: Config`)")
    for name in LISTS:
        _check_list(name, found.get(name))
    return found


def _brief(error: Exception) -> str:
    """Without the excerpt of the text, which may show a key."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or type(error).__name__
    what = what if "found" not in what and '"' not in what else "a mistake"
    return f"line {mark.line + 1}: {what.splitlines()[0]}" if mark else "a mistake"


def _check_list(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, CommentedSeq) or not all(isinstance(each, CommentedMap) for each in value):
        raise NotUnderstood(f"`{name}` is not a list of entries")
    names = [each.get("name") for each in value]
    if not all(isinstance(each, str) for each in names) or len(set(names)) != len(names):
        raise NotUnderstood(f"`{name}` has entries without a name, or two of one name")
    for each in value:
        body = each.get(name.removesuffix("s"))
        if body is not None and not isinstance(body, CommentedMap):
            raise NotUnderstood(f"`{name}` has an entry that is none")


def entry(document: Mapping[str, Any], kind: str, name: str) -> CommentedMap | None:
    """The body of the entry `name` among the `kind`s ("cluster", "context", "user"), None where there is none."""
    for each in document.get(f"{kind}s") or ():
        if each["name"] == name:
            return each.get(kind) or CommentedMap()
    return None


def put(document: CommentedMap, kind: str, name: str, values: Mapping[str, str], gone: tuple[str, ...] = ()) -> None:
    """The entry has these values, and none of those `gone`; what else is in it stays."""
    for each in document.get(f"{kind}s") or ():
        if each["name"] == name:
            if each.get(kind) is None:
                each[kind] = CommentedMap()
            for key in gone:
                each[kind].pop(key, None)
            each[kind].update(values)
            return
    if not document.get(f"{kind}s"):
        document[f"{kind}s"] = CommentedSeq()  # also in place of [] on one line
    document[f"{kind}s"].append(CommentedMap({kind: CommentedMap(values), "name": name}))


def drop(document: CommentedMap, kind: str, name: str) -> None:
    entries = document.get(f"{kind}s") or CommentedSeq()
    for place, each in enumerate(entries):
        if each["name"] == name:
            del entries[place]
            return


def dump(document: CommentedMap, text: str) -> str:
    """As text, laid out as `text` was."""
    stream = io.StringIO()
    _yaml(text).dump(document, stream)
    only_comments = not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())
    return (f"{text.rstrip()}\n" if only_comments and text.strip() else "") + stream.getvalue()


def _yaml(text: str) -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = ENDLESS
    yaml.explicit_start = bool(re.search(r"^---(\s|$)", text, re.MULTILINE))
    found = re.search(rf"^({'|'.join(LISTS)}):[^\n]*\n(?:[^\S\n]*#[^\n]*\n)*( *)- ", text, re.MULTILINE)
    offset = len(found[2]) if found else 0
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


# ---------------------------------------------------------------- what must survive


def tree(text: str) -> dict[str, Any]:
    """All that a kubeconfig says, by another reader than the one that writes: types and values, without layout.

    The entries of the three lists by name; an empty list, and an empty current-context, are as if they were absent.
    """
    try:
        node = pyyaml.compose(text, Loader=pyyaml.SafeLoader)
    except pyyaml.YAMLError as error:
        raise NotUnderstood(f"it is not valid YAML ({_brief(error)})") from None
    top = dict(_pairs(node)) if isinstance(node, pyyaml.MappingNode) else {}
    for name in LISTS:
        if not (entries := top.pop(name, None)) or not isinstance(entries[1], tuple):
            continue
        for place, each in enumerate(entries[1]):
            top[f"{name}/{_name_of(each) or place}"] = each
    if not top.get(CURRENT, ("", ""))[1]:
        top.pop(CURRENT, None)
    return top


def _pairs(node: pyyaml.MappingNode) -> Iterator[tuple[str, Tree]]:
    for key, value in node.value:
        yield str(key.value), _tree(value)


def _tree(node: pyyaml.Node) -> Tree:
    if isinstance(node, pyyaml.MappingNode):
        return node.tag, tuple(sorted(_pairs(node)))
    if isinstance(node, pyyaml.SequenceNode):
        return node.tag, tuple(_tree(each) for each in node.value)
    return node.tag, "" if node.tag.endswith(":null") else node.value


def _name_of(item: Tree) -> str:
    found = dict(item[1]).get("name") if item[0].endswith(":map") else None
    return str(found[1]) if found else ""
