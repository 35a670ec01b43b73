"""Stage `guests`: the virtual machines, made or found, on both networks (DOMAIN S3, S12)."""

from __future__ import annotations

from wizard.model import Stage
from wizard.stages.guests_address import STEP as ADDRESS
from wizard.stages.guests_attach import ATTACH
from wizard.stages.guests_create import STEP as CREATE
from wizard.stages.guests_reach import REACH

STAGE = Stage(
    id="guests",
    title="Guests",
    why="The machines of the cluster: each with a NIC on the LAN, one on the isolated network, and an address on both.",
    steps=(CREATE, REACH, ATTACH, ADDRESS),
)
