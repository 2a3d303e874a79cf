"""The site as a reader meets it: opened in a real browser, wide and narrow, light and dark.

Each check is a function from an open page to the sentences that say what is wrong with it, and is
shown to find one planted mistake of each kind. A page that is new is checked once it is in the
table of contents; a check that is new is checked on every page once it is in one of the lists.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from ibbook import browser
from ibbook.book import Book

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.at(ROOT)
PAGES = [*BOOK.pages, "search"]

WIDE, NARROW, PAPER = 1280, 390, 720
#: What a page and all that it loads may weigh on its way, in bytes.
WEIGHT = 1_500_000
#: How far what is in the window may move, as a share of it: the bound that is commonly called good.
SHIFT = 0.1

AXE = Axe()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
QUICKLY = {"resultTypes": ["violations"], "preload": False, "iframes": False}
#: Rules of axe that the site does not keep, and why.
EXCEPTIONS: dict[str, str] = {}

# Layout shifts are kept from the start. A slow machine must not decide how much moves: the page
# shows its text after three seconds even where formulas are not ready, here after five minutes.
PATIENCE = 120_000  # milliseconds

PREPARE = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push({
    value: entry.value,
    what: entry.sources.map((s) => s.node?.nodeName + " " + (s.node?.textContent ?? "").trim()),
  });
}).observe({ type: "layout-shift", buffered: true });
const wait = window.setTimeout;
window.setTimeout = (f, t, ...rest) => wait(f, t === 3000 ? 300000 : t, ...rest);
"""

SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
READY = f"""async () => {{
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  await {SETTLED};
}}"""


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as public hosts do: what is text goes compressed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        kind, data = self.guess_type(str(path)), path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if kind.startswith("text/") or kind.endswith(("javascript", "json", "xml")):
            data = gzip.compress(data, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """The terminal belongs to the tests."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Compressing, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# Of this file alone: while a browser is open here, playwright starts no other one in this process,
# and what prints the book starts its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with browser.launch() as started:
        yield started


@pytest.fixture(scope="session")
def hosted() -> Iterator[str]:
    assert (BOOK.build / ".complete").exists(), "there is no finished site: run `make book` first"
    with served(BOOK.html) as address:
        yield address


@pytest.fixture(scope="session")
def on_disk() -> str:
    assert (BOOK.build / ".complete").exists(), "there is no finished site: run `make book` first"
    return BOOK.html.as_uri()


@dataclass
class Visit:
    """An open page, what it said while it was loaded, and how many bytes each file took."""

    page: Page
    said: list[str] = field(default_factory=list)
    received: dict[str, int] = field(default_factory=dict)


@contextmanager
def visit(
    chromium: Browser, address: str, width: int = WIDE, prepare: str = PREPARE, **options: Any
) -> Iterator[Visit]:
    """Open a page with nothing in the cache and wait until its formulas are there."""
    with chromium.new_context(viewport={"width": width, "height": 900}, **options) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        found = Visit(page)
        page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
        page.on("requestfailed", lambda r: found.said.append(f"failed: {r.url}"))
        page.on(
            "console",
            lambda m: m.type in {"error", "warning"} and found.said.append(f"{m.type}: {m.text}"),
        )
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        names: dict[str, str] = {}
        network.on(
            "Network.responseReceived",
            lambda e: names.update({e["requestId"]: e["response"]["url"].rpartition("/")[2]}),
        )
        network.on(
            "Network.loadingFinished",
            lambda e: found.received.update(
                {f"{names.get(e['requestId'])} #{e['requestId']}": int(e["encodedDataLength"])}
            ),
        )
        page.add_init_script(prepare)
        page.goto(address)
        if options.get("java_script_enabled", True):
            page.evaluate(READY)
        yield found


# --- the checks of a page as it is ----------------------------------------------------------------


def quiet(v: Visit) -> Iterator[str]:
    """Errors and warnings of scripts, files that did not come."""
    yield from v.said


def formulas(v: Visit) -> Iterator[str]:
    """Formulas that are wrong, or still source."""
    yield from v.page.evaluate(
        """() => [
          ...[...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
            (e) => "a formula is wrong: " + (e.getAttribute("title") ?? e.textContent)),
          ...[...document.querySelectorAll(".bd-article .math")].filter(
            (e) => !e.querySelector("mjx-container")).map(
            (e) => "not typeset: " + e.textContent.trim().slice(0, 60)),
        ]"""
    )


def headings(v: Visit) -> Iterator[str]:
    """One heading of the page, the others in order below it."""
    found = v.page.evaluate(
        """() => [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")]
          .filter((h) => h.checkVisibility())
          .map((h) => [Number(h.nodeName[1]), h.textContent.trim()])"""
    )
    first = [name for level, name in found if level == 1]
    if len(first) != 1:
        yield f"{len(first)} headings of the first level: {first}"
    for (before, _), (level, name) in pairwise(found):
        if level > before + 1:
            yield f"heading {name!r}: level {level} after level {before}"


def figures(v: Visit) -> Iterator[str]:
    """Pictures without a text or a caption, or that are not there."""
    for source, alt, caption, arrived in v.page.evaluate(
        """async () => {
          const found = [...document.querySelectorAll(".bd-article img")];
          for (const image of found) image.loading = "eager";
          await Promise.allSettled(found.map((image) => image.decode()));
          return found.map((image) => [
            image.getAttribute("src"), image.alt.trim(),
            (image.closest("figure")?.querySelector("figcaption") ??
             image.closest(".ib-shown")?.querySelector("p"))?.textContent.trim() ?? "",
            image.naturalWidth > 0]);
        }"""
    ):
        if not arrived:
            yield f"{source}: did not come"
        if len(alt.split()) < 5:
            yield f"{source}: its text says too little: {alt!r}"
        if not caption:
            yield f"{source}: no caption"


def fits(v: Visit) -> Iterator[str]:
    """What makes the page wider than the window."""
    yield from v.page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          const cut = (e) => getComputedStyle(e).overflowX !== "visible";
          const scrolls = (e) => e !== document.body
            && (cut(e.parentElement) || scrolls(e.parentElement));
          const out = [...document.querySelectorAll("body *")].filter(
            (e) => e.checkVisibility() && e.getBoundingClientRect().right > width && !scrolls(e));
          return ["wider than the window: " + document.documentElement.scrollWidth + " > " + width
            + ", " + out.slice(0, 5).map((e) => e.nodeName + "." + e.className).join(", ")];
        }"""
    )


def steady(v: Visit) -> Iterator[str]:
    """What moves while the page is loaded, and while it is scrolled through."""
    v.page.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          for (let y = 0; y < document.documentElement.scrollHeight; y += 0.9 * innerHeight) {
            window.scrollTo(0, y);
            await frame(); await frame();
          }
        }"""
    )
    v.page.wait_for_load_state("networkidle")
    shifts = v.page.evaluate("window.shifts")
    total = sum(shift["value"] for shift in shifts)
    if total >= SHIFT:
        worst = max(shifts, key=lambda shift: shift["value"])
        yield f"moves by {total:.3f}: {[what[:60] for what in worst['what'][:3]]}"


def light(v: Visit) -> Iterator[str]:
    """What a page weighs once it has been read to its end; `steady` scrolls there."""
    v.page.wait_for_load_state("networkidle")
    total = sum(v.received.values())
    if total >= WEIGHT:
        heavy = sorted(v.received.items(), key=lambda item: -item[1])[:5]
        yield f"weighs {total} bytes: {heavy}"


def accessible(v: Visit) -> Iterator[str]:
    """Findings of axe, contrast apart."""
    thin(v)
    rules = {"color-contrast": {"enabled": False}}
    yield from _findings(v, None, {"runOnly": RULES, "rules": rules})


def contrast(v: Visit) -> Iterator[str]:
    """Findings of axe on contrast: of the texts that look alike on a like ground, three."""
    thin(v)
    v.page.evaluate(
        """() => {
          const grounds = new Map([[null, ""]]), seen = new Map();
          for (const element of document.querySelectorAll("html, body, body *")) {
            const style = getComputedStyle(element);
            const own = style.backgroundColor + style.backgroundImage + style.opacity;
            const ground = (grounds.get(element.parentElement) ?? "")
              + (own === "rgba(0, 0, 0, 0)none1" ? "" : own);
            grounds.set(element, ground);
            delete element.dataset.look;
            const look = [style.color, style.fontSize, style.fontWeight, ground].join();
            const speaks = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
            const box = element.getBoundingClientRect();
            const seenNow = element.checkVisibility({ visibilityProperty: true })
              && box.right + window.scrollX > 0 && box.width > 0;
            if (!speaks || !seenNow || seen.get(look) === 3) continue;
            seen.set(look, (seen.get(look) ?? 0) + 1);
            element.dataset.look = seen.size;
          }
        }"""
    )
    yield from _findings(v, {"include": [["[data-look]"]]}, {"runOnly": ["color-contrast"]})


def thin(v: Visit) -> None:
    """Leave of all formulas, and of each kind of token in code, a few: axe takes its time."""
    v.page.evaluate(
        """() => {
          for (const kind of ["[display]", ":not([display])"])
            [...document.querySelectorAll("mjx-container" + kind)].slice(3).forEach(
              (formula) => formula.replaceChildren("formula"));
          const seen = new Set();
          for (const token of document.querySelectorAll(".highlight pre span[class]")) {
            if (seen.has(token.className)) token.replaceWith(token.textContent);
            seen.add(token.className);
          }
          document.querySelectorAll(".highlight pre").forEach((code) => code.normalize());
        }"""
    )


def _findings(v: Visit, context: Any, options: dict[str, Any]) -> Iterator[str]:
    found = AXE.run(v.page, context, {**options, **QUICKLY})
    for rule in found.response["violations"]:
        if rule["id"] not in EXCEPTIONS:
            first = rule["nodes"][0]
            yield (
                f"{rule['id']} ({rule['impact']}), {len(rule['nodes'])} places: "
                f"{first['html'][:160]} {' '.join(first['failureSummary'].split())}"
            )


def reachable(v: Visit) -> Iterator[str]:
    """What the Tab key does not reach, or reaches unseen; the first stop skips the menus."""
    v.page.evaluate("document.activeElement.blur(), window.scrollTo(0, 0)")
    v.page.keyboard.press("Tab")
    if v.page.evaluate("document.activeElement.getAttribute('href')") != "#main-content":
        yield "the first stop of the Tab key is not the link past the menus"
    yield from v.page.evaluate(
        """() => {
          const sign = (e) => {
            const s = getComputedStyle(e);
            const shape = e.querySelector?.(":scope rect");
            const drawn = shape ? getComputedStyle(shape) : {};
            return [s.outlineStyle === "none" ? "" : s.outline, s.boxShadow, s.border,
              s.textDecorationLine, s.textDecorationThickness, s.backgroundColor,
              drawn.stroke, drawn.strokeWidth, s.left, s.top, s.transform].join();
          };
          const seen = new Set(), wrong = [];
          const all = document.querySelectorAll(
            "a[href], button, input, summary, [tabindex='0'], select, textarea");
          for (const element of all) {
            const kind = element.nodeName + element.getAttribute("class")
              + element.parentElement.className;
            if (seen.has(kind) || !element.checkVisibility({ visibilityProperty: true })) continue;
            seen.add(kind);
            element.blur();
            const before = sign(element);
            element.focus({ preventScroll: true });
            if (document.activeElement !== element) wrong.push("takes no focus: " + kind);
            else if (sign(element) === before) wrong.push("focus is not seen: " + kind);
          }
          for (const element of document.querySelectorAll("[tabindex]"))
            if (element.tabIndex > 0) wrong.push("a stop out of order: " + element.outerHTML);
          return wrong;
        }"""
    )


@contextmanager
def stillness(v: Visit) -> Iterator[None]:
    """Within the context a change comes at once: no menu on its way, no faded colours."""
    v.page.emulate_media(reduced_motion="reduce")
    yield
    # The page answers to its new state before anything else is looked at.
    v.page.evaluate(SETTLED)
    v.page.emulate_media(reduced_motion="no-preference")


def still(v: Visit) -> Iterator[str]:
    """What moves although the reader has asked for stillness."""
    with stillness(v):
        yield from v.page.evaluate(
            """() => {
              const wrong = new Set();
              for (const element of document.querySelectorAll("*")) {
                const s = getComputedStyle(element);
                const longest = (times) => Math.max(...times.split(",").map(parseFloat));
                const name = element.nodeName + "." + element.className;
                if (s.scrollBehavior === "smooth") wrong.add("scrolls smoothly: " + name);
                if (longest(s.transitionDuration) > 0.01) wrong.add("a transition: " + name);
                if (s.animationName !== "none" && longest(s.animationDuration) > 0.01)
                  wrong.add("an animation: " + name);
              }
              return [...wrong];
            }"""
        )


def enlarged(v: Visit) -> Iterator[str]:
    """What does not fit once the text is twice as large."""
    v.page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield from fits(v)
    v.page.evaluate("document.documentElement.style.fontSize = ''")


def printed(v: Visit) -> Iterator[str]:
    """Menus on paper, and what paper cuts off."""
    with stillness(v):
        size = v.page.viewport_size
        v.page.emulate_media(media="print")
        v.page.set_viewport_size({"width": PAPER, "height": 1000})
        yield from v.page.evaluate(
            """() => {
              const shown = (e) => e.checkVisibility({ visibilityProperty: true })
                && e.getBoundingClientRect().height > 0;
              const name = (e) => e.nodeName + "." + e.className;
              const menus = [...document.querySelectorAll(
                "nav, button, .bd-sidebar-primary, .bd-sidebar-secondary, .prev-next-area")];
              // What a formula holds for screen readers is wider than what is seen.
              const needs = (e) => Math.ceil(
                (e.querySelector("mjx-math") ?? { scrollWidth: e.scrollWidth }).scrollWidth);
              const cut = [...document.querySelectorAll(".bd-article *")].filter((e) =>
                !e.closest("svg, mjx-assistive-mml, mjx-math, .visually-hidden")
                && shown(e) && e.clientWidth > 0 && needs(e) > e.clientWidth + 2
                && getComputedStyle(e).overflowX !== "visible");
              return [
                ...menus.filter(shown).map((e) => "printed, though of no use on paper: " + name(e)),
                ...cut.map((e) => "cut off on paper: " + name(e) + " by "
                  + (e.scrollWidth - e.clientWidth) + ": " + e.textContent.trim().slice(0, 40)),
              ];
            }"""
        )
        yield from fits(v)
        v.page.emulate_media(media="null")
        v.page.set_viewport_size(size)


def contrast_in_the_dark(v: Visit) -> Iterator[str]:
    """The same findings in the dark."""
    with stillness(v):
        v.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        yield from contrast(v)
        v.page.evaluate("document.documentElement.dataset.theme = 'light'")


def there(v: Visit) -> Iterator[str]:
    """Text, tables and figures that are not seen, but for what is folded or empty."""
    yield from v.page.evaluate(
        """() => [...document.querySelectorAll(".bd-article :is(p, table, figure, pre)")]
          .filter((e) => !e.closest("details") && !e.checkVisibility({ visibilityProperty: true })
            && (e.textContent.trim() || e.querySelector("img")))
          .map((e) => "not seen: " + e.nodeName + " " + e.textContent.trim().slice(0, 60))"""
    )


Check = Callable[[Visit], Iterator[str]]

#: In this order: bytes are counted at the end of the page, and axe sees thinned formulas.
ON_ARRIVAL: list[Check] = [steady, light, quiet, formulas, headings, figures, fits]
AT_REST: list[Check] = [still, accessible, contrast, contrast_in_the_dark, reachable]
WHEN_WIDE: list[Check] = [printed]
WHEN_NARROW: list[Check] = [enlarged]
FROM_FILES: list[Check] = [quiet, formulas, figures, fits]
WITHOUT_SCRIPTS: list[Check] = [headings, there, fits]


def run(v: Visit, checks: list[Check]) -> list[str]:
    return [f"{check.__name__}: {line}" for check in checks for line in check(v)]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_the_web(chromium: Browser, hosted: str, name: str, width: int) -> None:
    extra = WHEN_WIDE if width == WIDE else WHEN_NARROW
    with visit(chromium, f"{hosted}/{name}.html", width) as v:
        found = run(v, [*ON_ARRIVAL, *extra, *AT_REST])
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_from_the_file_system(chromium: Browser, on_disk: str, name: str) -> None:
    with visit(chromium, f"{on_disk}/{name}.html") as v:
        found = run(v, FROM_FILES)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_scripts(chromium: Browser, on_disk: str, name: str) -> None:
    """Text, figures and tables are there; formulas stay source."""
    with visit(chromium, f"{on_disk}/{name}.html", java_script_enabled=False) as v:
        found = run(v, WITHOUT_SCRIPTS)
        assert not found, "\n".join(found)


# --- what a reader does -------------------------------------------------------------------------


@pytest.fixture(params=["hosted", "on_disk"])
def address(request: pytest.FixtureRequest) -> str:
    """The site on the web, and in the file system."""
    found: str = request.getfixturevalue(request.param)
    return found


def test_the_search_leads_to_a_chapter(chromium: Browser, address: str) -> None:
    with visit(chromium, f"{address}/book/map.html") as v:
        v.page.keyboard.press("Control+k")
        v.page.get_by_role("searchbox").fill("lexicographic")
        v.page.keyboard.press("Enter")
        found = v.page.locator("#search-results a[href*='deep/nacson2019-lexicographic.html']")
        found.first.click()
        expect(v.page.locator("h1:visible")).to_contain_text("Lexicographic")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_menu_leads_to_a_chapter(chromium: Browser, address: str, width: int) -> None:
    with visit(chromium, f"{address}/book/index.html", width) as v:
        if width == NARROW:
            v.page.locator(".primary-toggle").click()
        v.page.get_by_role("navigation", name="Main").get_by_text("Notation").click()
        expect(v.page.locator("h1:visible")).to_contain_text("Notation")


def test_the_theme_is_switched_and_stays(chromium: Browser, address: str) -> None:
    with visit(chromium, f"{address}/book/map.html", color_scheme="light") as v:
        root = v.page.locator("html")
        expect(root).to_have_attribute("data-theme", "light")
        # The first step away from what the system prefers is to the other one.
        v.page.locator(".theme-switch-button:visible").click()
        expect(root).to_have_attribute("data-theme", "dark")
        v.page.goto(f"{address}/book/notation.html")
        expect(root).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("name", BOOK.chapters)
def test_a_link_to_a_claim_leads_there(chromium: Browser, on_disk: str, name: str) -> None:
    """Formulas above the place are typeset after the browser has gone to it."""
    with visit(chromium, f"{on_disk}/{name}.html") as v:
        claims = v.page.locator(".ib-claim").all()
        if not claims:
            pytest.skip("no claim on this page")
        last = claims[-1].get_attribute("id")
    with visit(chromium, f"{on_disk}/{name}.html#{last}") as v:
        expect(v.page.locator(f"#{last}")).to_be_in_viewport()


TURNABLE = [
    f"book/{part}index" for part in ("", "separable/", "deep/", "stability/", "interpolators/")
]


@pytest.mark.parametrize("name", TURNABLE)
def test_figures_turn_by_keyboard(chromium: Browser, address: str, name: str) -> None:
    with visit(chromium, f"{address}/{name}.html") as v:
        figures = v.page.locator(".ib-turn").all()
        assert figures
        for figure in figures:
            knobs = figure.locator("input[type=range]")
            expect(knobs.first).to_be_visible()
            for knob in knobs.all():
                before = figure.locator("svg").inner_html()
                knob.press("ArrowRight")
                expect(figure.locator("svg")).not_to_have_js_property("innerHTML", before)


@pytest.mark.parametrize("name", TURNABLE)
def test_a_phone_shows_the_charts_of_a_figure_one_below_the_other(
    chromium: Browser, on_disk: str, name: str
) -> None:
    with visit(chromium, f"{on_disk}/{name}.html", NARROW) as v:
        for chart in v.page.locator(".ib-turn svg").all():
            scale = chart.evaluate(
                "(e) => e.getBoundingClientRect().width / e.viewBox.baseVal.width"
            )
            assert scale > 0.9, "its labels are too small to be read"
        v.page.set_viewport_size({"width": WIDE, "height": 900})
        shape = "(e) => e.viewBox.baseVal.width > e.viewBox.baseVal.height"
        v.page.wait_for_function(f"[...document.querySelectorAll('.ib-turn svg')].every({shape})")


@pytest.mark.parametrize("name", TURNABLE)
def test_the_still_of_a_turned_figure_is_printed(
    chromium: Browser, on_disk: str, name: str
) -> None:
    with visit(chromium, f"{on_disk}/{name}.html") as v:
        figure = v.page.locator(".ib-turn").first
        expect(figure.locator("svg")).to_be_visible()
        expect(figure.locator("img")).to_be_hidden()
        v.page.emulate_media(media="print")
        expect(figure.locator("img")).to_be_visible()
        expect(figure.locator("svg")).to_be_hidden()
        expect(figure.locator("input").first).to_be_hidden()


def test_the_still_of_a_figure_stays_without_scripts(chromium: Browser, on_disk: str) -> None:
    address = f"{on_disk}/book/index.html"
    with visit(chromium, address, java_script_enabled=False) as v:
        for figure in v.page.locator(".ib-turn").all():
            expect(figure.locator("img")).to_be_visible()
            assert "JavaScript" in figure.inner_text()


def test_text_does_not_wait_for_formulas_for_ever(chromium: Browser, hosted: str) -> None:
    page = chromium.new_page()
    page.route("**/mathjax/**", lambda route: route.abort())
    page.goto(f"{hosted}/book/notation.html")
    expect(page.locator("h1:visible")).to_have_count(1)
    page.close()


# --- the checks, tested -------------------------------------------------------------------------

SOUND = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>
body { margin: 0; background: #fff; color: #222; }
a { color: #00439b; }
.skip { position: absolute; left: -99em; } .skip:focus { left: 0; }
html[data-theme="dark"] body { background: #111; color: #ddd; }
html[data-theme="dark"] a { color: #9cf; }
.wide { overflow-x: auto; } .wide table { width: 1500px; }
:focus-visible { outline: 2px solid red; }
@media print { nav { display: none; } .wide { overflow: visible; } .wide table { width: 90%; } }
</style></head><body>
<a class="skip" href="#main-content">Skip</a>
<nav aria-label="Main"><a href="page.html">Start</a></nav>
<main id="main-content"><article class="bd-article"><h1>A title</h1><h2>A part</h2>
<p>Text, <span class="math"><mjx-container><mjx-math>x</mjx-math></mjx-container></span>.</p>
<figure><img src="a.png" alt="A line that falls from left to right" width="300" height="200">
<figcaption>A line.</figcaption></figure>
<div class="highlight"><pre><span class="k">for</span> x <span class="k">in</span> y</pre></div>
<div class="wide" tabindex="0" role="region" aria-label="Numbers">
<table><tr><th scope="col">n</th></tr><tr><td>1</td></tr></table></div>
</article></main></body></html>"""

ALL = list(
    dict.fromkeys([*ON_ARRIVAL, *WHEN_WIDE, *WHEN_NARROW, *AT_REST, *FROM_FILES, *WITHOUT_SCRIPTS])
)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A served folder with two pictures, one of them heavy, for pages with a mistake."""
    folder = tmp_path_factory.mktemp("desk")
    Image.new("RGB", (300, 200), "white").save(folder / "a.png")
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "heavy.png")
    with served(folder) as address:
        yield folder, address


@contextmanager
def page_with(chromium: Browser, desk: tuple[Path, str], html: str) -> Iterator[Visit]:
    folder, address = desk
    (folder / "page.html").write_text(html, encoding="utf-8")
    with visit(chromium, f"{address}/page.html", NARROW) as v:
        yield v


def test_a_sound_page_passes_every_check(chromium: Browser, desk: tuple[Path, str]) -> None:
    with page_with(chromium, desk, SOUND) as v:
        assert run(v, ALL) == []


END = "</article>"

MISTAKES: list[tuple[Check, str, str, str]] = [
    (quiet, END, f"<script>undefined.x</script>{END}", "error: "),
    (quiet, END, f"<script>console.warn('careful')</script>{END}", "warning: careful"),
    (quiet, END, f"<script src='gone.js'></script>{END}", "404"),
    (quiet, END, f"<script src='http://127.0.0.1:9/gone.js'></script>{END}", "gone.js"),
    (
        formulas,
        "<mjx-math>x",
        "<mjx-merror>Undefined control sequence</mjx-merror><mjx-math>",
        "Und",
    ),
    (formulas, "<mjx-container><mjx-math>x</mjx-math></mjx-container>", "\\(x\\)", "not typeset"),
    (headings, "<h2>A part</h2>", "<h1>A part</h1>", "2 headings of the first level"),
    (headings, "<h1>A title</h1>", "", "0 headings of the first level"),
    (headings, "<h2>A part</h2>", "<h3>A part</h3>", "level 3 after level 1"),
    (figures, 'alt="A line that falls from left to right"', 'alt=""', "says too little"),
    (figures, 'alt="A line that falls from left to right"', 'alt="Figure 1"', "says too little"),
    (figures, "<figcaption>A line.</figcaption>", "", "no caption"),
    (figures, 'src="a.png"', 'src="data:image/png;base64,AA"', "did not come"),
    (fits, "<h2>", '<h2 style="width: 2000px">', "H2"),
    (fits, ".wide { overflow-x: auto; }", "", "wider than the window: 1500 > 390"),
    (
        steady,
        END,
        f"<script>setTimeout(() => document.querySelector('h2').style.marginTop = '300px', 200)"
        f"</script>{END}",
        "moves by",
    ),
    (light, 'src="a.png"', 'src="heavy.png"', "heavy.png"),
    (accessible, END, f"<button></button>{END}", "button-name (critical)"),
    (accessible, '<html lang="en">', "<html>", "html-has-lang (serious)"),
    (accessible, ' tabindex="0" role="region" aria-label="Numbers"', "", "scrollable-region"),
    (accessible, '<th scope="col">n</th>', '<th scope="col"></th>', "empty-table-header"),
    (contrast, "color: #222", "color: #999", "color-contrast (serious)"),
    (contrast, '<span class="k">for', '<span class="k" style="color: #aaa">for', "color-contrast"),
    (contrast_in_the_dark, "color: #9cf", "color: #333", "color-contrast (serious)"),
    (reachable, '<a class="skip" href="#main-content">Skip</a>', "", "first stop"),
    (
        reachable,
        ":focus-visible { outline: 2px solid red; }",
        "a:focus { outline: 0; }",
        "not seen",
    ),
    (reachable, "<h1>", '<h1 tabindex="3">', "out of order"),
    (still, "body {", "html { scroll-behavior: smooth; } body {", "scrolls smoothly: HTML"),
    (still, "a {", "h2 { transition: color 1s; } a {", "a transition: H2"),
    (
        still,
        "a {",
        "@keyframes turn { to { opacity: 0.5; } } h2 { animation: turn 1s; } a {",
        "an animation: H2",
    ),
    (enlarged, "<h2>", '<h2 style="font-size: 1rem; width: 20rem">', "wider than the window"),
    (there, "<p>Text", '<p style="display: none">Text', "not seen: P Text"),
    (there, "<figure>", '<figure style="visibility: hidden">', "not seen: FIGURE"),
    (printed, "nav { display: none; }", "", "of no use on paper: NAV"),
    (printed, ".wide { overflow: visible; } .wide table { width: 90%; }", "", "cut off on paper"),
]


@pytest.mark.parametrize(
    ("check", "old", "new", "expected"),
    MISTAKES,
    ids=[f"{check.__name__}-{number}" for number, (check, *_) in enumerate(MISTAKES)],
)
def test_a_mistake_is_found(
    chromium: Browser, desk: tuple[Path, str], check: Check, old: str, new: str, expected: str
) -> None:
    assert old in SOUND
    with page_with(chromium, desk, SOUND.replace(old, new, 1)) as v:
        found = list(check(v))
    assert [line for line in found if expected in line], found


def test_every_check_has_a_mistake_that_it_finds() -> None:
    assert {check for check, *_ in MISTAKES} == set(ALL)
