"""One value changes; every other character of the file stays."""

from __future__ import annotations

import difflib
from ipaddress import ip_interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.cluster.fields import fields
from wizard.cluster.judge import order, path_of
from wizard.cluster.yamledit import change, put
from wizard.cluster.yamltext import read
from wizard.errors import WizardError

EXAMPLES = sorted(Path(__file__, "../../../examples").resolve().glob("*.yaml"))

TEXT = """\
# top
name: aki   # the name
hypervisor:
  ssh: owner@h    # how

bridge:   # the bridge
    port: enp4s0   # the NIC
    addresses:   # mine
    # first
    - 10.0.0.2/24   # one
    # second
    - 10.0.0.3/24   # two
    network: 'lan'

# about guests
guests:  # two
- name: a   # first
  ssh: u@a
  role: worker

- {name: b, ssh: u@b, role: worker}   # second
# the end
"""

GONE = "-    - 10.0.0.2/24   # one\n-    # second\n-    - 10.0.0.3/24   # two"


def changed(text: str, key: str, value: object) -> str:
    """The lines that differ, as a diff without context."""
    new = change(text, path_of(key), value, order)
    lines = difflib.unified_diff(text.splitlines(), new.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


@pytest.mark.parametrize(
    ("key", "value", "diff"),
    [
        ("name", "aki", ""),
        ("name", "other", "-name: aki   # the name\n+name: other   # the name"),
        ("hypervisor.accept", ["no-kvm"], "+  accept: [no-kvm]"),
        ("bridge.name", "br1", "+    name: br1"),
        ("bridge.dhcp", True, "+    dhcp: true"),
        ("bridge.gateway", None, ""),
        ("bridge.network", "1.36", "-    network: 'lan'\n+    network: \"1.36\""),
        ("bridge.network", None, "-    network: 'lan'"),
        (
            "bridge.addresses",
            None,
            "-    addresses:   # mine\n-    # first\n" + GONE,
        ),
        ("bridge.addresses", [ip_interface("10.0.0.3/24")], "-    - 10.0.0.2/24   # one\n-    # second"),
        ("bridge.addresses", ("10.0.0.2/24", "10.0.0.9/24", "10.0.0.3/24"), "+    - 10.0.0.9/24"),
        (
            "bridge.addresses",
            [],
            "-    addresses:   # mine\n+    addresses: []   # mine\n" + GONE,
        ),
        ("bridge.addresses[1]", "10.0.0.4/24", "-    - 10.0.0.3/24   # two\n+    - 10.0.0.4/24   # two"),
        ("bridge.addresses[2]", "10.0.0.4/24", "+    - 10.0.0.4/24"),
        ("isolated.cidr", "10.1.0.0/24", "+isolated:\n+  cidr: 10.1.0.0/24"),
        ("guests[0].name", "c", "-- name: a   # first\n+- name: c   # first"),
        ("guests[0].nic", "bridge", "+  nic: bridge"),
        ("guests[0].create.vcpus", 4, "+  create:\n+    vcpus: 4"),
        ("guests[0].name", None, "-- name: a   # first\n-  ssh: u@a\n+- ssh: u@a"),
        ("guests[0].role", None, "-  role: worker"),
        (
            "guests[1].nic",
            "bridge",
            "-- {name: b, ssh: u@b, role: worker}   # second\n"
            "+- {name: b, ssh: u@b, nic: bridge, role: worker}   # second",
        ),
        ("guests[1].role", None, "-- {name: b, ssh: u@b, role: worker}   # second\n+- {name: b, ssh: u@b}   # second"),
        (
            "guests[1].name",
            None,
            "-- {name: b, ssh: u@b, role: worker}   # second\n+- {ssh: u@b, role: worker}   # second",
        ),
        ("guests[1]", None, "-- {name: b, ssh: u@b, role: worker}   # second"),
        ("guests[2].name", "c", "+- name: c"),
        ("guests[2]", {"name": "c", "create": {"vcpus": 2}}, "+- name: c\n+  create:\n+    vcpus: 2"),
        ("hypervisor.ssh", None, "-hypervisor:\n-  ssh: owner@h    # how\n+hypervisor: {}"),
    ],
)
def test_only_what_must_change_changes(key: str, value: object, diff: str) -> None:
    assert changed(TEXT, key, value) == diff


@pytest.mark.parametrize(
    ("text", "key", "value", "result"),
    [
        ("name: a", "hypervisor.ssh", "h", "name: a\nhypervisor:\n  ssh: h"),
        ("{name: a}\n", "hypervisor.ssh", "h", "{name: a, hypervisor: {ssh: h}}\n"),
        ("hypervisor: {ssh: h}\n", "name", "a", "name: a\nhypervisor: {ssh: h}\n"),
        (
            "name: a\r\nbridge:\r\n  port: x\r\n",
            "bridge.name",
            "br0",
            "name: a\r\nbridge:\r\n  name: br0\r\n  port: x\r\n",
        ),
        ("\ufeffname: a\n", "name", "b", "\ufeffname: b\n"),
        ("name: a\nbridge:\n", "bridge.port", "x", "name: a\nbridge:\n  port: x\n"),
        ("name: a\nbridge:   # later\n", "bridge.port", "x", "name: a\nbridge:   # later\n  port: x\n"),
        ("name:\n", "name", "a", "name: a\n"),
        ("guests: []   # none\n", "guests[0].name", "a", "guests:   # none\n  - name: a\n"),
        ("guests: []\n", "guests", [{"name": "a"}, {"name": "b"}], "guests:\n  - name: a\n  - name: b\n"),
        ("guests:\n- name: a\n", "guests[0]", None, "guests: []\n"),
        ("guests:\n- name: a\n", "guests", [], "guests: []\n"),
        ("bridge: {}\n", "bridge.port", "x", "bridge:\n  port: x\n"),
        (
            "firewall:\n  ufw: {allow: [{from: any}]}\n",
            "firewall.ufw.allow[1].from",
            "10.0.0.0/8",
            "firewall:\n  ufw: {allow: [{from: any}, {from: 10.0.0.0/8}]}\n",
        ),
        ("bridge:\n  addresses:\n    [a,\n     b]\n", "bridge.addresses", ["c"], "bridge:\n  addresses:\n    [c]\n"),
        ("name: |\n  a\n  b\nguests: []\n", "name", "a", "name: a\nguests: []\n"),
        ("name: a\n# end", "guests", [], "name: a\nguests: []\n# end"),
    ],
)
def test_unusual_layouts(text: str, key: str, value: object, result: str) -> None:
    assert change(text, path_of(key), value, order) == result


def test_a_list_grows_by_one() -> None:
    with pytest.raises(IndexError):
        change("guests: []\n", ("guests", 1, "name"), "a", order)


def test_what_is_no_mapping_cannot_be_changed() -> None:
    with pytest.raises(WizardError, match="by hand"):
        change("- a\n", ("name",), "a", order)


scalars = st.one_of(
    st.text(max_size=8),
    st.booleans(),
    st.integers(-9, 99999),
    st.sampled_from(["no", "1.36", "52:54:00:11:22:33", "a: b", "#x", "- a", "2024-01-01", "~", ""]),
)
values = st.one_of(
    st.none(),
    scalars,
    st.lists(scalars, max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["name", "x y"]), scalars, min_size=1), max_size=2),
)
keys = st.sampled_from([key.replace("[]", f"[{index}]") for key in fields() for index in (0, 1)])
texts = st.sampled_from([TEXT, *(path.read_text() for path in EXAMPLES)])


@settings(max_examples=60, deadline=None)
@given(texts, st.lists(st.tuples(keys, values), min_size=1, max_size=3))
def test_any_value_at_any_key_reads_back(text: str, changes: list[tuple[str, object]]) -> None:
    for key, value in changes:
        expected = read(text).root.data  # type: ignore[union-attr]
        try:
            put(expected, path_of(key), value)
        except IndexError:
            continue
        text = change(text, path_of(key), value, order)
        assert read(text).root.data == expected  # type: ignore[union-attr]


@settings(max_examples=40, deadline=None)
@given(keys, scalars)
def test_lines_of_others_stay(key: str, value: object) -> None:
    new = change(TEXT, path_of(key.replace("[1]", "[0]")), value, order).splitlines()
    first = path_of(key)[0]
    for line in ("# top", "# about guests", "# the end", *(["name: aki   # the name"] if first != "name" else [])):
        assert line in new
