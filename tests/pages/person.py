"""The browser of a person who agrees to everything, for servers that ask nothing: follows every redirect.

    person.py URL

A program starts it as its browser, by the variable BROWSER.
"""

import sys
import urllib.error
import urllib.request

PATIENCE = 30  # seconds for one page


class Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: its target is what is wanted."""

    def redirect_request(self, *_arguments):
        return None


def visit(url: str) -> None:
    """Opens a page and goes wherever it leads."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as page:
        page.read()


def sent_to(url: str) -> str:
    """The address that a page sends the browser to, which is not opened."""
    try:
        urllib.request.build_opener(Stays).open(url, timeout=PATIENCE)
    except urllib.error.HTTPError as answer:
        if location := answer.headers.get("location"):
            return location
    raise ValueError("the page leads nowhere")


if __name__ == "__main__":
    visit(sys.argv[1])
