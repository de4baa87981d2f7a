#!/usr/bin/env python3
"""Cut this project's documentation into V5 chunks: examples/chunks.

    tools/cut_docs.py            write them anew
    tools/cut_docs.py --check    exit 1 if they are not what would be written

A chunk is a section of a document, or a part of a long one, cut between
paragraphs. Fenced blocks hold what programs printed and are left out. The same
documents give the same bytes.
"""
import argparse
import collections
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "examples" / "chunks"
COLLECTIONS = {
    "Guide": ["README.md", "docs/chunks.md", "docs/events.md",
              "docs/hub.md", "docs/long-texts.md", "docs/memory.md",
              "docs/models.md", "docs/names.md", "docs/outputs.md",
              "docs/search.md", "docs/sim.md", "docs/tokenizers.md"],
    "Development": ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"],
}
CHARACTERS_MAX = 500
TOP_TERMS = 20
HEADING = re.compile(r"^(#{1,3}) (.*)$")
ITEM = re.compile(r"^(\||- |\d+\. )")
FENCE = re.compile(r"^```")


def sections(text):
    """(headings above and with it, lines) of each section, in order."""
    path, lines, fenced = [], [], False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
            continue
        if fenced:
            continue
        heading = HEADING.match(line)
        if heading:
            if lines:
                yield list(path), lines
            depth = len(heading.group(1))
            path = path[:depth - 1] + [heading.group(2)]
            lines = []
        lines.append(line)
    if lines:
        yield list(path), lines


def paragraphs(lines):
    """Blocks between blank lines; a long table or list is several."""
    block = []
    for line in lines + [""]:
        full = (len("\n".join(block)) > CHARACTERS_MAX - 200
                and ITEM.match(line))
        if line.strip() and not full:
            block.append(line)
            continue
        if block:
            yield "\n".join(block)
        block = [line] if line.strip() else []


def parts(lines):
    """The text of a section in pieces of about CHARACTERS_MAX."""
    piece = ""
    for block in paragraphs(lines):
        if piece and len(piece) + len(block) > CHARACTERS_MAX:
            yield piece
            piece = ""
        piece = f"{piece}\n\n{block}" if piece else block
    if piece.strip():
        yield piece


def content_type(text):
    lines = [line for line in text.splitlines() if line.strip()]
    for kind, start in (("table_section", "|"), ("code_block", "    "),
                        ("list_section", ("- ", "* ", "1. ", "2. "))):
        if sum(line.startswith(start) for line in lines) * 2 > len(lines):
            return kind
    return "prose_section"


def sparse_features(text):
    terms = re.findall(r"[A-Za-z0-9]{3,}", text.lower())
    counts = collections.Counter(terms)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_TERMS]
    return {
        "version": "1.0",
        "weighting": "tf-normalized",
        "top_terms": [term for term, _ in top],
        "term_weights": [{"term": term, "tf": tf, "weight": tf / len(terms)}
                         for term, tf in top],
        "unique_terms": len(counts),
        "total_terms": len(terms),
    }


def chunk(source, index, path, text, collection):
    document_id = hashlib.md5(source.lower().encode()).hexdigest()[:12]
    digest = hashlib.sha1(text.encode()).hexdigest()[:16]
    kind = content_type(text)
    tokens = len(re.findall(r"\w+|[^\w\s]", text))
    return {
        "text": text,
        "metadata": {
            "chunk_id": f"{document_id}-{index:04d}",
            "document_id": document_id,
            "document_name": pathlib.PurePosixPath(source).stem,
            "source_file": source,
            "file_extension": ".md",
            "chunk_index": index,
            "section_path": path,
            "heading_text": path[-1] if path else "",
            "hierarchy_path": " > ".join(path),
            "content_type": kind,
            "modal_hint": "code" if kind == "code_block" else "prose",
            "token_count": tokens,
            "char_count": len(text),
            "chunk_hash": digest,
            "content_digest": digest,
            "payload_version": "1.3",
            "chunking_strategy": "sections",
            "collection_name": collection,
            "collection_hints": [collection.lower()],
            "sparse_features": sparse_features(text),
        },
    }


def cut(source, collection):
    text = (ROOT / source).read_text(encoding="utf-8")
    chunks = []
    for path, lines in sections(text):
        for piece in parts(lines):
            if len(piece.splitlines()) == 1 and HEADING.match(piece):
                continue  # a heading with nothing under it
            chunks.append(chunk(source, len(chunks), path, piece, collection))
    return json.dumps(chunks, ensure_ascii=False, indent=1) + "\n"


def wanted():
    for collection, sources in COLLECTIONS.items():
        for source in sources:
            name = pathlib.PurePosixPath(source).stem + "_chunks.json"
            yield OUT / collection / name, cut(source, collection)


def check(files):
    wrong = [path for path, text in files.items()
             if not path.exists() or path.read_text(encoding="utf-8") != text]
    wrong += [path for path in OUT.rglob("*.json") if path not in files]
    for path in wrong:
        print(f"{path.relative_to(ROOT)} is not what tools/cut_docs.py makes")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    files = dict(wanted())
    if parser.parse_args().check:
        return check(files)
    for path in OUT.rglob("*.json"):
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {OUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
