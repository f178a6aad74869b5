"""Writing HTML and SVG: tags, numbers and spans of time as a reader wants them, and the page
around it all.

A page is one file that needs nothing else: styles and script stand in it, and its policy forbids
it to load anything.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element. Children are markup already; attributes are escaped, and None leaves one out.

    An attribute's name has `-` where its keyword has `_`; one at the end is dropped (`class_`).
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return f"<{name}{shown}/>" if name in _EMPTY else f"<{name}{shown}></{name}>"
    return f"<{name}{shown}>{''.join(children)}</{name}>"


_EMPTY = frozenset(("rect", "path", "line", "circle", "input"))


def _plain(value: object) -> str:
    return short(value) if isinstance(value, float) else str(value)


def short(value: float) -> str:
    """A coordinate with two digits behind the point at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def say(value: object) -> str:
    """Text as markup."""
    return escape(str(value))


def number(value: float) -> str:
    """A number with thousands set apart."""
    return f"{value:,.0f}"


def seconds(value: float) -> str:
    """A span of time in the unit that suits it."""
    if value < 0.001:
        return f"{value * 1e3:.2f} ms"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    if value < 60:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def resource(file: str, package: str = "chaos.report") -> str:
    """A style sheet or script of a package."""
    return files(package).joinpath(file).read_text(encoding="utf-8")


def document(title: str, body: str, style: str, script: str) -> str:
    """The whole page. `style` and `script` are ours and must not hold their end tag."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"/>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
            '<meta name="color-scheme" content="light dark"/>',
            f"<title>{say(title)}</title>",
            f"<style>{style}</style></head><body>",
            body,
            f"<script>{script}</script></body></html>\n",
        )
    )


def data(identity: str, json: bytes) -> str:
    """JSON for the script, where no markup in it can end its element."""
    safe = json.decode().replace("<", "\\u003c")
    return f'<script type="application/json" id="{identity}">{safe}</script>'
