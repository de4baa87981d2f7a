"""Texts of a folder of chunk files, for what is measured over real lengths."""
import json
from pathlib import Path


def texts_in(data):
    for chunk in data if isinstance(data, list) else data.get("chunks", []):
        text = chunk.get("text") or chunk.get("content") or ""
        if text.strip():
            yield text


def chunk_texts(folder):
    """Every text once, in the order of the files' paths: whoever embeds equal
    texts once would otherwise be compared with one who embeds them again."""
    found = {}
    for path in sorted(Path(folder).rglob("*_chunks.json")):
        found.update(dict.fromkeys(texts_in(json.loads(path.read_text("utf-8")))))
    return list(found)


def spread(texts, count):
    """COUNT texts, evenly over the lengths, in their old order: few texts have
    the lengths' distribution of many."""
    if not count or count >= len(texts):
        return texts
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    picked = sorted(order[(2 * k + 1) * len(texts) // (2 * count)] for k in range(count))
    return [texts[i] for i in picked]
