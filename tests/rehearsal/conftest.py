"""Real hypervisors for tests: one per suite and flavour, fresh for every test, removed at the end."""

from __future__ import annotations

import difflib
import os
import pprint
import signal
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from wizard.rehearsal import SUITES, Rehearsal, RehearsalError, kubernetes, requirements, tree
from wizard.rehearsal.node_recipe import NodeRecipe

HERE = Path(__file__).parent

Hypervisor = Callable[..., Rehearsal]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.rehearsal)
    # A worker that is at a test has its next one already: behind each that takes minutes there is a short one.
    # Those that take longest are begun before all others, so that no worker is left alone with one at the end.
    long = sorted((item for item in items if item.get_closest_marker("long")), key=_begun_late)
    short = [item for item in items if not item.get_closest_marker("long")]
    items[:] = [item for pair in zip_longest(long, short) for item in pair if item is not None]


def _begun_late(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("long")
    return marker is None or not marker.kwargs.get("first", False)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Pictures of a machine are long: only the lines that differ are shown."""
    if op != "==" or not (isinstance(left, dict) and isinstance(right, dict)):
        return None
    lines = (pprint.pformat(each, width=200).splitlines() for each in (right, left))
    return ["they differ", *difflib.unified_diff(*lines, "expected", "found", lineterm="", n=0)]


class Pool:
    """The rehearsals of this test run, by what they are; a machine that a test has used is reset for the next."""

    def __init__(self) -> None:
        self._all: dict[str, Rehearsal] = {}
        self._used: set[str] = set()

    def fresh(self, name: str, suite: str, bare: bool, guests: int, nodes: int, midway: bool) -> Rehearsal:
        if name not in self._all:
            self._all[name] = Rehearsal(name)
            self._all[name].up(suite, bare, guests=guests, nodes=nodes, midway=midway)
        elif name in self._used:
            self._all[name].reset()
        self._used.add(name)
        return self._all[name]

    def done_with(self, name: str) -> None:
        """What works on by itself, a cluster or guests, would slow down the tests that follow: it goes."""
        self._all[name].down()
        del self._all[name]
        self._used.remove(name)

    def remove(self) -> None:
        """All of them are tried, whatever happens to one."""
        failures = []
        for rehearsal in self._all.values():
            try:
                rehearsal.down()
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("Rehearsals that could not be removed", failures)


@pytest.fixture(scope="session")
def _pool() -> Iterator[Pool]:
    message = requirements.missing()
    if message and os.environ.get("HOMEK8S_REQUIRE_REHEARSAL") == "1":
        pytest.fail(message)
    if message:
        pytest.skip(message)
    pool = Pool()
    # Asked to end, this run must still remove its machines.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield pool
    pool.remove()
    signal.signal(signal.SIGTERM, before)


def _can_have_nodes() -> None:
    """Kubernetes is compiled, or was; where it cannot be, a test that needs it is skipped, except in CI."""
    try:
        kubernetes.ensure(print)
        tree.ensure(NodeRecipe(), print)
    except RehearsalError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(params=[pytest.param(each, marks=pytest.mark.turns("suite")) for each in SUITES])
def suite(request: pytest.FixtureRequest) -> str:
    """A Debian release, for tests of what is the same on all of them: they take turns."""
    found: str = request.param
    return found


@pytest.fixture
def hypervisor(_pool: Pool) -> Iterator[Hypervisor]:
    """A factory: `hypervisor()`, `hypervisor("trixie")`, `hypervisor(bare=True)`, `hypervisor(which="second")`.

    `guests=2` has two in its cluster.yaml to be made; `midway=True` has the article half done, with guests that run,
    and most ask for it on trixie, whose QEMU emulates faster: a guest boots in 35 s of processor time, not 42;
    `nodes=3` has three machines beside it that can become Kubernetes nodes.
    """
    given: dict[str, Rehearsal] = {}
    busy: list[str] = []

    def make(
        suite: str = "bookworm",
        *,
        bare: bool = False,
        guests: int = 0,
        nodes: int = 0,
        midway: bool = False,
        which: str = "",
    ) -> Rehearsal:
        kinds = [f"g{guests}" if guests else "", f"n{nodes}" if nodes else "", "midway" if midway else ""]
        name = "-".join(filter(None, ["pytest", str(os.getpid()), suite, "bare" if bare else "", *kinds, which]))
        if nodes:
            _can_have_nodes()
        if name not in given:
            given[name] = _pool.fresh(name, suite, bare, guests, nodes, midway)
            if guests or nodes or midway:
                busy.append(name)
        return given[name]

    yield make
    for name in busy:
        _pool.done_with(name)
