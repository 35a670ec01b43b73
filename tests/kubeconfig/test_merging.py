"""A cluster's entries put into a kubeconfig and taken out: every foreign entry survives, also a hostile one."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kubeconfig.clusters import Authority, admin_conf
from wizard.kubeconfig.access import Conflict, access_of, ca_hash, is_empty, merge, remove
from wizard.kubeconfig.document import NotUnderstood, tree

CA = Authority()
ACCESS = CA.access()

WORK = """\
# My clusters; do not lose them.
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/me/ca.crt   # in a file
    server: https://work.example:6443
  name: work
- cluster: {insecure-skip-tls-verify: true, server: "https://10.0.0.1"}
  name: 'old'
contexts:
- context:
    cluster: work
    namespace: yes
    user: me
  name: work
current-context: work
kind: Config
preferences: {}
users:
# a token, not a certificate
- name: me
  user:
    token: 0123.1e3
"""


def test_the_first_cluster() -> None:
    text = merge("", "aki", ACCESS)
    assert yaml.safe_load(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"cluster": {"certificate-authority-data": ACCESS.ca, "server": ACCESS.server}, "name": "aki"},
        ],
        "contexts": [{"context": {"cluster": "aki", "user": "aki-admin"}, "name": "aki"}],
        "users": [
            {
                "user": {"client-certificate-data": ACCESS.certificate, "client-key-data": ACCESS.key},
                "name": "aki-admin",
            }
        ],
        "current-context": "aki",
    }
    assert is_empty(remove(text, "aki", ACCESS.server))


def test_beside_others_comments_and_the_current_context_stay() -> None:
    text = merge(WORK, "aki", ACCESS)
    assert yaml.safe_load(text)["current-context"] == "work"
    for line in WORK.splitlines():
        assert line in text.splitlines()
    assert remove(text, "aki", ACCESS.server) == WORK


@pytest.mark.parametrize(
    "text",
    [
        "# nothing yet\n",
        "apiVersion: v1\nclusters: null\ncontexts: []\ncurrent-context: ''\nkind: Config\nusers: ~\n",
        "---\nkind: Config\n",
        "current-context:\n",
        '{"kind": "Config", "apiVersion": "v1", "clusters": []}',
    ],
)
def test_empty_ones(text: str) -> None:
    merged = merge(text, "aki", ACCESS)
    assert yaml.safe_load(merged)["current-context"] == "aki"
    assert all(line in merged.splitlines() for line in text.splitlines() if line.startswith("#"))
    assert is_empty(remove(merged, "aki", ACCESS.server))


def test_indented_lists_stay_indented() -> None:
    text = "clusters:\n  - name: work\n    cluster:\n      server: https://work\n"
    merged = merge(text, "aki", ACCESS)
    assert merged.startswith(text)
    assert "\n  - cluster:\n      certificate-authority-data:" in merged


def test_again_changes_nothing_and_a_new_certificate_replaces_the_old() -> None:
    merged = merge(WORK, "aki", ACCESS)
    assert merge(merged, "aki", ACCESS) == merged
    new = CA.access()
    renewed = merge(merged.replace("  name: aki\ncontexts", "  name: aki\ncontexts"), "aki", new)
    assert new.key in renewed
    assert ACCESS.key not in renewed
    assert remove(renewed, "aki", ACCESS.server) == WORK


def test_what_the_owner_added_to_our_entries_stays() -> None:
    merged = yaml.safe_load(merge("", "aki", ACCESS))
    merged["contexts"][0]["context"]["namespace"] = "home"
    merged["clusters"][0]["cluster"]["tls-server-name"] = "kubernetes"
    again = yaml.safe_load(merge(yaml.safe_dump(merged), "aki", CA.access()))
    assert again["contexts"][0]["context"]["namespace"] == "home"
    assert again["clusters"][0]["cluster"]["tls-server-name"] == "kubernetes"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(dataclasses.replace(ACCESS, server="https://elsewhere:6443"), id="another server"),
        pytest.param(Authority().access(ACCESS.server), id="another CA"),
    ],
)
def test_another_cluster_of_that_name_is_never_overwritten(other: Any) -> None:
    with pytest.raises(Conflict) as refusal:
        merge(merge(WORK, "aki", other), "aki", ACCESS)
    for each in (other, ACCESS):
        assert each.server in str(refusal.value)
        assert ca_hash(each.ca) in str(refusal.value)


def test_a_context_or_user_of_that_name_is_never_overwritten() -> None:
    context = "contexts:\n- context: {cluster: work, user: me}\n  name: aki\n"
    with pytest.raises(Conflict, match="its context aki is of the cluster work and the user me"):
        merge(context, "aki", ACCESS)
    with pytest.raises(Conflict, match="its user aki-admin has no certificate from this cluster's CA"):
        merge("users:\n- name: aki-admin\n  user: {token: abc}\n", "aki", ACCESS)
    shared = yaml.safe_load(merge("", "aki", ACCESS))
    shared["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "aki-admin"}})
    with pytest.raises(Conflict, match="is used by the context other of another cluster"):
        merge(yaml.safe_dump(shared), "aki", ACCESS)


def test_taking_out_leaves_what_became_another_cluster() -> None:
    moved = merge(WORK, "aki", dataclasses.replace(ACCESS, server="https://elsewhere:6443"))
    with pytest.raises(Conflict, match="is at https://elsewhere:6443 by now"):
        remove(moved, "aki", ACCESS.server)
    assert remove(WORK, "aki", ACCESS.server) == WORK


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- 1\n",
        "text",
        "kind: Secret\n",
        "clusters: 5\n",
        "clusters: [1]\n",
        "clusters:\n- name: a\n- name: a\n",
        "users:\n- user: {}\n",
        "clusters:\n- name: a\n  cluster: b\n",
        "a: 1\na: 2\n",
        "a: 1\n---\nb: 2\n",
        "a: &x [1]\nb: *x\n",
        "a: " + "[" * 5000,
        "\x00",
        "a: !!python/object:os.system x\n--- \n...",
    ],
)
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    with pytest.raises(NotUnderstood):
        merge(text, "aki", ACCESS)


def test_a_mistake_is_told_without_a_key() -> None:
    broken = merge("", "aki", ACCESS).replace("client-key-data: ", "client-key-data: '")
    with pytest.raises(NotUnderstood) as refusal:
        merge(broken, "aki", ACCESS)
    assert ACCESS.key[:20] not in str(refusal.value)


def test_a_ca_of_an_older_kubeadm_is_read_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    """Made by openssl, as by kubeadm 1.20, with the serial number 0; the hash is openssl's too."""
    ca = (Path(__file__).parent / "ca-serial-0.crt").read_bytes()
    assert ca_hash(base64.b64encode(ca).decode()) == (
        "4073a86e8c8de00b7d120bae446730e6706c2b4c75400e9de5f81dc46776897f"
    )
    assert not recwarn.list


def test_admin_conf_is_read() -> None:
    assert access_of(admin_conf(ACCESS)) == ACCESS
    assert ACCESS.key not in repr(ACCESS)
    with pytest.raises(NotUnderstood):
        access_of(admin_conf(ACCESS).replace("client-key-data", "client-key"))


# ---------------------------------------------------------------- any kubeconfig

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
NAMES = WORDS.filter(lambda name: name not in ("aki", "aki-admin"))
SCALARS = WORDS | st.booleans() | st.integers() | st.none() | st.sampled_from(["yes", "0x1f", "1e3", "2026-11-23", "~"])
BODIES = st.dictionaries(WORDS, SCALARS | st.dictionaries(WORDS, SCALARS, max_size=2), max_size=3)


def entries(kind: str) -> st.SearchStrategy[Any]:
    one = st.builds(lambda name, body: {"name": name, kind: body}, NAMES, BODIES)
    return st.none() | st.lists(one, max_size=3, unique_by=lambda each: str(each["name"]))


KUBECONFIGS = st.fixed_dictionaries(
    {"kind": st.just("Config"), "apiVersion": st.just("v1"), "current-context": st.none() | st.just("") | NAMES},
    optional={
        **{f"{kind}s": entries(kind) for kind in ("cluster", "context", "user")},
        "preferences": BODIES,
        "extensions": st.lists(BODIES, max_size=2),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(KUBECONFIGS, st.sampled_from([None, True, False]), st.booleans())
def test_every_foreign_entry_survives(config: dict[str, Any], flow: bool | None, unicode: bool) -> None:
    text = yaml.safe_dump(config, default_flow_style=flow, allow_unicode=unicode, width=40)
    merged = merge(text, "aki", ACCESS)
    now = yaml.safe_load(merged)
    for kind in ("clusters", "contexts", "users"):
        theirs = [each for each in now[kind] if each["name"] not in ("aki", "aki-admin")]
        assert theirs == (config.get(kind) or [])
        assert len(now[kind]) == len(theirs) + 1
    assert now["current-context"] == (config["current-context"] or "aki")
    assert {key: now[key] for key in ("preferences", "extensions") if key in config} == {
        key: config[key] for key in ("preferences", "extensions") if key in config
    }
    assert tree(remove(merged, "aki", ACCESS.server)) == tree(text)
