"""The files that land on a host, from `templates/` (Jinja2: no undefined names, no logic beyond if and for)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("wizard", "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # sh, ini and XML: values are allow-listed (wizard.cluster.names), shell words quoted
    )


def render(template: str, **values: object) -> str:
    """The text of `templates/TEMPLATE` with these values. Raises `jinja2.UndefinedError` for a missing one."""
    return _environment().get_template(template).render(**values)


def text(template: str) -> str:
    """The text of `templates/TEMPLATE` as it is."""
    return files("wizard").joinpath("templates", template).read_text(encoding="utf-8")
