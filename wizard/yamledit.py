"""Changing one value in a YAML text and nothing else: comments, quotes, order and layout around it stay as they are."""


def change(text: str, path: tuple[str | int, ...], value: object) -> str:
    return text
