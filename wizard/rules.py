"""stub"""

from wizard.mistakes import Contradiction
from wizard.values import Values


def contradictions(values: Values) -> list[Contradiction]:
    return []
