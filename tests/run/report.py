"""report.html as a parser reads it and as a browser shows it.

    tests/run/report.py build/test_run_report
    tests/run/report.py --file OUT/report.html

Without chromium the page is only parsed.
"""
import html.parser
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import judge

VOID = {"meta", "br", "path"}  # path: written as <path .../>
ALLOWED = {"html", "meta", "title", "style", "body", "header", "h1", "h2", "h3",
           "p", "ul", "li", "b", "i", "br", "div", "span", "svg", "path",
           "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td",
           "code", "details", "summary", "footer"}


class Page(html.parser.HTMLParser):
    """The text of a page, after checking every tag of it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.pieces, self.policy = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        self.text = re.sub(r"[\s\u00a0]+", " ", "".join(self.pieces))

    def handle_starttag(self, tag, attributes):
        assert tag in ALLOWED, f"<{tag}> has no place in a report"
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name, value)
            assert name not in ("src", "href", "srcset", "action"), (tag, name)
            assert "url(" not in (value or ""), (tag, name, value)
            if name == "content" and "default-src" in value:
                self.policy = value
        if tag not in VOID:
            self.open.append(tag)
        self.pieces.append("" if tag in ("b", "i", "span", "code") else " ")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        assert tag == "path", tag

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            assert "@import" not in data and "url(" not in data
        else:
            self.pieces.append(data)


def bytes_text(count):
    units = ["B", "KiB", "MiB", "GiB"]
    unit = 0
    while count >= 999.5 and unit < 3:
        count, unit = count / 1024, unit + 1
    return f"{count:.3g} {units[unit]}" if count < 999.5 else f"{count:.0f}"


def check_drift(text, drift):
    """A row a head, with a note where it is below the bound, and only there."""
    if "skipped" in drift:
        assert drift["skipped"] in text, f"not in the page: {drift['skipped']}"
        return
    for head, cosines in drift["heads"].items():
        low = cosines["lowest_cosine"]
        row = f" {head} {drift['texts']} {low:.5f} {cosines['median_cosine']:.5f}"
        assert row in text, f"not in the page: {row}"
        note = f"{row} below {drift['bound']} "
        assert (note in text) == (low < drift["bound"]), f"in the page or not: {note}"


def check_bar(page, summary):
    """Where the time went: loading is a part of a pass."""
    passes = [p for c in summary["collections"] for p in c.get("passes", [])]
    load = sum(p.get("load_ms", 0) for p in passes)
    whole = sum(p["duration_ms"] for p in passes)
    all_ms = summary["duration_ms"]
    bar = re.search(r"<div class=bar>(.*?)</div>", page).group(1)
    widths = [float(w) for w in re.findall(r"width:([0-9.]+)%", bar)]
    wanted = [load, whole - load, all_ms - whole]
    assert len(widths) == 3, widths
    for width, ms in zip(widths, wanted):
        assert abs(width - 100 * ms / all_ms) < 0.006, (widths, wanted)


def check_text(text, summary):
    """What the summary says must be in the page, as text."""
    chunks = [c["chunks"] for c in summary["collections"] if "chunks" in c]
    found = sum(c["found"] for c in chunks)
    embedded = sum(c["embedded"] for c in chunks)
    wanted = [f"{embedded} of {found} chunks are embedded",
              "1 of 4 collections failed",
              summary["command"], "run the same command again",
              "budget_shrunk", "16,384 \u2192 8,192 tokens",
              "free memory is under the margin", "ceiling 11.1 GiB",
              "429 <Too Many Requests>", "2" * 40, "40.0 MiB",
              'x/\ufffd<script>alert(1)</script>: "bytes" & \'quotes\'',
              "x\ufffd#1"]
    for collection in summary["collections"]:
        wanted += [collection["collection"], collection["status"],
                   collection.get("error", {}).get("message", "")]
        for problem in collection.get("problems", []):
            wanted += [f"{problem['file']}:3:9", problem["message"]]
        for entry in collection["passes"]:
            wanted += [entry["model"], f"{entry['tokens']:,}",
                       bytes_text(entry["memory"]["planned"]["private_bytes"]),
                       bytes_text(entry["memory"]["private_peak_bytes"])]
            wanted += entry.get("truncated_chunks", [])
            if "drift" in entry:
                check_drift(text, entry["drift"])
            wanted += [f["reason"] for f in entry.get("failed_chunks", [])]
            for budgets in entry["budgets"]:
                wanted += [n if isinstance(n, str) else f"{n:,}"
                           for n in budgets.values()]
    for piece in wanted:
        assert piece in text, f"not in the page: {piece}"


# ---- in a browser ----------------------------------------------------------

def browse(browser, page, *options):
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu",
             "--hide-scrollbars", f"--user-data-dir={profile}", *options,
             page.as_uri()], check=True, timeout=120, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=dict(os.environ, LANG="C.UTF-8")
        ).stdout.decode("utf-8")


def unfilter(kind, row, above, step):
    """A line of a PNG, by the definition of its five filters."""
    for i, value in enumerate(row):
        left = row[i - step] if i >= step else 0
        up = above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda v: abs(near - v))
        row[i] = (value + guess) & 255


def read_png(path):
    """The rows of a picture, each a list of (red, green, blue)."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, _, depth, colours = struct.unpack(">IIBB",
                                                     data[at + 8:at + 18])
            assert depth == 8 and colours in (2, 6), (depth, colours)
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += size + 12
    step = 3 if colours == 2 else 4
    raw, line, above = zlib.decompress(packed), width * step, None
    above = bytearray(line)
    rows = []
    for start in range(0, len(raw), line + 1):
        row = bytearray(raw[start + 1:start + 1 + line])
        if raw[start]:
            unfilter(raw[start], row, above, step)
        rows.append([tuple(row[i:i + 3]) for i in range(0, line, step)])
        above = row
    return rows


def look(rows, limit, page):
    """The ceiling is one line across the chart, and nothing leaves the
    window sideways."""
    width = len(rows[0])
    found = [row for row in rows
             if sum(pixel == limit for pixel in row) > 0.6 * width]
    assert found, "no ceiling line to be seen"
    for row in rows:
        assert row[0] == page and row[-1] == page, "wider than the window"
    colours = {pixel for row in rows for pixel in row}
    assert len(colours) > 50, f"only {len(colours)} colours: no text?"


def check_browser(browser, page, source):
    shown = browse(browser, page, "--dump-dom")
    assert "<script" not in shown.lower(), "a script came to life"
    assert "<img" not in shown.lower(), "an image came to life"
    shown = re.sub("</?head>|</path>", "", shown)  # what a browser adds
    assert Page(shown).text.split() == source.text.split(), \
        "the browser reads another text"
    with tempfile.TemporaryDirectory() as folder:
        picture = pathlib.Path(folder) / "page.png"
        for size, options, limit, ground in (
                ("1000,1000", [], (0xb3, 0x26, 0x1e), (0xfb, 0xfa, 0xf8)),
                ("500,2400", ["--blink-settings=preferredColorScheme=0"],
                 (0xef, 0x7f, 0x76), (0x16, 0x16, 0x14))):
            browse(browser, page, f"--screenshot={picture}",
                   f"--window-size={size}", *options)
            look(read_png(picture), limit, ground)


def parse(page):
    text = page.read_text("utf-8")
    source = Page(text)
    assert "default-src 'none'" in source.policy
    assert "http:" not in text and "https:" not in text
    return source


def main():
    if sys.argv[1] == "--file":
        parse(pathlib.Path(sys.argv[2]))
        print("report.html: parsed")
        return
    with open("tests/fixtures/report/summary.json", encoding="utf-8") as file:
        summary = json.load(file)
    with judge.files_of(sys.argv[1]) as folder:
        page = folder / "report.html"
        source = parse(page)
        check_text(source.text, summary)
        check_bar(page.read_text("utf-8"), summary)
        print("report.html: parsed")
        names = ("chromium", "chromium-browser", "google-chrome")
        browser = next(filter(None, map(shutil.which, names)), None)
        if browser:
            check_browser(browser, page, source)
            print("report.html: looked at in a browser")
        else:
            print("skip: no chromium to look at the page")


main()
