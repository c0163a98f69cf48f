"""A browser without a screen: opens a page, follows its redirects, and signs in at the first form that it meets.

    browser.py URL
"""

import sys
import urllib.parse
import urllib.request
from html.parser import HTMLParser


class Form(HTMLParser):
    """The first form of a page, with the values that it comes with."""

    action, fields = None, {}

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        if tag in ("input", "button") and self.action is not None and found.get("name"):
            # Of several buttons the first one is pressed.
            self.fields.setdefault(found["name"], found.get("value") or "anything")


opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
answer = opener.open(sys.argv[1], timeout=20)
for _ in range(6):
    page, form = answer.read().decode(errors="replace"), Form()
    form.fields = {}
    form.feed(page)
    if form.action is None:
        break
    target = urllib.parse.urljoin(answer.geturl(), form.action)
    answer = opener.open(target, urllib.parse.urlencode(form.fields).encode(), timeout=20)
