"""What a reader can take away: the list on the front page, the button of a chapter."""

from __future__ import annotations

from ibbook.book import PDF
from ibbook.citing import REFERENCES

#: The environment variable that tells a build that it is going to be printed.
VARIABLE = "IBBOOK_PDF"


def as_html(up: str, *, with_pdf: bool) -> str:
    """The files of the whole book as a list; nothing that is not there.

    Parameters
    ----------
    up : str
        From the page to the folder of the site.
    with_pdf : bool
        Whether the book is printed.
    """
    files = {
        "ledger.json": "every claim with its numbers, for machines",
        REFERENCES.name: "the papers, as BibTeX",
    }
    if with_pdf:
        files = {PDF: "the whole book, for paper"} | files
    items = (f'<li><a href="{up}{name}">{name}</a>: {text}</li>' for name, text in files.items())
    return f'<ul class="ib-downloads">{"".join(items)}</ul>'


def button(address: str) -> dict[str, str]:
    """The entry of a chapter's download menu for its BibTeX.

    Parameters
    ----------
    address : str
        Address of the file.
    """
    return {
        "type": "link",
        "url": address,
        "text": ".bib",
        "tooltip": "Download BibTeX of the chapter and its paper",
        "icon": "fas fa-quote-right",
        "label": "download-bibtex-button",
    }
