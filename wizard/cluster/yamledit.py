"""Changing one value in a YAML text and nothing else: comments, quotes, order and layout around it stay as they are.

A change is a replacement of characters between places that the reader gave, and is checked by reading the result again.
(Dumping a tree instead moves comments that stand before the next section, and rewrites indentation and quotes.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from wizard.cluster.yamltext import Entry, Node, read
from wizard.cluster.yamlwrite import after_dash, beside, block, flow, plain, stands_below
from wizard.errors import WizardError

Path = tuple[str | int, ...]
Order = Callable[[Path], Sequence[str]]
"""The documented order of the keys in a mapping at a path."""

Splice = tuple[int, int, str]
"""Replace the characters from one offset to another by a text."""


def change(text: str, path: Path, value: object, order: Order) -> str:
    """The text with `value` at `path`, or without it for None. Raises `WizardError` where the layout is too unusual."""
    root, wanted = read(text).root, plain(value) if value is not None else None
    if root is None or root.entries is None:
        raise too_unusual(path)
    expected = copy.deepcopy(root.data)
    put(expected, path, wanted)
    if expected == root.data:
        return text
    changed = Editor(text, order).change(root, path, wanted)
    again = read(changed)
    if again.root is None or again.root.data != expected:
        raise too_unusual(path)
    return changed


def too_unusual(path: Path) -> WizardError:
    where = ".".join(str(step) for step in path)
    return WizardError(f"`{where}` cannot be changed in a file that is laid out like this", cure="Change it by hand.")


def put(data: Any, path: Path, value: Any) -> None:
    """Puts a plain value into plain data, making what is missing on the way; None removes. A list grows by one."""
    *parents, last = path
    for step, following in zip(parents, path[1:], strict=True):
        inner = child(data, step)
        if not isinstance(inner, list if isinstance(following, int) else dict):
            if value is None:
                return
            inner = [] if isinstance(following, int) else {}
            set_child(data, step, inner)
        data = inner
    if value is not None:
        set_child(data, last, value)
    elif child(data, last, missing := object()) is not missing:
        del data[last]


def child(data: Any, step: str | int, missing: object = None) -> Any:
    if isinstance(step, int):
        return data[step] if step < len(data) else missing
    return data.get(step, missing)


def set_child(data: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int) and step == len(data):
        data.append(value)
    elif isinstance(step, int) and step > len(data):
        raise IndexError(f"item {step} of a list of {len(data)}")
    else:
        data[step] = value


class Editor:
    """One change to one text."""

    def __init__(self, text: str, order: Order) -> None:
        self.text, self.order = text, order
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def change(self, root: Node, path: Path, value: Any) -> str:
        node, found = root, 0
        while found < len(path) and (inner := node_at(node, path[found])) is not None:
            node, found = inner, found + 1
        if value is None:
            splices = self.remove(root, path)
        elif found < len(path) and fits(node, path[found]):
            splices = self.insert(node, path[: found + 1], nested(path[found + 1 :], value))
        else:
            splices = self.replace(root, path[:found], nested(path[found:], value))
        text = self.text
        for start, end, new in sorted(splices, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    # ------------------------------------------------------------ places

    def line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Where the line's own text ends, before its line break."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[at:end].endswith("\r") else end

    def next_line(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def column(self, at: int) -> int:
        return at - self.line_start(at)

    def lines(self, lines: list[str], indent: int) -> str:
        """Lines that follow a line, each with the break before it."""
        return "".join(f"{self.newline}{' ' * indent}{line}" for line in lines)

    # ------------------------------------------------------------ what is there gets another value

    def replace(self, root: Node, path: Path, value: Any) -> list[Splice]:
        parent, node = reached(root, path[:-1]), reached(root, path)
        if parent.flow:
            return [(node.start, node.end, self.spaced(node, flow(value)))]
        if node.items and not node.flow and isinstance(value, list) and value:
            return self.replace_items(node, value)
        if stands_below(value):
            return self.replace_below(parent, path[-1], node, value)
        if multiline_block(node) and isinstance(path[-1], str):
            before = parent.entries[path[-1]].colon if parent.entries else 0
            return [(before, before, " " + flow(value)), (self.line_end_before(node), self.line_end(node.end), "")]
        return [(node.start, node.end, self.spaced(node, flow(value)))]

    def replace_below(self, parent: Node, step: str | int, node: Node, value: Any) -> list[Splice]:
        """The new value stands on the lines after its key (or dash)."""
        if isinstance(step, int):
            return [(node.start, node.end, self.lines(block(value), self.column(node.start)).lstrip())]
        assert parent.entries is not None
        indent = self.column(parent.entries[step].start) + 2
        below = self.lines(block(value), indent)
        if multiline_block(node):
            return [(self.line_end_before(node), self.line_end(node.end), below)]
        gap = node.start - 1 if self.text[node.start - 1] == " " else node.start
        at = self.line_end(node.end)
        return [(gap, node.end, ""), (at, at, below)]

    def replace_items(self, node: Node, value: list[Any]) -> list[Splice]:
        """A list of one item per line: items that stay keep their lines, comments included."""
        assert node.items is not None
        starts = [self.line_start(item.start) for item in node.items]
        ends = [*starts[1:], self.next_line(node.end)]
        kept = [(item.data, self.text[start:end]) for item, start, end in zip(node.items, starts, ends, strict=True)]
        indent, result = " " * self.column(node.start), ""
        for each in value:
            old = next((index for index, (data, _) in enumerate(kept) if data == each), None)
            line = kept.pop(old)[1] if old is not None else f"{indent}- {flow(each)}{self.newline}"
            result += line if line.endswith("\n") else line + self.newline
        return [(starts[0], ends[-1], result)]

    def spaced(self, node: Node, new: str) -> str:
        """After a bare `key:` a space is needed."""
        return f" {new}" if node.start == node.end and self.text[node.start - 1 : node.start] in (":", "-") else new

    def line_end_before(self, node: Node) -> int:
        """The end of the line before the one that a block collection begins on."""
        return self.line_end(max(self.line_start(node.start) - 2, 0)) if self.line_start(node.start) else 0

    # ------------------------------------------------------------ something new

    def insert(self, parent: Node, path: Path, value: Any) -> list[Splice]:
        if parent.items is not None:
            return self.append(parent, value)
        assert parent.entries is not None
        key = str(path[-1])
        before = self.entry_before(parent.entries, key, list(self.order(path[:-1])))
        first = next(iter(parent.entries.values()))
        if parent.flow:
            pair = f"{flow(key)}: {flow(value)}"
            return [(at := before.node.end, at, f", {pair}")] if before else [(first.start, first.start, f"{pair}, ")]
        lines, indent = beside(f"{flow(key)}:", value), self.column(first.start)
        if before is None:
            text = self.lines(lines, indent).lstrip()
            return [(first.start, first.start, f"{text}{self.newline}{' ' * indent}")]
        at = self.line_end(before.node.end)
        return [(at, at, self.lines(lines, indent))]

    def entry_before(self, entries: dict[str, Entry], key: str, order: list[str]) -> Entry | None:
        """After which entry a new key goes in the documented order; None: before all."""
        earlier = order[: order.index(key)] if key in order else order
        return next((entries[each] for each in reversed(earlier) if each in entries), None)

    def append(self, parent: Node, value: Any) -> list[Splice]:
        assert parent.items
        last = parent.items[-1]
        if parent.flow:
            return [(last.end, last.end, f", {flow(value)}")]
        at = self.line_end(last.end)
        return [(at, at, self.lines(after_dash(block(value)), self.column(parent.start)))]

    # ------------------------------------------------------------ something goes

    def remove(self, root: Node, path: Path) -> list[Splice]:
        """What held only this becomes `{}` or `[]`."""
        parent = reached(root, path[:-1])
        if parent.entries is not None:
            places = [(entry.start, entry.node.end) for entry in parent.entries.values()]
            index = list(parent.entries).index(str(path[-1]))
        else:
            places = [(item.start, item.end) for item in parent.items or ()]
            index = int(path[-1])
        if len(places) == 1:
            nothing: Any = [] if parent.entries is None else {}
            return self.replace(root, path[:-1], nothing) if len(path) > 1 else [(parent.start, parent.end, "{}")]
        if parent.flow:
            return [(places[0][0], places[1][0], "") if index == 0 else (places[index - 1][1], places[index][1], "")]
        return [self.without_lines(parent, places, index)]

    def without_lines(self, parent: Node, places: list[tuple[int, int]], index: int) -> Splice:
        start, end = places[index]
        own_line = self.text[self.line_start(start) : start].strip() in ("", "-" if parent.items else "")
        if own_line:
            return (self.line_start(start), self.next_line(end), "")
        return (start, places[index + 1][0], "")


def node_at(node: Node, step: str | int) -> Node | None:
    if isinstance(step, str):
        entry = (node.entries or {}).get(step)
        return entry.node if entry else None
    items = node.items or []
    return items[step] if step < len(items) else None


def reached(node: Node, path: Path) -> Node:
    for step in path:
        inner = node_at(node, step)
        assert inner is not None
        node = inner
    return node


def fits(node: Node, step: str | int) -> bool:
    """Whether something can be added here: a mapping or list that is not empty."""
    return bool(node.entries) if isinstance(step, str) else bool(node.items)


def multiline_block(node: Node) -> bool:
    """Whether it is a collection that stands on the lines after its key."""
    return not node.flow and (node.entries is not None or node.items is not None)


def nested(path: Path, value: Any) -> Any:
    """The value with the keys above it: (("a", 0), 1) → {"a": [1]}."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [value]
    return value
