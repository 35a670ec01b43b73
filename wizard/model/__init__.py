"""The vocabulary: what a step is, what it may look at, and what it may answer.

A step is a pure function from what the owner wants (`Cluster`) and what the hosts say (`Context.see`) to a plan.
Nothing here does I/O.
"""

from wizard.model.plans import (
    Blocked,
    Check,
    Do,
    Finding,
    Guard,
    Nothing,
    Part,
    Plan,
    Probe,
    Refused,
    Risk,
    Unknown,
    Verdict,
)
from wizard.model.secret import (
    Secret,
)
from wizard.model.seen import (
    HYPERVISOR,
    OWNER,
    AnyFact,
    Context,
    Fact,
    FactError,
    FactUnknown,
    Known,
    LibvirtFact,
    Output,
    Seen,
    T,
    T_co,
    Unseen,
    in_words,
)
from wizard.model.steps import (
    Facts,
    Stage,
    Step,
    Suggestion,
    hypervisor_only,
    no_checks,
    on_hypervisor,
)

__all__ = [
    "HYPERVISOR",
    "OWNER",
    "AnyFact",
    "Blocked",
    "Check",
    "Context",
    "Do",
    "Fact",
    "FactError",
    "FactUnknown",
    "Facts",
    "Finding",
    "Guard",
    "Known",
    "LibvirtFact",
    "Nothing",
    "Output",
    "Part",
    "Plan",
    "Probe",
    "Refused",
    "Risk",
    "Secret",
    "Seen",
    "Stage",
    "Step",
    "Suggestion",
    "T",
    "T_co",
    "Unknown",
    "Unseen",
    "Verdict",
    "hypervisor_only",
    "in_words",
    "no_checks",
    "on_hypervisor",
]
