"""The map of results: which statement leans on which, as a static SVG with a text twin.

Two channels, as in a proof blueprint: the border tells how well the statement is known, the fill
what was measured. Layers are laid out by igraph's Sugiyama method, a chapter at a time; chapters
stand below one another, and what leans on another chapter is drawn across.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import groupby, pairwise

import igraph
import numpy as np
from scipy.optimize import isotonic_regression

from ibbook.statements import Statement

NODE_WIDTH, NODE_HEIGHT = 134, 74
GAP_X, GAP_Y = 14, 42
MARGIN, HEADING = 16, 34
#: Room for an arrow that passes through a layer, and rounds of placing.
VIRTUAL_WIDTH, SWEEPS = 12, 24

Link = Callable[[str, str], str]
Point = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """The layout of one chapter: where its statements lie and how its arrows run."""

    docname: str
    centres: dict[str, Point]
    routes: list[tuple[str, str, list[Point]]]
    width: float
    height: float


def _depths(statements: Sequence[Statement]) -> dict[str, int]:
    """The layer of each statement: one below the lowest that it leans on."""
    within = {s.id for s in statements}
    uses = {s.id: [u for u in s.uses if u in within] for s in statements}
    depth: dict[str, int] = {}
    for label in TopologicalSorter(uses).static_order():
        depth[label] = max((depth[u] + 1 for u in uses[label]), default=0)
    return depth


def _columns(
    layers: Sequence[int], widths: Sequence[float], edges: Sequence[tuple[int, int]]
) -> list[float]:
    """Centres across the page: few crossings, near their neighbours, nothing overlapping.

    igraph's Sugiyama method settles the order within each layer, as if all vertices were equally
    wide. The places then follow by sweeps: each layer moves towards its neighbours as far as the
    order and the widths allow, which is an isotonic regression.
    """
    graph = igraph.Graph(n=len(layers), edges=edges, directed=True)
    order = np.array([x for x, _ in graph.layout_sugiyama(layers=list(layers), maxiter=500).coords])
    rows = [np.flatnonzero(np.equal(layers, k)) for k in range(max(layers) + 1)]
    rows = [row[np.argsort(order[row], kind="stable")] for row in rows]
    offsets = [_offsets(np.take(widths, row)) for row in rows]
    place = np.empty(len(layers))
    for row, offset in zip(rows, offsets, strict=True):
        place[row] = offset
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for row, offset in list(zip(rows, offsets, strict=True))[::step]:
            wanted = [
                np.mean(place[near]) if (near := graph.neighbors(i)) else place[i] for i in row
            ]
            place[row] = isotonic_regression(np.array(wanted) - offset).x + offset
    left = min(place - np.array(widths) / 2)
    return [float(x - left) for x in place]


def _offsets(widths: np.ndarray) -> np.ndarray:
    """Centres of boxes of these widths set side by side with a gap."""
    ends = np.cumsum(widths + GAP_X)
    return np.asarray(ends - widths / 2)


def _panel(statements: Sequence[Statement]) -> Panel:
    """Lay out the statements of one chapter, premises at the top.

    An arrow over several layers gets a virtual vertex in each one between, so that the layout
    keeps its way free.
    """
    depth = _depths(statements)
    index = {s.id: i for i, s in enumerate(statements)}
    layers = [depth[s.id] for s in statements]
    routes: list[tuple[str, str, list[int]]] = []
    for s in statements:
        for used in s.uses:
            if used in index:
                between = range(depth[used] + 1, depth[s.id])
                virtual = list(range(len(layers), len(layers) + len(between)))
                layers += between
                routes.append((used, s.id, [index[used], *virtual, index[s.id]]))
    edges = [pair for _, _, path in routes for pair in pairwise(path)]
    widths: list[float] = [NODE_WIDTH] * len(statements)
    widths += [VIRTUAL_WIDTH] * (len(layers) - len(statements))
    across = _columns(layers, widths, edges)
    down = NODE_HEIGHT + GAP_Y
    points = [(x, NODE_HEIGHT / 2 + down * k) for x, k in zip(across, layers, strict=True)]
    return Panel(
        statements[0].docname,
        {s.id: points[i] for s, i in zip(statements, index.values(), strict=True)},
        [(a, b, [points[i] for i in path]) for a, b, path in routes],
        max(x for x, _ in points) + NODE_WIDTH / 2,
        max(y for _, y in points) + NODE_HEIGHT / 2,
    )


def as_svg(
    statements: Sequence[Statement],
    status: Mapping[str, str],
    titles: Mapping[str, str],
    link: Link,
) -> str:
    """Draw the map.

    Parameters
    ----------
    statements : sequence of Statement
        In the order of the book, the statements of a chapter together.
    status : mapping
        From the id of a result to the status of its claim.
    titles : mapping
        From the name of a page to its title.
    link : callable
        From a page's name and an anchor to an address relative to the map's page.
    """
    panels = [_panel(list(group)) for _, group in groupby(statements, key=lambda s: s.docname)]
    tops, y = [], float(MARGIN)
    for panel in panels:
        tops.append(y + HEADING)
        y += HEADING + panel.height + GAP_Y
    width = max((p.width for p in panels), default=0.0) + 2 * MARGIN
    place = {
        label: (x + MARGIN, y + top)
        for panel, top in zip(panels, tops, strict=True)
        for label, (x, y) in panel.centres.items()
    }
    parts = [
        # It shrinks with the page down to the size at which its words can still be read.
        f'<svg class="ib-map" viewBox="0 0 {width:.0f} {y:.0f}" '
        f'style="min-width: {0.8 * width:.0f}px; max-width: {width:.0f}px" '
        'role="group" aria-labelledby="ib-map-title" '
        'xmlns="http://www.w3.org/2000/svg">',
        '<title id="ib-map-title">Which leans on which</title>',
        '<defs><marker id="ib-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" class="ib-arrow-head"/>'
        "</marker></defs>",
    ]
    for panel, top in zip(panels, tops, strict=True):
        title = html.escape(titles.get(panel.docname, panel.docname))
        parts.append(
            f'<a href="{link(panel.docname, "")}"><text class="ib-map-chapter" x="{MARGIN}" '
            f'y="{top - 12:.0f}">{title}</text></a>'
        )
        for _, _, path in panel.routes:
            parts.append(_edge([(x + MARGIN, y + top) for x, y in path], "ib-edge"))
    inside = {(a, b) for panel in panels for a, b, _ in panel.routes}
    for s in statements:
        for label in s.uses:
            if label in place and (label, s.id) not in inside:
                parts.append(_edge([place[label], place[s.id]], "ib-edge ib-edge-across"))
    parts += [_node(s, place[s.id], status.get(s.id, ""), link) for s in statements]
    parts.append("</svg>")
    return "\n".join(parts)


def _edge(path: Sequence[Point], kind: str) -> str:
    """A smooth arrow from below the first point to above the last, straight down between nodes.

    It bends only in the gaps between layers, where no node is in its way.
    """
    half = NODE_HEIGHT / 2 if path[-1][1] >= path[0][1] else -NODE_HEIGHT / 2
    data = f"M{path[0][0]:.1f},{path[0][1] + half:.1f}"
    for (ax, ay), (bx, by) in pairwise(path):
        top, bottom = ay + half, by - half
        if (ax, ay) != path[0]:
            data += f" L{ax:.1f},{top:.1f}"
        bend = (bottom - top) / 2
        data += f" C{ax:.1f},{top + bend:.1f} {bx:.1f},{bottom - bend:.1f} {bx:.1f},{bottom:.1f}"
    return f'<path class="{kind}" d="{data}" marker-end="url(#ib-arrow)"/>'


def _node(statement: Statement, centre: Point, status: str, link: Link) -> str:
    x, y = centre[0] - NODE_WIDTH / 2, centre[1] - NODE_HEIGHT / 2
    kind = status.replace(" ", "-") if statement.is_result else "premise"
    radius = 6 if statement.is_result else NODE_HEIGHT / 2
    head = f"{statement.kind.capitalize()} {statement.number}".strip()
    lines = textwrap.wrap(statement.content, 20, max_lines=3, placeholder=" …")
    texts = [f'<text class="ib-node-name" x="{centre[0]:.1f}" y="{y + 19:.1f}">{head}</text>']
    texts += [
        f'<text x="{centre[0]:.1f}" y="{y + 35 + 14 * i:.1f}">{html.escape(line)}</text>'
        for i, line in enumerate(lines)
    ]
    label = html.escape(f"{statement.full_name}. {status or 'premise'}")
    return (
        f'<a href="{link(statement.docname, statement.id)}" '
        f'class="ib-node ib-{kind} ib-known-{statement.provenance or "premise"}">'
        f"<title>{label}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" '
        f'rx="{radius:g}"/>{"".join(texts)}</a>'
    )


def of_chapters(
    statements: Sequence[Statement], titles: Mapping[str, str], papers: Mapping[str, str]
) -> tuple[list[Statement], dict[str, str]]:
    """The map seen from afar: a node a chapter, which leans on those that its results lean on.

    Parameters
    ----------
    statements : sequence of Statement
        In the order of the book, the statements of a chapter together.
    titles : mapping
        From the name of a page to its title.
    papers : mapping
        From the name of a chapter to the author and year of its paper.

    Returns
    -------
    chapters : list of Statement
        Their id is the name of the chapter, their page the introduction of its part.
    results : dict
        From the name of a chapter to the number of its results, in words.
    """
    home = {s.id: s.docname for s in statements}
    chapters, results = [], {}
    for docname, group in groupby(statements, key=lambda s: s.docname):
        own = list(group)
        used = sorted({home[u] for s in own for u in s.uses if u in home} - {docname})
        part = f"{docname.rpartition('/')[0]}/index"
        chapters.append(Statement(docname, papers[docname], titles[docname], part, tuple(used)))
        count = sum(s.is_result for s in own)
        results[docname] = f"{count} result{'s' if count != 1 else ''}"
    return chapters, results


def as_list(
    statements: Sequence[Statement],
    status: Mapping[str, str],
    titles: Mapping[str, str],
    link: Link,
) -> str:
    """The map in words: for each statement, what it leans on and what was measured.

    Parameters
    ----------
    statements, status, titles, link
        As in `as_svg`.
    """
    e = html.escape
    by_id = {s.id: s for s in statements}

    def anchor(s: Statement) -> str:
        return f'<a href="{link(s.docname, s.id)}">{e(s.name)}</a>'

    parts = []
    for docname, group in groupby(statements, key=lambda s: s.docname):
        parts.append(
            f'<h2><a href="{link(docname, "")}">{e(titles.get(docname, docname))}</a></h2>'
        )
        parts.append("<ul>")
        for s in group:
            rests = ", ".join(anchor(by_id[label]) for label in s.uses if label in by_id)
            content = f": {e(s.content)}" if s.number else ""
            parts.append(
                f"<li>{anchor(s)}{content}. "
                + (f"Leans on {rests}. " if rests else "Leans on nothing before it. ")
                + (f"<em>{e(status[s.id])}</em>" if s.id in status else "")
                + "</li>"
            )
        parts.append("</ul>")
    return "\n".join(parts)
