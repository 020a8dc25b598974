"""A headless browser, driven over its DevTools pipe."""

from __future__ import annotations

import base64
import io
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """A headless browser over the DevTools pipe, with the errors and requests of its page."""

    def __init__(self, folder: Path) -> None:
        down, up = os.pipe(), os.pipe()

        def wire() -> None:
            os.dup2(os.dup(down[0]), 3)
            os.dup2(os.dup(up[1]), 4)

        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--remote-debugging-pipe", f"--user-data-dir={folder}",
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, preexec_fn=wire, close_fds=False, stdout=quiet, stderr=quiet
        )
        os.close(down[0])
        os.close(up[1])
        self.sink, self.source = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self.rest, self.sent, self.session = b"", 0, ""
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.sink.write(json.dumps(message).encode() + b"\0")
        while (answer := self.next()).get("id") != self.sent:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            assert select.select([self.source], [], [], 60)[0], "chromium does not answer"
            read = os.read(self.source.fileno(), 1 << 20)
            assert read, "chromium is gone"
            self.rest += read
        line, self.rest = self.rest.split(b"\0", 1)
        event: dict[str, Any] = json.loads(line)
        kind, found = event.get("method", ""), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif kind in ("Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed"):
            self.problems.append(f"{kind}: {found}")
        elif kind == "Runtime.consoleAPICalled":
            self.problems.append(f"console: {found['args']}")
        self.loaded = self.loaded or kind == "Page.loadEventFired"
        return event

    def show(self, file: Path, width: int, *, dark: bool = False, height: int = 900) -> None:
        self.open(file.as_uri(), width, dark=dark, height=height)

    def open(self, url: str, width: int, *, dark: bool = False, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self.loaded = False
        self.call("Page.navigate", url=url)
        while not self.loaded:
            self.next()

    def run(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def cut(self) -> list[str]:
        """The texts that are cut at an edge, boxes that scroll sideways, and broken words.

        Only a confusion matrix may scroll sideways, and not on a phone. Options, and words of the
        headings of tables, are not broken. Notes of a chart stay below its title, and
        apart.
        """
        found = self.run(
            """
            const shown = [...document.querySelectorAll("main *")].filter(e => !e.closest("svg"));
            const hidden = e => ["hidden", "clip"].includes(getComputedStyle(e).overflowX);
            const seen = shown.filter(e => e.clientWidth > 1);  // 1: only for screen readers
            const wide = seen.filter(e => e.scrollWidth > e.clientWidth + 1 && hidden(e));
            const broken = [...document.querySelectorAll(".whole")].filter(
              e => e.getClientRects().length > 1);
            const boxes = innerWidth < 640 ? ".scroll" : ".scroll:not(.matrix-box)";
            const beside = [...document.querySelectorAll(boxes)].filter(
              e => e.scrollWidth > e.clientWidth + 1);
            const tight = [...document.querySelectorAll("thead th")].filter(
              e => e.scrollWidth > e.clientWidth + 1 && e.closest("thead").offsetWidth > 1);
            const above = [...document.querySelectorAll(".note > span")].filter(e =>
              e.getBoundingClientRect().top < e.closest(".plot").getBoundingClientRect().top - 1);
            const touch = (one, other) => {
              const [a, b] = [one, other].map(e => e.getBoundingClientRect());
              return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            };
            const over = [...document.querySelectorAll(".note > span")].filter(e => [
              ...e.closest(".plot").querySelectorAll(".note > span")
            ].some(other => other !== e && touch(e, other)));
            [...wide, ...broken, ...beside, ...tight, ...above, ...over].map(
              e => e.className + ": " + e.innerText.slice(0, 80));
            """
        )
        return list(found)

    def pale(self) -> list[str]:
        """The texts whose contrast with their background is below 4.5 to 1 (WCAG 2.2, AA)."""
        found = self.run(
            """
            const canvas = document.createElement("canvas");
            const paint = canvas.getContext("2d", {willReadFrequently: true});
            const rgba = colour => {
              paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
              return [...paint.getImageData(0, 0, 1, 1).data];
            };
            const light = colour => rgba(colour).slice(0, 3).map(v => v / 255).map(
              v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
            ).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            const under = e => {
              const colour = getComputedStyle(e).backgroundColor;
              return rgba(colour)[3] === 255 || !e.parentElement ? colour : under(e.parentElement);
            };
            [...document.querySelectorAll("main :not(svg *)")].filter(
              e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
            ).filter(e => {
              const [a, b] = [light(getComputedStyle(e).color), light(under(e))];
              return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5;
            }).map(e => e.innerText.slice(0, 80));
            """
        )
        return list(found)

    def picture(self, selector: str) -> Any:
        """The pixels of a part of the page: an array of height × width × 3."""
        import numpy as np
        from PIL import Image

        box = self.run(
            f"(b => ({{x: b.x, y: b.y, width: b.width, height: b.height, scale: 1}}))"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        found = self.call("Page.captureScreenshot", format="png", clip=box)
        image = Image.open(io.BytesIO(base64.b64decode(found["data"])))
        return np.asarray(image.convert("RGB"), dtype=int)

    def hover(self, selector: str, across: float, down: float, scroll_to: str = "") -> str:
        """Move the pointer over a part of the page and return the tooltip."""
        box = self.run(
            "var at = name => document.querySelector(name);"
            f"at({scroll_to or selector!r}).scrollIntoView({{block: 'center'}});"
            f"(b => [b.x, b.y, b.width, b.height])(at({selector!r}).getBoundingClientRect())"
        )
        # The browser reports the scrolling itself a frame later, and that hides the read-out.
        self.call(
            "Runtime.evaluate",
            expression="new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))",
            awaitPromise=True,
        )
        self.call(
            "Input.dispatchMouseEvent", type="mouseMoved",
            x=box[0] + across * box[2], y=box[1] + down * box[3],
        )  # fmt: skip
        return str(self.run("tip.style.visibility === 'visible' ? tip.innerText : ''"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.sink.close()
        self.source.close()
