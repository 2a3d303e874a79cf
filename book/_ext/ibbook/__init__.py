"""The machinery of the book: it executes chapters, keeps the ledger and refuses what is unproven.

`execute` runs the chapters, `records` reads the claims out of them, `statements` collects the
labelled results while Sphinx reads the pages, `chain` holds the two together, and `ledger`,
`results_map` and `results_index` show the score. `search`, `bibliography`, `citing` and `downloads`
help to find things and to take them away, and `printing` makes the PDF. `seeds` executes the
chapters once more with other seeds, and `elsewhere` where other code computes, each in a process
that `trial` describes. `sphinx_ext` hangs all of it into Sphinx; `__main__` is the command line
behind the Makefile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Load the Sphinx extension; the other modules are importable without Sphinx."""
    from ibbook import sphinx_ext

    return sphinx_ext.setup(app)
