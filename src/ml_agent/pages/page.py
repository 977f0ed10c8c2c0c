"""A page of a run: self-contained, with no script, font or picture from elsewhere."""

from pathlib import Path
from string import Template

from ml_agent.pages.markup import Html, join
from ml_agent.store.run import write_atomically


def write_page(path: Path, title: str, body: Html) -> Path:
    """Write a page whole or not at all, and return its path.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    look = Path(__file__).with_name("page.css")
    page = Template(look.with_suffix(".html").read_text(encoding="utf-8")).substitute(
        title=join((title,)), style=look.read_text(encoding="utf-8"), body=body
    )
    # ASCII: neither the machine's encoding nor a lone surrogate of an agent can fail it.
    write_atomically(path, page.encode("ascii", "xmlcharrefreplace").decode("ascii"))
    return path
