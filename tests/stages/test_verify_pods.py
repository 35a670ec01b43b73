"""verify.pods: from what pods found to verdicts that name who does not reach whom, and what helps."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_join_cni import data
from wizard.cluster import Cluster
from wizard.facts.kube_nodes import KUBE_NODES, KubeNodes
from wizard.facts.pods_tried import IMAGE, KINDS, NAMESPACE, PODS_TRIED, PodsTried, parse_tried
from wizard.model import Blocked, Check, Context, FactError, FactUnknown, Known, Nothing, Output, Plan, Unseen, Verdict
from wizard.stages.verify_pods import STEP

FROM_EACH = {"pod": "10.244.0.5", "mtu": "1450", "logs": "", "exec": "", "dns": "", "outside": "", "service": ""}
PAIRS = (("aki0", "aki1"), ("aki1", "aki0"))


def lines(**changed: str) -> str:
    """Two nodes on which all is well, but for `aki0_dns="no server"` or `aki0_aki1_http="refused"`."""
    rows = [(kind, node, "-", words) for node in ("aki0", "aki1") for kind, words in FROM_EACH.items()]
    rows += [(kind, one, other, "") for one, other in PAIRS for kind in ("http", "large", "bulk")]
    printed = []
    for kind, node, other, words in rows:
        key = "_".join(filter(None, (node, other.strip("-"), kind)))
        result = ("no", changed[key]) if key in changed else ("ok", words)
        if changed.get(key) != "left out":
            printed.append("\t".join((kind, node, other, *result)))
    return "\n".join([*printed, "end\t-\t-\tok\t"]) + "\n"


def tried(**changed: str) -> PodsTried:
    return parse_tried(Output(0, lines(**changed).encode()))


def context(found: PodsTried | Unseen, **more: Any) -> Context:
    seen = found if isinstance(found, Unseen) else Known(found)
    wish = Cluster.model_validate(data(**more))
    return Context(wish, {("aki0", PODS_TRIED.id): seen, ("aki0", KUBE_NODES.id): Known(KubeNodes())})


def plan(**changed: str) -> Plan:
    return STEP.plan(context(tried(**changed)), "aki0")


def check(name: str, found: PodsTried | None = None, /, more: dict[str, Any] | None = None, **changed: str) -> Check:
    checks = STEP.checks(context(found or tried(**changed), **more or {}), "aki0")
    return next(each for each in checks if each.id == f"pods-{name}")


def test_all_is_well() -> None:
    assert plan() == Nothing("9 checks, nothing stands in the way")
    assert check("run").reason == "one runs on each of aki0, aki1"
    assert check("http").reason == "2 ways between aki0, aki1: each reaches each other over HTTP"
    assert "packets of 1450 bytes" in check("large").reason
    assert check("dns").reason == "kubernetes.default.svc.cluster.local is found from aki0, aki1"


def test_a_pair_is_named_and_the_direction_with_it() -> None:
    found = check("http", aki0_aki1_http="download timed out", aki0_aki1_large="left out", aki0_aki1_bulk="left out")
    assert (found.verdict, found.reason) == (Verdict.STOP, "1 of 2 ways: aki0 to aki1: download timed out")
    assert found.cure.startswith("homek8s-wizard check verify.peers")
    assert isinstance(plan(aki0_aki1_http="timed out"), Blocked)


def test_large_packets() -> None:
    found = check("large", aki1_aki0_large="only in fragments")
    assert found.reason == "1 of 2 ways: aki1 to aki0: only in fragments"
    assert "a smaller MTU than 1450" in found.cure


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("dns", "stop"), ("outside", "warn"), ("service", "stop"), ("logs", "stop"), ("exec", "stop")],
)
def test_what_one_node_does_not_have_is_named(name: str, verdict: str) -> None:
    found = check(name, **{f"aki1_{name}": "it says why"})
    assert (found.verdict, found.reason) == (verdict, "not from aki1: it says why")
    assert "aki1" in found.cure


def test_a_closed_network_stops_nothing() -> None:
    found = plan(aki0_outside="no answer", aki1_outside="no answer")
    assert found == Nothing("9 checks, nothing stands in the way, 1 to weigh")


def test_pods_that_do_not_start() -> None:
    waits = check("run", aki1_pod="ContainerCreating networkPlugin cni failed to set up pod")
    assert (waits.verdict, "on aki1: `journalctl -u kubelet" in waits.cure) == (Verdict.STOP, True)
    words = f'ImagePullBackOff Back-off pulling image "{IMAGE}"'
    image = check("run", aki1_pod=words)
    assert image.verdict is Verdict.STOP
    missing = f"the image {IMAGE} is not to be had: aki1: ImagePullBackOff"
    assert image.reason.startswith(f"nothing could be tried between pods, {missing}")
    assert "ctr -n k8s.io images import" in image.cure


def test_behind_a_mirror_the_image_may_be_missing_where_others_have_it() -> None:
    """Nobody says that a mirror has it."""
    words = f'ErrImagePull failed to pull "{IMAGE}"'
    third = f"pod\taki2\t-\tno\t{words}\n"
    found = parse_tried(Output(0, (third + lines()).encode()))
    assert check("run", found).verdict is Verdict.STOP
    mirror = {"images": "mirror.home.arpa:5000/k8s"}
    behind = check("run", found, more=mirror)
    assert (behind.verdict, behind.reason) == (Verdict.WARN, f"the image {IMAGE} is not to be had: aki2: {words}")
    assert STEP.plan(context(found, **mirror), "aki0") == Nothing("9 checks, nothing stands in the way, 1 to weigh")


@pytest.mark.parametrize("there", ["aki0", ""])
def test_where_no_two_pods_ran_the_step_is_not_done(there: str) -> None:
    said = [line for line in lines().splitlines() if there and "aki1" not in line] or ["end"]
    lack = [f"pod\t{node}\t-\tno\tErrImagePull" for node in ("aki0", "aki1") if node != there]
    found = parse_tried(Output(0, "\n".join([*lack, *said]).encode()))
    plan = STEP.plan(context(found, images="mirror.home.arpa:5000/k8s"), "aki0")
    assert isinstance(plan, Blocked)
    assert plan.by == "you"
    assert "nothing could be tried between pods, the image" in plan.why
    assert "images import" in plan.findings[0].cure


def test_one_node_alone_has_nobody_to_reach() -> None:
    alone = "\n".join(line for line in lines().splitlines() if "aki1" not in line) + "\n"
    checks = STEP.checks(context(parse_tried(Output(0, alone.encode()))), "aki0")
    assert not {check.id for check in checks} & {"pods-http", "pods-large", "pods-bulk"}
    assert "pods-dns" in {check.id for check in checks}


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        (("service",), "service"),
        (("aki0_http", "aki0_large", "aki0_bulk"), "http to aki0"),
        (("aki0_bulk",), "bulk to aki0"),
        (("mtu", "aki0_http", "aki0_large", "aki0_bulk", "dns"), "http to aki0, mtu, dns"),
    ],
)
def test_answers_that_are_missing_stop(left_out: tuple[str, ...], words: str) -> None:
    changed = {f"aki1_{key}": "left out" for key in left_out}
    found = check("exec", **changed)
    assert (found.verdict, found.reason) == (Verdict.STOP, f"not from aki1: no answer about {words}")
    assert "kubelet at the InternalIP of aki1" in found.cure
    assert isinstance(plan(**changed), Blocked)


def test_whose_pod_does_not_run_is_asked_nothing_and_nobody_is_asked_about_it() -> None:
    alone = [line for line in lines(aki1_pod="the node is not Ready").splitlines() if "aki1" not in line]
    down = "pod\taki1\t-\tno\tthe node is not Ready"
    assert parse_tried(Output(0, "\n".join([down, *alone]).encode())).missing == {}


KUBECTL = """\
case $* in
  *"get nodes "*) echo "aki0|True" ;;
  *"get pods "*) echo "aki0|echo-1|10.244.0.5|True|" ;;
  *"get service "*) echo 10.96.0.7 ;;
  *" logs "*) echo serving ;;
  *" exec "*" sh -c "*) BREAKS ;;
esac
"""


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("printf 'mtu\\taki0\\t-\\tok\\t1450\\n'; echo unexpected EOF >&2; exit 1", "broke off: unexpected EOF"),
        ("printf 'mtu\\taki0\\t-\\tok\\t1450\\ndns\\taki0\\t-\\tok'; exit 1", "broke off: status 1"),
        ("printf 'mtu\\taki0\\t-\\tok\\t1450\\ndns\\taki0\\t-\\tno\\tto'; exit 1", "broke off: status 1"),
        ("printf 'mtu\\taki0\\t-\\tok\\t1450\\n'; exit 124", "broke off: it did not end within 300 s"),
    ],
)
def test_a_pod_that_breaks_off_is_said(breaks: str, words: str, tmp_path: Path) -> None:
    """What is cut short in the middle of a line counts as not said."""
    program, admin = tmp_path / "kubectl", tmp_path / "admin.conf"
    program.write_text("#!/bin/sh\n" + KUBECTL.replace("BREAKS", breaks))
    program.chmod(0o755)
    admin.touch()
    script = PODS_TRIED.command.replace("/etc/kubernetes/admin.conf", str(admin))
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=60, env=path)
    found = parse_tried(Output(done.returncode, done.stdout, done.stderr))
    assert [(each.ok, each.words) for each in found.of("exec")] == [(False, words)]
    assert found.missing == {"aki0": ("dns", "outside", "service")}
    assert check("exec", found).reason == f"not from aki0: {words}"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Output(0, lines().encode().replace(b"end\t", b"")), "broke off: nothing was said"),
        (Output(3, b"", b"there is no cluster yet"), "broke off: there is no cluster yet"),
        (Output(0, b""), "broke off"),
        (Output(0, b"price\taki0\t-\tok\t5\nend\t-\t-\tok\t\n"), "nobody asked"),
    ],
)
def test_a_test_that_broke_off_says_nothing_about_the_rest(output: Output, words: str) -> None:
    with pytest.raises(FactError, match=words):
        parse_tried(output)


def test_a_test_that_said_nothing_is_no_good_one_and_no_cluster_is_no_question() -> None:
    with pytest.raises(FactUnknown, match="broke off"):
        STEP.plan(context(Unseen("the test with pods broke off: connection refused")), "aki0")
    nobody = Context(context(tried()).cluster, {("aki0", KUBE_NODES.id): Known(KubeNodes(there=False))})
    assert STEP.plan(nobody, "aki0") == Blocked("join.init", "there is no cluster yet")


def test_the_script_is_about_what_its_parser_and_the_words_say() -> None:
    assert f"image={IMAGE}\n" in PODS_TRIED.command
    assert f"ns={NAMESPACE}\n" in PODS_TRIED.command
    said = set(re.findall(r"\b(?:result|say) (\w+) ", PODS_TRIED.command)) | {"dns", "outside"}
    assert set(KINDS) <= said
