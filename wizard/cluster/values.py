"""The values of a cluster, whole or half-written, by dotted key: what cross-field rules read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, TypeVar

from pydantic import BaseModel

from wizard.cluster.addresses import Address, Interface

T = TypeVar("T")


@dataclass(frozen=True)
class Values:
    """Every key that is written or has a default: "bridge.addresses[0]" → its value, None where it is not valid.

    Sections and lists that are not empty are keys too, so that `has` answers for broken ones.
    """

    at: Mapping[str, object]

    def get(self, key: str, *kinds: type[T]) -> T | None:
        """The value, if it is there, valid and of one of these kinds."""
        value = self.at.get(key)
        return value if isinstance(value, kinds) else None

    def has(self, key: str) -> bool:
        """Whether the owner wrote it (right or wrong), or a default stands in."""
        return key in self.at

    def every(self, pattern: str, *kinds: type[T]) -> list[tuple[str, T]]:
        """All (key, value) of a pattern such as "guests[].name", in the order of the file."""
        shape = re.compile(re.escape(pattern).replace(re.escape("[]"), r"\[\d+\]"))
        return [(key, value) for key, value in self.at.items() if shape.fullmatch(key) and isinstance(value, kinds)]

    def address(self, key: str) -> Address | None:
        value = self.at.get(key)
        return value if isinstance(value, IPv4Address | IPv6Address) else None

    def addresses(self, pattern: str) -> list[tuple[str, Address]]:
        found = self.every(pattern, object)
        return [(key, value) for key, value in found if isinstance(value, IPv4Address | IPv6Address)]

    def interfaces(self, pattern: str) -> list[tuple[str, Interface]]:
        found = self.every(pattern, object)
        return [(key, value) for key, value in found if isinstance(value, IPv4Interface | IPv6Interface)]


def of_model(model: BaseModel) -> Values:
    return Values(dict(walk(model, "")))


def walk(node: Any, key: str) -> Iterator[tuple[str, object]]:
    if key and node is not None and node != ():
        yield key, node
    if isinstance(node, BaseModel):
        for name, info in type(node).model_fields.items():
            yield from walk(getattr(node, name), join(key, info.alias or name))
    elif isinstance(node, tuple | list):
        for index, item in enumerate(node):
            yield from walk(item, f"{key}[{index}]")


def join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name
