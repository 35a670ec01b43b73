"""What is typed ends in cluster.yaml, with its comments, or nothing changes."""

from __future__ import annotations

import pytest

from screens.draft import Draft, keys_of, value_at, why_unsaved
from wizard.cluster.file import load
from wizard.errors import WaitsForOwner

KEYS = ("bridge.port", "bridge.addresses", "bridge.gateway")


@pytest.fixture
def draft(yaml):
    return Draft(load(yaml), KEYS)


def test_what_is_typed_is_saved_and_comments_stay(draft, yaml):
    draft.type("bridge.port", "enp4s0")
    draft.type("bridge.addresses", "192.168.182.100/24, fd00::1/64")
    draft.save()
    text = yaml.read_text()
    assert text.startswith("# This is ours.\nname: aki  # short\n")
    assert "# the box in the cupboard" in text
    bridge = load(yaml).cluster.bridge
    assert bridge.port == "enp4s0"
    assert len(bridge.addresses) == 2
    assert not draft.typed


def test_nothing_typed_is_nothing_wrong(draft):
    assert not draft.wrong
    assert why_unsaved(draft) == ""


def test_what_the_section_needs_is_wrong_once_it_is_begun(draft):
    draft.type("bridge.gateway", "192.168.182.1")
    assert "bridge.port" in draft.wrong
    assert "Network card" in why_unsaved(draft)


def test_keys_are_judged_together(draft):
    draft.type("bridge.port", "enp4s0")
    draft.type("bridge.addresses", "192.168.182.100/24")
    assert not draft.wrong
    draft.type("bridge.gateway", "10.0.0.1")
    assert "bridge.gateway" in draft.wrong


def test_what_is_typed_back_is_not_typed(draft):
    draft.type("bridge.port", "enp4s0")
    draft.type("bridge.port", " ")
    assert not draft.typed


def test_a_file_that_somebody_else_changed_is_not_overwritten(draft, yaml):
    draft.type("bridge.port", "enp4s0")
    yaml.write_text(yaml.read_text() + "# theirs\n")
    with pytest.raises(WaitsForOwner):
        draft.save()
    assert draft.typed == {"bridge.port": "enp4s0"}
    draft.rebase(load(yaml))
    draft.save()
    assert "# theirs" in yaml.read_text()
    assert "enp4s0" in yaml.read_text()


def test_keys_of_an_item_are_those_of_the_target(yaml):
    data = load(yaml).data()
    fields = ("guests[].name", "guests[].ssh", "bridge.port")
    assert keys_of(fields, data, "aki0") == ("guests[0].name", "guests[0].ssh", "bridge.port")
    assert keys_of(fields, data, "") == ("guests[1].name", "guests[1].ssh", "bridge.port")
    assert keys_of(fields, {}, "") == ("guests[0].name", "guests[0].ssh", "bridge.port")


def test_value_at():
    data = {"a": {"b": [{"c": 1}]}}
    assert value_at(data, "a.b[0].c") == 1
    assert value_at(data, "a.b[1].c") is None
    assert value_at(data, "x.y") is None


def test_one_more_item_is_saved(yaml):
    file = load(yaml)
    draft = Draft(file, keys_of(("guests[].name", "guests[].role", "guests[].ssh"), file.data(), ""))
    for key, text in zip(draft.keys, ("aki1", "worker", "owner@192.168.182.131"), strict=True):
        draft.type(key, text)
    draft.save()
    assert [guest.name for guest in load(yaml).cluster.guests] == ["aki0", "aki1"]


def test_rules_are_typed_in_braces_and_end_in_the_file(yaml):
    draft = Draft(load(yaml), ("firewall.ufw.allow", "firewall.ufw.routes"))
    draft.type("firewall.ufw.allow", "{from: 10.0.0.0/8, port: 2049, comment: NFS}, {from: any, port: 53, proto: any}")
    draft.type("firewall.ufw.routes", "{in: wg0, out: br0}")
    assert not draft.wrong
    draft.save()
    ufw = load(yaml).cluster.firewall.ufw
    assert [(each.source, each.port, each.proto, each.comment) for each in ufw.allow] == [
        ("10.0.0.0/8", 2049, "tcp", "NFS"),
        ("any", 53, "any", None),
    ]
    assert [(each.in_on, each.out_on) for each in ufw.routes] == [("wg0", "br0")]
    draft.type("firewall.ufw.allow", draft.text("firewall.ufw.allow").replace(", ", ",  "))
    assert not draft.typed
    draft.type("firewall.ufw.allow", "{from: any, port: 70000}")
    assert "out of range" in draft.wrong["firewall.ufw.allow"][0].message


def test_a_manifest_is_typed_in_braces(yaml):
    draft = Draft(load(yaml), ("kubernetes.cni",))
    draft.type("kubernetes.cni", "{manifest: cni.yaml}")
    draft.save()
    assert load(yaml).cluster.kubernetes.cni.manifest == "cni.yaml"
    assert draft.text("kubernetes.cni") == "{manifest: cni.yaml}"
