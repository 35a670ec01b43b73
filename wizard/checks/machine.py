"""Is this machine fit to carry guests: its system, processor, memory, clock and name (DOMAIN S0)."""

from __future__ import annotations

from wizard.checks.question import Answer, Question, ok, stop, warn
from wizard.cluster import Cluster, Create
from wizard.facts.libvirt import DOMAINS, Domains
from wizard.facts.system import CLOCK, HOSTNAME, INIT, MEMORY, PROCESSOR, RELEASE, Processor
from wizard.facts.virtualisation import KVM, Kvm
from wizard.model import Context, Known

GIB = 1024**3
HOST_MEMORY = 2 * GIB
"""What the host keeps for itself (DOMAIN 2.1)."""
SYSTEMD = 249
"""The oldest that was tried with what the bridge needs of systemd-networkd: Ubuntu 22.04's."""
KNOWN = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04", "24.10", "25.04", "25.10", "26.04")}
CONTAINERS = ("docker", "lxc", "lxc-libvirt", "openvz", "podman", "systemd-nspawn", "wsl")
BUILT = 2026
"""The year this was written: a clock before it is wrong."""


def gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def access(ctx: Context) -> Answer:
    init = ctx.see(INIT)
    if init.uid != 0:
        return stop("commands do not run as root", "Let this account use sudo: as root, `adduser NAME sudo`.")
    return ok(f"{ctx.cluster.hypervisor.ssh} can act as root")


def systemd(ctx: Context) -> Answer:
    init = ctx.see(INIT)
    if init.name != "systemd" or init.version is None:
        return stop(
            f"process 1 is {init.name}, not systemd", "Use a machine that runs systemd, as Debian and Ubuntu do."
        )
    if init.version < SYSTEMD:
        return stop(f"systemd {init.version} is too old", f"Upgrade the system: systemd {SYSTEMD} or newer is needed.")
    if init.state not in ("running", "degraded"):
        return warn(
            f"systemd {init.version}, {init.state or 'in an unknown state'}", "Let the machine finish starting."
        )
    return ok(f"systemd {init.version}")


def release(ctx: Context) -> Answer:
    found = ctx.see(RELEASE)
    if found.arch != "x86_64":
        return stop(f"the processor is {found.arch}", "Use a machine with an Intel or AMD processor (x86-64).")
    if found.version not in KNOWN.get(found.id, ()):
        return warn(
            f"{found.name} has not been tried", "Debian 12 and 13 and Ubuntu 22.04 and later have; watch each step."
        )
    return ok(f"{found.name}, Linux {found.kernel}")


def virtual_machines(ctx: Context) -> Answer:
    processor, kvm = ctx.see(PROCESSOR), ctx.see(KVM)
    if processor.extension and kvm.works:
        return ok(f"{processor.model} with {processor.extension}; a virtual CPU ran")
    if processor.extension and kvm.works is None and kvm.device:
        return warn(f"{processor.extension} and /dev/kvm are there, but could not be tried: {kvm.error}")
    return stop(_no_kvm(processor, kvm), _kvm_cure(processor))


def _no_kvm(processor: Processor, kvm: Kvm) -> str:
    if not processor.extension:
        device = "; /dev/kvm is there, but not backed by it" if kvm.device else ""
        return f"the processor shows neither vmx (Intel) nor svm (AMD){device}"
    return f"{processor.extension} is there, but KVM does not work: {kvm.error}"


def _kvm_cure(processor: Processor) -> str:
    if processor.inside in CONTAINERS:
        return f"This is a container ({processor.inside}): use the machine that it runs on."
    if processor.inside:
        return f"This machine itself runs in {processor.inside}: allow it nested virtualisation there."
    return "Switch on virtualisation (VT-x, AMD-V or SVM) in the firmware setup, and restart."


def domains(ctx: Context) -> Domains:
    """The guests as far as they are known; where libvirt does not answer, its own check says so."""
    seen = ctx.look(DOMAINS)
    return seen.value if isinstance(seen, Known) else Domains(daemon=False)


def to_make(cluster: Cluster, running: set[str]) -> list[Create]:
    """The guests of the file that do not take their share of the machine yet."""
    return [guest.create for guest in cluster.guests if guest.create and guest.name not in running]


def memory(ctx: Context) -> Answer:
    found = ctx.see(MEMORY)
    guests = to_make(ctx.cluster, {domain.name for domain in domains(ctx) if domain.active})
    wanted = sum(guest.memory for guest in guests)
    seen = f"{gib(found.available)} free of {gib(found.total)}"
    if wanted > found.total - GIB:
        return stop(
            f"the guests want {gib(wanted)}, the machine has {gib(found.total)}",
            "Give the guests less memory in cluster.yaml, or make fewer of them.",
        )
    if wanted and wanted > found.available - HOST_MEMORY:
        return warn(
            f"{seen}; the guests want {gib(wanted)}, and the machine {gib(HOST_MEMORY)} for itself",
            "Make the guests smaller, or end other programs.",
        )
    if found.available < 2 * HOST_MEMORY:
        return warn(f"{seen}: room for hardly one guest", "A node of Kubernetes needs 2 GiB, better 4.")
    return ok(f"{seen}; the guests want {gib(wanted)}" if wanted else seen)


def processors(ctx: Context) -> Answer | None:
    count = ctx.see(PROCESSOR).count
    widest = max((guest.create.vcpus for guest in ctx.cluster.guests if guest.create), default=0)
    if widest > count:
        return warn(
            f"a guest wants {widest} CPUs, the machine has {count}", "Give guests at most as many as there are."
        )
    return ok(f"{count}")


def clock(ctx: Context) -> Answer:
    found = ctx.see(CLOCK)
    if found.year < BUILT:
        return stop(f"the clock says {found.year}", "Set it: sudo timedatectl set-ntp true")
    if found.synchronised is None:
        return warn("nothing here tells whether the clock is right", "Install systemd-timesyncd or chrony.")
    if not found.synchronised:
        return warn("the clock is not synchronised", "Switch it on: sudo timedatectl set-ntp true")
    return ok("synchronised")


def hostname(ctx: Context) -> Answer:
    found = ctx.see(HOSTNAME)
    if found.addresses:
        return ok(f"{found.name} is {found.addresses[0]} in /etc/hosts")
    before_dns = found.sources[: found.sources.index("dns")] if "dns" in found.sources else found.sources
    if {"myhostname", "resolve"} & set(before_dns):
        return ok(f"{found.name} is answered by systemd")
    return warn(f"{found.name} is not in /etc/hosts", f"Add a line to /etc/hosts: 127.0.1.1 {found.name}")


QUESTIONS = (
    Question("access", "Root", "Everything is done as root, over sudo.", (INIT,), access, needed=True),
    Question("systemd", "systemd", "Changes run, and are undone, by systemd.", (INIT,), systemd, needed=True),
    Question("release", "System", "Steps are made for what was tried.", (RELEASE,), release, needed=True),
    Question(
        "kvm",
        "Virtual machines",
        "Without the processor's help (KVM) guests are many times slower: too slow for Kubernetes.",
        (PROCESSOR, KVM),
        virtual_machines,
        accept="no-kvm",
    ),
    Question("memory", "Memory", "A machine that runs out of memory ends its guests.", (MEMORY, DOMAINS), memory),
    Question("processors", "Processors", "More CPUs than there are make a guest slower.", (PROCESSOR,), processors),
    Question("clock", "Clock", "Certificates and package lists are refused when the clock is wrong.", (CLOCK,), clock),
    Question(
        "hostname", "Own name", "sudo and libvirt wait 10 s each time for a name nobody knows.", (HOSTNAME,), hostname
    ),
)
