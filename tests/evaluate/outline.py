"""The parts of a page that tests look at."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = "</script><script>alert(\"x\")</script> 'quoted' & <b>bold</b>"


class Outline(HTMLParser):
    """The parts of a page: ids in order, texts, and everything that could send a request."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if tag == "section" or values.get("id") == "verdict":
            self.sections.append(str(values.get("id")))
        self.addresses += [
            str(v) for k, v in attrs if k in ("src", "href", "srcset", "action", "xlink:href")
        ]
        if tag not in ("meta", "link", "br", "wbr", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += " " + " ".join(data.split())
