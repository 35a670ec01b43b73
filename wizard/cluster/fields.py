"""Every key of cluster.yaml as a form sees it, derived from the models: there is no second list of fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from wizard.cluster import Cluster
from wizard.cluster.values import Values, join, walk
from wizard.cluster.yamltext import read
from wizard.cluster.yamlwrite import flow, plain

Kind = Literal["text", "bool", "list", "choice"]


@dataclass(frozen=True)
class FieldInfo:
    """What a form shows of one key. `default` is what leaving it out means, None where it means nothing."""

    key: str
    """As a pattern: "guests[].name"."""
    label: str
    help: str
    kind: Kind
    required: bool
    default: object
    examples: tuple[str, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One key of the models. `hint` is its type with validators, without "or None"; `item` that of a list's items."""

    info: FieldInfo
    hint: Any
    item: Any

    @property
    def many(self) -> bool:
        return self.info.kind == "list"

    @property
    def section(self) -> type[BaseModel] | None:
        """The model of what is written below the key (of each item, for a list)."""
        return self.item if isinstance(self.item, type) and issubclass(self.item, BaseModel) else None

    @property
    def whole_number(self) -> bool:
        return bare(self.item) is int

    @cached_property
    def value(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.hint)

    @cached_property
    def one(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.item)


def pattern(key: str) -> str:
    """ "guests[1].name" → "guests[].name"; "bridge.addresses[0]" → "bridge.addresses"."""
    return re.sub(r"\[\d*\]$", "", re.sub(r"\[\d+\]", "[]", key))


def field_info(key: str) -> FieldInfo:
    """Raises KeyError for what is no key of cluster.yaml."""
    return fields()[pattern(key)].info


@cache
def fields() -> Mapping[str, Field]:
    """All keys in the documented order, sections before what is in them."""
    return dict(of_section(Cluster, ""))


def of_section(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Field]]:
    for name, hint in hints(model).items():
        key = join(prefix, model.model_fields[name].alias or name)
        found = of_hint(key, model, name, hint)
        yield key, found
        if found.section:
            yield from of_section(found.section, f"{key}[]" if found.many else key)


def of_hint(key: str, model: type[BaseModel], name: str, hint: Any) -> Field:
    said, hint = model.model_fields[name], present(hint)
    many = get_origin(hint) is tuple
    item = get_args(hint)[0] if many else hint
    choices = get_args(item) if get_origin(item) is Literal else ()
    kind: Kind = "list" if many else "choice" if choices else "bool" if bare(item) is bool else "text"
    default = None if said.is_required() else said.get_default()
    if default is not None:
        default = TypeAdapter(hint).validate_python(default)
    examples = tuple(show_text(example) for example in said.examples or ())
    words = (said.title or name, said.description or "")
    return Field(FieldInfo(key, *words, kind, said.is_required(), default, examples, choices), hint, item)


@cache
def hints(model: type[BaseModel]) -> dict[str, Any]:
    found = get_type_hints(model, include_extras=True)
    return {name: found[name] for name in model.model_fields}


def present(hint: Any) -> Any:
    """The type without "or None"; what is annotated keeps its validators."""
    if get_origin(hint) in (Union, UnionType):
        real = [each for each in get_args(hint) if each is not type(None)]
        return real[0] if len(real) == 1 else hint
    return hint


def bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def show_text(value: object) -> str:
    """A value as a form shows it and as `parse_text` reads it: lists joined by commas, yes or no, empty for none.

    What has keys of its own is shown as on one line of the file: {port: 2049}.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(show_text(item) for item in value)
    return flow(plain(value)) if isinstance(value, Mapping | BaseModel) else str(value)


TYPED = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def plain_value(key: str, text: str) -> Any:
    """What is typed for a key as the file would hold it: str, bool, int, keys in braces or a list of them; None for
    nothing."""
    field, word = fields()[pattern(key)], text.strip()
    if word.startswith("{"):
        found = in_braces(word)
        return found if field.many and not key.endswith("]") else found[0]
    if field.many and not key.endswith("]"):
        return [plain_item(field, part.strip()) for part in word.split(",")] if word else []
    return plain_item(field, word) if word else None


def in_braces(text: str) -> list[Any]:
    """What is written with braces as on one line of the file, parted by commas; as it is where that is no YAML."""
    document = read(f"[{text}]")
    return document.root.data if document.root and not document.mistakes else [text]


def plain_item(field: Field, word: str) -> Any:
    if field.info.kind == "bool":
        return TYPED.get(word.lower(), word)
    return int(word) if field.whole_number and re.fullmatch(r"0|[1-9][0-9]{0,17}", word, re.ASCII) else word


def partial(data: object) -> Values:
    """The values of data that may be wrong or incomplete anywhere; defaults stand in for what is left out."""
    return Values(dict(of_mapping(Cluster, data, "", "")))


def of_mapping(model: type[BaseModel], data: object, shape: str, at: str) -> Iterator[tuple[str, object]]:
    if not isinstance(data, dict):
        return
    for name, said in model.model_fields.items():
        key = said.alias or name
        field = fields()[join(shape, key)]
        if key in data:
            yield from of_value(field, data[key], join(at, key))
        else:
            yield from walk(field.info.default, join(at, key))


def of_value(field: Field, data: object, at: str) -> Iterator[tuple[str, object]]:
    if not field.many:
        yield from of_one(field, data, at, field.info.key)
    elif not isinstance(data, list | tuple):
        yield at, None
    elif data:
        yield at, tuple(data)
        for index, item in enumerate(data):
            yield from of_one(field, item, f"{at}[{index}]", f"{field.info.key}[]")


def of_one(field: Field, data: object, at: str, shape: str) -> Iterator[tuple[str, object]]:
    if field.section:
        yield at, data
        yield from of_mapping(field.section, data, shape, at)
        return
    try:
        yield at, field.one.validate_python(data)
    except ValidationError:
        yield at, None
