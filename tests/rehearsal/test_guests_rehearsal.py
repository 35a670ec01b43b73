"""Rehearsals with guests: what their cluster.yaml says, and real guests that answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.cluster import Cluster
from wizard.cluster.file import load
from wizard.rehearsal import BadRequest, Rehearsal, cluster_file
from wizard.rehearsal.guests import first


def loaded(text: str, tmp_path: Path) -> Cluster:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return load(path).cluster


@pytest.mark.parametrize("count", range(4))
def test_cluster_yaml_is_valid_with_any_number_of_guests(count: int, tmp_path: Path) -> None:
    cluster = loaded(cluster_file.text("some", first(count)), tmp_path)
    assert [guest.name for guest in cluster.guests] == ["aki0", "aki1", "aki2"][:count]
    assert [guest.ssh for guest in cluster.guests] == [f"owner@192.168.182.13{n}" for n in range(count)]
    assert all(guest.create for guest in cluster.guests)


def test_more_guests_than_addresses_are_refused() -> None:
    with pytest.raises(BadRequest, match="0 to 3"):
        Rehearsal("never-made").up(guests=4)
