"""A node's own name, and the names of all nodes and of the API in its /etc/hosts (DOMAIN S5).

Our lines stand between two marks; everything else in the file stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from wizard.actions import Action, Run, WriteFile
from wizard.cluster import Cluster
from wizard.facts.kubeadm import KUBEADM
from wizard.facts.network import LINKS, ROUTES
from wizard.facts.node_names import HOSTS, NODE_NAMES, leads_to
from wizard.model import Context, Known
from wizard.stages import guest_nics, nodes
from wizard.stages.guests_defaults import lan_address
from wizard.stages.join_area import CLOUD_FILE, NODE_FILES

BEGIN, END = "# homek8s-wizard: the nodes of the cluster", "# homek8s-wizard: end"
STAYS = "# homek8s-wizard: /etc/hosts keeps the names of the nodes.\nmanage_etc_hosts: false\n"


def endpoint_name(cluster: Cluster) -> str:
    """The API's name; empty where it has an address, or none of its own."""
    endpoint = cluster.kubernetes.endpoint if cluster.kubernetes else None
    if not endpoint:
        return ""
    try:
        ip_address(endpoint)
    except ValueError:
        return endpoint
    return ""


def address_of(ctx: Context, name: str) -> str:
    """A node's address on the LAN: by cluster.yaml, else that of its default route's link; empty where nobody knows."""
    if found := lan_address(ctx.cluster, guest_nics.guest(ctx.cluster, name)):
        return str(found)
    links, routes = ctx.look(LINKS, name), ctx.look(ROUTES, name)
    if not isinstance(links, Known) or not isinstance(routes, Known):
        return ""
    out = next((route.device for route in routes.value if route.to == "default"), "")
    link = links.value.get(out)
    return next((each.ip for each in link.addresses if each.interface.version == 4), "") if link else ""


# ---------------------------------------------------------------- the node's own name


def hostname_fits(ctx: Context, target: str) -> bool:
    """Also with a domain behind it. A machine that is a node already keeps the name it has in its cluster."""
    names = ctx.see(NODE_NAMES, target)
    fits = all(each.partition(".")[0] == target for each in (names.hostname, names.lasting or names.hostname))
    return fits or ctx.see(KUBEADM, target).joined


def _rename(ctx: Context, target: str) -> Run:
    names = ctx.see(NODE_NAMES, target)
    before = Run(("hostnamectl", "set-hostname", names.lasting or names.hostname))
    return Run(("hostnamectl", "set-hostname", target), undo=before)


# ---------------------------------------------------------------- /etc/hosts


def lines(ctx: Context, target: str) -> tuple[str, ...]:
    """Ours: every node, and the API's name where nobody else knows it."""
    known = [(address, name) for name in nodes.every(ctx.cluster) if (address := address_of(ctx, name))]
    found = [f"{address} {name}" for address, name in known]
    first = next((address for address, name in known if (name,) == nodes.first(ctx.cluster)), "")
    name = endpoint_name(ctx.cluster)
    if name and first and (_says(ours(ctx, target), name) or not ctx.see(leads_to(name), target)):
        found.append(f"{first} {name}")
    return tuple(found)


def ours(ctx: Context, target: str) -> tuple[str, ...]:
    """Our lines as they are there now."""
    hosts = ctx.see(NODE_FILES, target)[HOSTS] or ""
    found = re.search(rf"^{BEGIN}\n((?:.*\n)*?){END}$", hosts, re.MULTILINE)
    return tuple(found[1].splitlines()) if found else ()


def _says(said: tuple[str, ...], name: str) -> bool:
    return any(line.split()[1:] == [name] for line in said)


# ---------------------------------------------------------------- as an area


def lacks(ctx: Context, target: str) -> Iterator[str]:
    if not hostname_fits(ctx, target):
        yield f"it calls itself {ctx.see(NODE_NAMES, target).hostname}"
    said, before = lines(ctx, target), ours(ctx, target)
    if missing := [line.split()[1] for line in said if line not in before]:
        yield f"{HOSTS} does not lead to {', '.join(missing)}"
    elif said != before:
        yield f"{HOSTS} leads to what is no longer in cluster.yaml"
    elif _is_rewritten(ctx, target):
        yield f"cloud-init writes {HOSTS} anew at each boot"


def actions(ctx: Context, target: str) -> Iterator[Action]:
    there = ctx.see(NODE_FILES, target)
    if _is_rewritten(ctx, target):
        yield WriteFile(CLOUD_FILE, STAYS, there[CLOUD_FILE])
    if not hostname_fits(ctx, target):
        yield _rename(ctx, target)
    said, before = lines(ctx, target), ours(ctx, target)
    if said != before:
        words = f"put the names of the nodes into {HOSTS}"
        yield Run(("put_block", HOSTS, BEGIN, END, *said), words, undo=Run(("put_block", HOSTS, BEGIN, END, *before)))


def notes(ctx: Context, target: str) -> Iterator[str]:
    name = endpoint_name(ctx.cluster)
    if name and _says(lines(ctx, target), name):
        yield (
            f"No name server knows {name}, so every node's {HOSTS} leads it to {nodes.first(ctx.cluster)[0]}; "
            "other machines that are to use the API need the name too."
        )


def _is_rewritten(ctx: Context, target: str) -> bool:
    return ctx.see(NODE_NAMES, target).rewritten and ctx.see(NODE_FILES, target)[CLOUD_FILE] != STAYS
