"""What `bridge.port` looks at: the bridge that is wanted, and the host around it as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wizard.cluster.sections import Bridge
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domains, Networks
from wizard.facts.network import LINKS, ROUTES, SSH_PATH, Link, Links, Route, SshPath
from wizard.facts.network_owners import OWNERS, Owners
from wizard.facts.networkd import NETWORKD, Networkd
from wizard.facts.networkd_files import NETWORK_FILES, Config, NetworkFiles
from wizard.model import Context, Known

FACTS = (LINKS, ROUTES, SSH_PATH, OWNERS, NETWORKD, NETWORK_FILES, NETWORKS, DOMAINS)


@dataclass(frozen=True)
class Scene:
    wanted: Bridge
    links: Links
    routes: tuple[Route, ...]
    ssh: SshPath | None
    owners: Owners
    networkd: Networkd
    files: NetworkFiles
    networks: Networks
    domains: Domains

    @classmethod
    def of(cls, ctx: Context, wanted: Bridge) -> Scene:
        """Without libvirt's word if libvirt does not answer: a bridge can be built, and described, without it."""
        networks, domains = ctx.look(NETWORKS), ctx.look(DOMAINS)
        return cls(
            wanted=wanted,
            links=ctx.see(LINKS),
            routes=ctx.see(ROUTES),
            ssh=ctx.see(SSH_PATH),
            owners=ctx.see(OWNERS),
            networkd=ctx.see(NETWORKD),
            files=ctx.see(NETWORK_FILES),
            networks=networks.value if isinstance(networks, Known) else Networks(daemon=False),
            domains=domains.value if isinstance(domains, Known) else Domains(daemon=False),
        )

    @property
    def port(self) -> Link | None:
        return self.links.get(self.wanted.port)

    @property
    def bridge(self) -> Link | None:
        return self.links.get(self.wanted.name)

    @property
    def addressed(self) -> bool:
        """Is the host to have an address on the bridge (variant A), or is it a mere switch (variant B, DOMAIN E2)?"""
        return bool(self.wanted.addresses) or self.wanted.dhcp

    def config(self, link: Link) -> Config | None:
        """The .network file that networkd takes for this link."""
        return next(iter(self.files.matching(link, self.networkd.file(link.name))), None)

    @cached_property
    def former(self) -> tuple[Link, ...]:
        """Other NICs in the bridge, or told to join it: with the wanted port they would close a loop (DOMAIN E6)."""
        return tuple(
            link
            for link in self.links
            if uplink(link) and link.name != self.wanted.port and (self._inside(link) or self._joins(link))
        )

    @property
    def passengers(self) -> tuple[Link, ...]:
        """What else hangs in the bridge: guests' taps, containers. They are never touched."""
        return tuple(link for link in self.links.ports(self.wanted.name) if not uplink(link))

    @property
    def touched(self) -> tuple[Link, ...]:
        """The links that change."""
        return tuple(link for link in (self.port, self.bridge, *self.former) if link is not None)

    def _inside(self, link: Link) -> bool:
        return link.master == self.wanted.name

    def _joins(self, link: Link) -> bool:
        config = self.config(link)
        return not link.addresses and joins(config, self.wanted.name)

    # -------------------------------------------------------- the path of our own connection

    @property
    def carries_ssh(self) -> bool:
        """Does the change touch what our connection runs over? If that is unknown: does it touch any address?"""
        names = {link.name for link in self.touched}
        if self.ssh is None or self.ssh.local:
            return any(link.addresses for link in self.touched) or bool(names & self._ways_out)
        return bool(names & self._ssh_devices)

    @cached_property
    def _ssh_devices(self) -> set[str]:
        """The device with the address that we reached, the one that answers leave on, and what is beneath them."""
        assert self.ssh is not None
        at = self.links.with_address(self.ssh.address)
        found = {at.name if at else "", self.ssh.device}
        for link in [link for name in found if (link := self.links.get(name)) is not None]:
            found |= {link.parent} if link.parent else set()
            found |= self._ways_out if not link.ethernet else set()
        return found

    @property
    def _ways_out(self) -> set[str]:
        """What a tunnel (WireGuard) runs over, as far as that can be told."""
        return {route.device for route in self.routes if route.to == "default"}


def uplink(link: Link) -> bool:
    """Does it lead out of the machine: a NIC, or a bond or VLAN made of NICs?"""
    return link.nic or link.kind in ("bond", "vlan")


def joins(config: Config | None, bridge: str) -> bool:
    return config is not None and config.value("Network", "Bridge") == bridge
