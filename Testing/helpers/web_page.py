"""What stands in an HTML file."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags in order, whether they close, and the text between them."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.style = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data.lower()
        else:
            self.text += data


def from_outside(html: str) -> list[str]:
    """What a browser would run or fetch; images within the page itself are none of it."""
    page = Page(html)
    tags = {"script", "link", "iframe", "frame", "object", "embed", "base", "form", "svg", "audio", "video", "a"}
    names = {"src", "href", "srcset", "action", "data", "poster", "background", "http-equiv", "style"}
    found = [tag for tag in page.tags if tag in tags]
    for tag, name, value in page.attributes:
        if name.startswith("on") or (name in names and not (value or "").startswith("data:image/png;base64,")):
            found.append(f"{tag} {name}={value}")
    return found + re.findall(r"@import|url\s*\(|https?:|\\", page.style)
