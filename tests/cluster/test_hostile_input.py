"""Text that a shell, systemd, libvirt or a terminal could take for more than a value: never accepted, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wizard.cluster.fields import Field, fields
from wizard.cluster.file import ClusterFile, check_field, load, new, parse_text
from wizard.cluster.judge import judge, path_of
from wizard.cluster.yamltext import read
from wizard.errors import InputError, InputFinding

FREE = {key for key, field in fields().items() if not field.section}
TEXTS = sorted(key for key in FREE if fields()[key].info.kind in ("text", "list", "choice"))
BAD = [
    "\n",
    "\r",
    "\0",
    "'",
    '"',
    "`",
    "$",
    ";",
    "\\",
    "|",
    "&",
    "<",
    "\u202e",
    "\u200b",
    "\u2066",
    "\ufeff",
    "\x1b",
    "\u2028",
]
SAMPLES = {
    **{key: fields()[key].info.examples[0] for key in TEXTS if fields()[key].info.examples},
    **{key: fields()[key].info.choices[0] for key in TEXTS if fields()[key].info.choices},
    "firewall.ufw.ssh_from": "any",
    "guests[].create.vcpus": "4",
}


def accepts(field: Field, value: object) -> bool:
    try:
        field.one.validate_python(value)
    except ValidationError:
        return False
    return True


def refusal(do: Callable[[], object]) -> tuple[InputFinding, ...]:
    try:
        do()
    except InputError as error:
        return error.findings
    return ()


@pytest.mark.parametrize("key", TEXTS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_field_takes_a_hostile_character(key: str, data: st.DataObject) -> None:
    sample = SAMPLES[key]
    at = data.draw(st.integers(0, len(sample)))
    bad = data.draw(st.sampled_from(BAD))
    assert not accepts(fields()[key], sample[:at] + bad + sample[at:])


@pytest.mark.parametrize("key", TEXTS)
def test_no_field_takes_an_option_a_way_out_or_a_template(key: str) -> None:
    harmless = ["..", "ａ"] if key.endswith("comment") else []
    texts = ["-rf", "--help", "../etc/passwd", "a/../../b", "..", "{{ 7*7 }}", "%n", " a", "a ", "a\tb", "ａ"]
    assert [text for text in texts if accepts(fields()[key], text)] == harmless


@pytest.mark.parametrize("key", sorted(FREE))
@settings(max_examples=10, deadline=None)
@given(
    value=st.one_of(
        st.text(max_size=20),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.lists(st.text(max_size=3), max_size=2),
        st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    )
)
def test_any_value_is_taken_or_refused_in_words(key: str, value: Any) -> None:
    data: Any = {"name": "a", "hypervisor": {"ssh": "h"}}
    inner = data
    *parents, last = path_of(key.replace("[]", "[0]"))
    for step, following in zip(parents, [*parents, last][1:], strict=True):
        empty: Any = [{}] if isinstance(following, int) else {}
        inner = inner.setdefault(step, empty) if isinstance(step, str) else inner[step]
    inner[last] = value
    judged = judge(data)
    for fault in judged if isinstance(judged, list) else []:
        assert f"{fault.key}{fault.message}{fault.cure}".isprintable()
        assert fault.message


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("abr0:-[]{},#&*!|>'\"%@`?\n\t \\1.~\u202e\x00\ud800")), max_size=60))
@example("? ? ?")
@example("a: !!binary |\n x\n")
@example('"\\ud800": 1')
def test_any_text_reads_or_is_refused(text: str) -> None:
    document = read(text)
    assert document.root is not None or document.mistakes


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=60))
def test_any_file_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    for found in refusal(lambda: load(path)):
        assert str(found).isprintable()


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_new_takes_or_refuses_anything(name: str, ssh: str) -> None:
    try:
        made = new(name, ssh)
    except InputError:
        return
    assert (made.cluster.name, made.cluster.hypervisor.ssh) == (name, ssh)


DRAFT = ClusterFile(Path("cluster.yaml"), Path(__file__, "../../../examples/aki.yaml").resolve().read_text(), None)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FREE)), st.text(max_size=20))
def test_anything_can_be_typed(key: str, text: str) -> None:
    key = key.replace("[]", "[0]")
    for found in check_field(key, text, DRAFT):
        assert str(found).isprintable()
    for found in refusal(lambda: parse_text(key, text)):
        assert str(found).isprintable()
