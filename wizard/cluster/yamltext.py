"""YAML 1.2 text as nodes that know their place, and what of YAML a cluster.yaml may not use, in plain words.

Read from ruamel.yaml's events: they carry the exact place of every key and value, and stay flat however deep the text
nests. Refused: duplicate keys, anchors, aliases, merge keys, tags, several documents, empty values, odd numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import YAMLError

from wizard.cluster.mistakes import printable, shown
from wizard.cluster.yamlerrors import Mistake, syntax_mistake

DEPTH = 12
"""Levels of nesting that are read; cluster.yaml itself has five."""

EMPTY = re.compile(r"|~|null|Null|NULL")
TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
ODD_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
"""The core schema of YAML 1.2.2, section 10.3.2."""


@dataclass(frozen=True)
class OddNumber:
    """A number in a notation that is easily misread: 1.36, 1e3, 017, 0x1f. No key of cluster.yaml takes it unquoted."""

    raw: str

    def __str__(self) -> str:
        return self.raw

    @property
    def meaning(self) -> int | None:
        """The whole number YAML 1.2 makes of it, if it is one (017 is 17; 1e3 is 1000)."""
        if re.fullmatch(r"0[xo].*", self.raw):
            return int(self.raw, 0)
        try:
            number = float(self.raw)
        except ValueError:
            return None
        return int(number) if number.is_integer() and abs(number) < 1e15 else None


@dataclass
class Node:
    """A value of the file: a mapping has `entries`, a list has `items`, all else is a scalar with `value`.

    `start` and `end` are offsets into the text, `line` and `column` count from 1.
    """

    start: int
    end: int
    line: int
    column: int
    flow: bool = False
    plain: bool = False
    raw: str = ""
    value: Any = None
    entries: dict[str, Entry] | None = None
    items: list[Node] | None = None

    @property
    def data(self) -> Any:
        """The value as plain dicts, lists and scalars, None for what is empty."""
        if self.entries is not None:
            return {key: entry.node.data for key, entry in self.entries.items()}
        if self.items is not None:
            return [item.data for item in self.items]
        return self.value

    @property
    def empty(self) -> bool:
        return self.entries is None and self.items is None and self.value is None


@dataclass
class Entry:
    """One `key: value` of a mapping; `start` is the key's offset, `colon` the one after its `:`."""

    start: int
    colon: int
    line: int
    node: Node


@dataclass
class Document:
    """A text that was read: `root` is None when nothing could be made of it."""

    text: str
    root: Node | None = None
    mistakes: list[Mistake] = field(default_factory=list)


def read(text: str) -> Document:
    """Never raises: what cannot be read is in `mistakes`."""
    reading = Reading(text)
    document = reading.document
    try:
        reading.whole()
    except Stop:
        pass
    except YAMLError as error:
        document.mistakes.append(syntax_mistake(error, text))
    if document.root is None and not document.mistakes:
        document.mistakes.append(Mistake(0, "", "the file is empty", "Start from examples/aki.yaml."))
    return document


class Stop(Exception):
    """Nothing after this place is worth reading."""


class Reading:
    """One pass over the events of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = Document(text)
        self.events: Iterator[Any] = iter(())

    def complain(self, line: int, key: str, message: str, cure: str) -> None:
        self.document.mistakes.append(Mistake(line, key, message, cure))

    def whole(self) -> None:
        self.events = iter(YAML(typ="safe", pure=True).parse(self.text))
        for event in self.events:
            if isinstance(event, events.DocumentStartEvent):
                self.begin(event)

    def begin(self, event: Any) -> None:
        """A document begins: the first is read, a second is refused."""
        line = event.start_mark.line + 1
        if self.document.root is not None:
            self.complain(line, "", "a second document begins here", "Keep one document, and remove the `---` between.")
            raise Stop
        if event.version is not None and tuple(event.version) != (1, 2):
            self.complain(line, "", "the file asks for another YAML than 1.2", "Remove the %YAML line.")
            raise Stop
        self.document.root = self.node(next(self.events), "", 0)

    def node(self, event: Any, key: str, depth: int) -> Node:
        if depth > DEPTH:
            self.complain(event.start_mark.line + 1, "", f"nests deeper than {DEPTH} levels", "See examples/aki.yaml.")
            raise Stop
        self.refuse_extras(event, key)
        if isinstance(event, events.MappingStartEvent):
            return self.mapping(event, key, depth)
        if isinstance(event, events.SequenceStartEvent):
            return self.sequence(event, key, depth)
        return self.scalar(event, key)

    def refuse_extras(self, event: Any, key: str) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, events.AliasEvent):
            self.complain(line, key, "an alias (`*`) stands here", "Write the value out.")
        elif event.anchor:
            self.complain(
                line, key, f"an anchor ({shown('&' + event.anchor)}) stands here", "Remove it, and write values out."
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.complain(line, key, f"the tag {shown(tag)} stands here", "Remove it; the kind of a value is known.")

    def mapping(self, event: Any, key: str, depth: int) -> Node:
        node = begun(event)
        node.entries = {}
        while not isinstance(inner := next(self.events), events.MappingEndEvent):
            self.entry(inner, node, key, depth)
        return self.ended(node, inner, [entry.node for entry in node.entries.values()])

    def entry(self, event: Any, parent: Node, key: str, depth: int) -> None:
        assert parent.entries is not None
        line, start = event.start_mark.line + 1, event.start_mark.index
        known_as = event.value if isinstance(event, events.ScalarEvent) else None
        if known_as is None:
            self.complain(line, key, "a key must be a single word", "See examples/aki.yaml.")
        name = self.node(event, key, depth + 1)
        dotted = f"{key}.{printable(str(known_as))}".removeprefix(".")
        value = self.node(next(self.events), dotted, depth + 1)
        colon = self.text.find(":", name.end) + 1
        if value.empty and not value.raw:
            value.start, value.end, value.line = colon, colon, line
        if known_as is None:
            return
        if known_as == "<<" and name.plain:
            self.complain(line, key, "a merge key (`<<`) stands here", "Write the values out.")
        elif known_as in parent.entries:
            before = parent.entries[known_as].line
            self.complain(
                line, dotted, f"{shown(known_as)} is written twice, first on line {before}", "Keep one of the two."
            )
        else:
            parent.entries[known_as] = Entry(start, colon, line, value)
            if value.empty:
                self.complain(line, dotted, "has no value", "Write a value, or remove the line.")

    def sequence(self, event: Any, key: str, depth: int) -> Node:
        node = begun(event)
        node.items = []
        while not isinstance(inner := next(self.events), events.SequenceEndEvent):
            dotted = f"{key}[{len(node.items)}]"
            item = self.node(inner, dotted, depth + 1)
            if item.empty:
                if not item.raw and not node.flow:
                    item.start = item.end = self.text.rfind("-", 0, item.start + 1) + 1
                item.line = self.text.count("\n", 0, item.start) + 1
                self.complain(item.line, dotted, "has no value", "Write a value, or remove the line.")
            node.items.append(item)
        return self.ended(node, inner, node.items)

    def ended(self, node: Node, event: Any, children: list[Node]) -> Node:
        """Closes a collection: where its text ends, not (as ruamel has it) where the next token begins."""
        node.end = event.end_mark.index if node.flow or not children else max(child.end for child in children)
        return node

    def scalar(self, event: Any, key: str) -> Node:
        node = begun(event)
        if isinstance(event, events.AliasEvent):
            node.raw = node.value = f"*{event.anchor}"
            return node
        node.raw, node.plain = event.value, bool(event.implicit[0])
        node.end = event.start_mark.index + len(self.text[event.start_mark.index : event.end_mark.index].rstrip())
        node.value = core(node.raw) if node.plain else node.raw
        return node


def begun(event: Any) -> Node:
    mark = event.start_mark
    flow = bool(getattr(event, "flow_style", False))
    return Node(mark.index, event.end_mark.index, mark.line + 1, mark.column + 1, flow)


def core(raw: str) -> Any:
    """A plain scalar's value in the core schema of YAML 1.2.2, section 10.3.2."""
    if EMPTY.fullmatch(raw):
        return None
    if raw in TRUTH:
        return TRUTH[raw]
    if INTEGER.fullmatch(raw):
        return int(raw)
    return OddNumber(raw) if ODD_INTEGER.fullmatch(raw) or DECIMAL.fullmatch(raw) else raw
