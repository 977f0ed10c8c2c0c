"""HTML that is escaped by construction: text becomes markup only by passing through here.

Covered: any text an agent or a script wrote, control characters and lone surrogates included.
Not covered: attribute names and tags, which are ours alone.
"""

import html

_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}
"""Control characters as the pictures of themselves: a terminal's colour codes stay readable."""


class Html(str):
    """Text that is markup already, so it is not escaped again."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float | None) -> Html:
    """One element, its children escaped unless they are `Html`.

    Args:
        tag: Name of the element.
        children: What stands in it, in order.
        attributes: `class_` is class, `stroke_width` is stroke-width; None is left out.

    Examples:
        >>> element("p", "a < b", element("br"), class_="x")
        '<p class="x">a &lt; b<br></br></p>'
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{join(children)}</{tag}>")


def join(parts: "tuple[str, ...] | list[str]") -> Html:
    """Several pieces as one, escaped unless they are `Html`."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def escape(text: str) -> Html:
    """Text as markup that shows exactly that text."""
    return Html(html.escape(text.translate(_VISIBLE)))
