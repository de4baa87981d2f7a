"""Raw rows of bench/table.py, and the table that they make.

A row is one process (kind "run"), one measurement of the roof (kind "roof") or
the size of batches that suits an engine (kind "batch"), a JSON object a line.
Nothing but the file goes into the table, so that it can be printed again.
"""
import json
from statistics import median

OURS = "ensembed"
REFERENCE = "st-f32"
TYPES = ["f32", "bf16", "int8"]
HEAD = ["engine", "numbers", "batch", "tokens/s", "least to most", "of the roof", "of oneDNN's",
        "x sentence-transformers", "x fastest other", "lowest cosine", "median cosine", "load s", "peak MiB"]


def read_rows(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def rate(row):
    return row["tokens"] / row["seconds"]


def tables(rows):
    """The rows of each table: one model, one set of texts, one number of threads,
    one set of instructions that all are held to."""
    found = {}
    for row in rows:
        found.setdefault((row["model"], row["texts_id"], row["threads"], row.get("held")), []).append(row)
    return list(found.values())


class Table:
    def __init__(self, rows):
        self.roofs = [row for row in rows if row["kind"] == "roof"]
        self.peers = {}
        for row in rows:
            if row["kind"] == "run":
                self.peers.setdefault(row["peer"], []).append(row)

    def done(self, peer):
        return [row for row in self.peers.get(peer, []) if "absent" not in row]

    def speed(self, peer):
        done = self.done(peer)
        return median(map(rate, done)) if done else None

    def fastest_other(self, numbers):
        speeds = [self.speed(peer) for peer, rows in self.peers.items()
                  if rows[0]["numbers"] == numbers and rows[0]["engine"] != OURS]
        return max((speed for speed in speeds if speed), default=None)

    def shares(self, peer, roof):
        """Of the highest roof of the same round and type."""
        found = []
        for row in self.done(peer):
            gflops = [r[roof] for r in self.roofs if r["round"] == row["round"]
                      and r["numbers"] == row["numbers"] and r.get(roof)]
            if gflops and row.get("flops_per_token"):
                found.append(rate(row) * row["flops_per_token"] / 1e9 / max(gflops))
        return found

    def line(self, peer):
        first = self.peers[peer][0]
        done = self.done(peer)
        if not done:
            return [first["engine"], first["numbers"], "", self.peers[peer][-1]["absent"]] + [""] * 9
        speeds = list(map(rate, done))
        lowest = [row["cosines"][0] for row in done if row.get("cosines")]
        middle = [row["cosines"][1] for row in done if row.get("cosines")]
        batches = dict.fromkeys(str(row["batch"]) for row in done if row.get("batch"))
        return [first["engine"], first["numbers"], ", ".join(batches), f"{median(speeds):,.0f}",
                f"{min(speeds):,.0f} to {max(speeds):,.0f}",
                percent(self.shares(peer, "gflops")), percent(self.shares(peer, "onednn_gflops")),
                times(median(speeds), self.speed(REFERENCE)),
                times(median(speeds), self.fastest_other(first["numbers"])),
                f"{min(lowest):.5f}" if lowest else "", f"{median(middle):.5f}" if middle else "",
                f"{median(row['load_seconds'] for row in done):.2f}",
                f"{max(row['peak_mib'] for row in done):.0f}"]

    def order(self):
        """By type; ours first, then the fastest."""
        return sorted(self.peers, key=lambda peer: (
            TYPES.index(self.peers[peer][0]["numbers"]),
            self.peers[peer][0]["engine"] != OURS, -(self.speed(peer) or 0)))


def percent(shares):
    return f"{100 * median(shares):.0f} %" if shares else ""


def times(speed, other):
    return f"{speed / other:.2f}" if other else ""


def roof_line(roofs, numbers):
    found = [row for row in roofs if row["numbers"] == numbers]
    if not found:
        return None
    ours = [row["gflops"] for row in found]
    said = f"roof, {numbers}: {median(ours):.0f} GFLOP/s ({min(ours):.0f} to {max(ours):.0f})"
    theirs = [row["onednn_gflops"] for row in found if row.get("onednn_gflops")]
    return said + (f"; oneDNN {median(theirs):.0f} ({min(theirs):.0f} to {max(theirs):.0f})" if theirs else "")


def distinct(rows, name):
    return ", ".join(dict.fromkeys(str(row[name]) for row in rows if row.get(name)))


def disturbance(runs):
    """What else the cores did meanwhile, at the worst."""
    others, stolen = (max((row.get(name, 0) for row in runs), default=0) for name in ("others", "stolen"))
    return f"of a turn's time on the cores other processes took at most {100 * others:.0f} %, " \
           f"the host for somebody else {100 * stolen:.0f} %"


def heading(rows):
    runs = [row for row in rows if row["kind"] == "run"]
    machine = rows[0]["machine"]
    first = rows[0]
    tokens = max((row["tokens"] for row in runs if row.get("tokens")), default=0)
    rounds = len({row["round"] for row in runs})
    return [f"{first['model']}: {first['texts']} texts of at most {first['limit']} tokens, {tokens:,} together, "
            f"{first['threads']} threads, {rounds} rounds"
            + (f", all held to {first['held']}" if first.get("held") else ""),
            f"{machine['cpu']} (family {machine['family']}; {', '.join(machine['flags'])}), "
            f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['os']}, Linux {machine['kernel']}",
            f"ensembed {distinct(rows, 'commit')}; {distinct(runs, 'version')}; "
            f"{rows[0]['date'][:16]} to {rows[-1]['date'][:16]} UTC; {disturbance(runs)}"]


def attention_line(rows):
    """None of the shares counts them."""
    for row in rows:
        if row.get("attention_flops_per_token") and row.get("flops_per_token"):
            more = row["attention_flops_per_token"] / row["flops_per_token"]
            return f"attention's own products, which no share counts: {100 * more:.1f} % more FLOPs"
    return None


def markdown(cells):
    return "| " + " | ".join(cells) + " |"


def printed(rows):
    """The table of one model, as Markdown."""
    rows = [row for row in rows if row["kind"] != "batch"]
    if not any(row["kind"] == "run" for row in rows):
        return "no round yet"
    table = Table(rows)
    lines = heading(rows)
    more = [*(roof_line(table.roofs, numbers) for numbers in TYPES), attention_line(rows)]
    lines += [line for line in more if line]
    lines += ["", markdown(HEAD), "|" + "---|" * len(HEAD)]
    lines += [markdown(table.line(peer)) for peer in table.order()]
    return "\n".join(lines)
