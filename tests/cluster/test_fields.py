"""Forms are made from the models, and judge what is typed as `load` judges what is written."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from wizard.cluster import Cluster
from wizard.cluster.cni import Cni
from wizard.cluster.fields import fields, partial, plain_value
from wizard.cluster.file import ClusterFile, check_field, field_info, json_schema, load, parse_text, show_text
from wizard.cluster.sections import Allow, Part, Route
from wizard.cluster.sizes import gib
from wizard.cluster.values import of_model
from wizard.errors import InputError

EXAMPLES = Path(__file__, "../../../examples").resolve()


def aki() -> ClusterFile:
    return load(EXAMPLES / "aki.yaml")


@pytest.mark.parametrize("key", list(fields()))
def test_every_field_has_words(key: str) -> None:
    info = field_info(key)
    assert info.key == key
    assert info.label
    assert info.help.endswith(".")
    assert info.help.count(".") <= 2
    for shown in info.examples or info.choices:
        parse_text(key, shown)


def test_field_info() -> None:
    role = field_info("guests[7].role")
    assert (role.kind, role.required, role.choices) == ("choice", True, ("control-plane", "worker"))
    assert (field_info("bridge.dhcp").kind, field_info("bridge.dhcp").default) == ("bool", False)
    assert (field_info("bridge.addresses").kind, field_info("bridge.addresses").default) == ("list", ())
    assert field_info("hypervisor.accept").choices[0] == "no-kvm"
    assert field_info("guests[0].create.memory").default == gib(4)
    assert field_info("kubernetes.pod_cidr").default == ip_network("10.244.0.0/16")
    assert field_info("firewall.ufw.allow[0].from").label == "From"
    assert field_info("bridge.port").default is None
    with pytest.raises(KeyError):
        field_info("bridge.colour")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("bridge.name", " br0 ", "br0"),
        ("bridge.dhcp", "yes", True),
        ("bridge.dhcp", "Off", False),
        ("bridge.gateway", "", None),
        ("bridge.gateway", "192.168.182.1", IPv4Address("192.168.182.1")),
        ("bridge.addresses", "", ()),
        ("bridge.addresses", "10.0.0.2/24,10.0.0.3/24", (IPv4Interface("10.0.0.2/24"), IPv4Interface("10.0.0.3/24"))),
        ("bridge.addresses[0]", "10.0.0.2/24", IPv4Interface("10.0.0.2/24")),
        ("hypervisor.accept", "no-kvm, no-console", ("no-kvm", "no-console")),
        ("guests[0].create.memory", "8GiB", gib(8)),
        ("guests[0].create.vcpus", "4", 4),
        ("firewall.ufw.allow[0].port", "", None),
        ("kubernetes.version", "1.36", "1.36"),
        ("kubernetes.cni", "{manifest: cni.yaml}", Cni("manifest", "cni.yaml")),
        ("firewall.ufw.allow", "", ()),
        (
            "firewall.ufw.allow",
            "{from: 10.0.0.0/8, port: 22}, {from: any, port: 53, proto: any, comment: names}",
            (
                Allow.model_validate({"from": "10.0.0.0/8", "port": 22}),
                Allow.model_validate({"from": "any", "port": 53, "proto": "any", "comment": "names"}),
            ),
        ),
        ("firewall.ufw.routes", "{in: wg0, out: br0}", (Route.model_validate({"in": "wg0", "out": "br0"}),)),
    ],
)
def test_what_is_typed_becomes_the_value_and_back(key: str, text: str, value: object) -> None:
    assert parse_text(key, text) == value
    assert parse_text(key, show_text(value)) == value


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("bridge.port", "", "is empty"),
        ("bridge.dhcp", "maybe", "true or false is expected"),
        ("bridge.addresses", "10.0.0.2/24, 10.0.0.300/24", "is no IP address"),
        ("bridge.addresses", "10.0.0.2/24,,", "is empty"),
        ("guests[0].create.vcpus", "4.5", "whole number"),
        ("guests[0].role", "workr", "not known here"),
        ("firewall.ufw.allow", "2049", "or in braces"),
        ("firewall.ufw.allow", "{from: any, port: 2049", "or in braces"),
        ("firewall.ufw.allow", "{from: any, prot: tcp}", "Did you mean `port`|Did you mean `proto`"),
        ("firewall.ufw.allow", "{from: any, port: 1}, {from: 10.0.0.0/8, port: 99999}", "out of range"),
    ],
)
def test_what_is_typed_wrong_is_refused(key: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_text(key, text)


def written(node: Any, key: str = "") -> list[tuple[str, Any]]:
    """All keys of a file with what stands there; lists also as one, but for guests, which have a form each."""
    if isinstance(node, dict):
        return [pair for name, each in node.items() for pair in written(each, f"{key}.{name}".removeprefix("."))]
    if isinstance(node, list) and fields()[field_info(key).key].section:
        whole = [] if key == "guests" else [(key, node)]
        return whole + [pair for index, each in enumerate(node) for pair in written(each, f"{key}[{index}]")]
    return [(key, node)]


@pytest.mark.parametrize(("key", "value"), written(aki().data()))
def test_what_is_right_has_no_findings(key: str, value: object) -> None:
    assert check_field(key, show_text(value), aki()) == []


CHANGES = [
    ("name", "Aki"),
    ("hypervisor.ssh", "owner@192.168.182.130"),
    ("hypervisor.accept", "no-kvm, no-kvm"),
    ("bridge.name", "kube-isolated"),
    ("bridge.port", ""),
    ("bridge.port", "br0"),
    ("bridge.addresses", "10.0.0.1/24"),
    ("bridge.addresses", ""),
    ("bridge.dhcp", "yes"),
    ("bridge.gateway", "192.168.183.1"),
    ("bridge.gateway", "192.168.182.130"),
    ("bridge.network", "kube-isolated"),
    ("isolated.cidr", "192.168.182.0/24"),
    ("isolated.cidr", "192.168.190.0/30"),
    ("kubernetes.pod_cidr", "10.96.0.0/16"),
    ("kubernetes.endpoint", "192.168.182.131"),
    ("guests[0].role", "worker"),
    ("guests[0].name", "aki1"),
    ("guests[1].isolated_address", "192.168.190.100"),
    ("guests[2].create.address", "192.168.182.131/24"),
    ("guests[2].create.memory", "1GiB"),
    ("guests[2].create.image", "https://a.org/b.img"),
    ("firewall.ufw.allow[0].port", "0"),
]


@pytest.mark.parametrize(("key", "text"), CHANGES)
def test_a_form_says_what_load_would_say(tmp_path: Path, key: str, text: str) -> None:
    typed = check_field(key, text, aki())
    path = tmp_path / "cluster.yaml"
    file = aki()
    try:
        value: Any = parse_text(key, text)
    except InputError:
        value = plain_value(key, text)
    file.set(key, value)
    path.write_text(file.text())
    with pytest.raises(InputError) as caught:
        load(path)
    assert typed
    loaded = {(each.key, each.message, each.cure) for each in caught.value.findings}
    assert {(each.key, each.message, each.cure) for each in typed} <= loaded
    assert all(each.line == 0 and each.file == str(aki().path) for each in typed)


def test_other_fields_of_the_form_count() -> None:
    file = aki()
    assert check_field("bridge.dhcp", "yes", file)
    assert check_field("bridge.dhcp", "yes", file, {"bridge.addresses": "", "bridge.gateway": ""}) == []
    assert check_field("bridge.gateway", "10.9.0.1", file, {"bridge.addresses": "10.9.0.2/24", "bridge.name": "!"})
    assert aki().text() == file.text()


def test_a_new_item_of_a_list() -> None:
    assert check_field("guests[3].name", "aki3", aki()) == []
    assert [each.key for each in check_field("guests[3].name", "aki0", aki())] == ["guests[3].name"]
    (missing,) = check_field("guests[3].role", "", aki(), {"guests[3].name": "aki3"})
    assert missing.message == "is missing"


def test_values_of_a_file_and_of_its_model_are_the_same() -> None:
    file = aki()
    read, model = partial(file.data()).at, of_model(file.cluster).at
    single = [key for key in model if not isinstance(model[key], Part | tuple)]
    assert {key: read[key] for key in single} == {key: model[key] for key in single}
    assert set(read) == set(model)


def test_a_model_that_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="both DHCP and fixed addresses"):
        Cluster.model_validate(
            {
                "name": "a",
                "hypervisor": {"ssh": "h"},
                "bridge": {"port": "a", "dhcp": True, "addresses": ["10.0.0.2/24"]},
            }
        )


def test_the_schema_beside_the_examples_is_the_models() -> None:
    assert json.loads((EXAMPLES / "cluster.schema.json").read_text()) == json_schema()


def test_the_schema_refuses_unknown_keys_and_null() -> None:
    schema = json_schema()
    assert schema["required"] == ["name", "hypervisor"]
    assert all(each["additionalProperties"] is False for each in (schema, *schema["$defs"].values()))
    assert '"null"' not in json.dumps(schema)
    assert list(schema["properties"]) == [
        "name",
        "hypervisor",
        "bridge",
        "firewall",
        "isolated",
        "kubernetes",
        "guests",
    ]
