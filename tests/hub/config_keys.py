"""Every key of every configuration file of every small model, changed one at a time.

    python3 tests/hub/config_keys.py build/ensembed [MODEL ...]

A change must give other vectors or an error, or stand in docs/config-keys.md with the reason why it does not. A row of
that table that is not true any more is a failure too. A reason that begins with "where" holds for some models only: then
some other model must show the effect. The same key with the same value in another model of the same
type, and a value of the same kind, is not tried again.
"""

import concurrent.futures
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "tests/fixtures/models"
TABLE = ROOT / "docs/config-keys.md"
PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
SKIPPED = {"tokenizer.json", "model.safetensors.index.json", "adapter_config.json"}
TEXTS = ["A short text, with [MASK] and ÉCOLE.", "东京 is big", "x", "word soup and more of it " * 100]


def files_of(folder):
    """The configuration files that are read, by their names inside FOLDER."""
    for path in sorted(folder.rglob("*.json")):
        name = str(path.relative_to(folder))
        if path.name not in SKIPPED and not path.name.startswith("reference"):
            yield name


def table(heads=False):
    """(file, key, models) -> reason; each a pattern. With HEADS the second table's rows as well."""
    rows = {}
    first, _, second = TABLE.read_text().partition("\n## ")
    for line in (first + "\n" + second * heads).splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0] not in ("file", "") and not cells[0].startswith("-"):
            rows[tuple(cells[:3])] = cells[3]
    return rows


def leaves(value, path=()):
    """Every place in VALUE that can be changed."""
    if isinstance(value, dict) and value:
        for key in value:
            yield from leaves(value[key], path + (key,))
    elif isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        for i, item in enumerate(value):
            yield from leaves(item, path + (i,))
    else:
        yield path, value


def changes(value):
    """Other values: one of the same type, and one of another."""
    if isinstance(value, bool):
        return [not value, "x"]
    if isinstance(value, int):
        return [value + 1, "x"]
    if isinstance(value, float):
        return [value * 1.5 if value else 0.5, "x"]
    if isinstance(value, str):
        return ["x" + value, 5]
    if isinstance(value, list):
        return [value + value[:1] if value else ["x"], 5]
    return [5, "x", True] if value is None else [{"x": 1}]


def changed(document, path, value):
    """A copy of DOCUMENT with VALUE at PATH."""
    copy = json.loads(json.dumps(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


def run(folder, variant):
    suffix, options = variant
    done = subprocess.run([PROGRAM, "embed", "--threads", "1", "--model", str(folder) + suffix, *options],
                          input="".join(json.dumps(text) + "\n" for text in TEXTS), text=True, capture_output=True,
                          env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8",
                               "HF_HUB_CACHE": "/nowhere"}, timeout=60)
    assert done.returncode in (0, 1, 2), (folder, variant, done.returncode, done.stderr)
    return done.returncode, done.stdout, done.stderr


class Model:
    def __init__(self, name):
        self.name, self.folder = name, MODELS / name
        self.documents = {file: json.loads((self.folder / file).read_text()) for file in files_of(self.folder)}
        config = next((d for f, d in self.documents.items() if pathlib.PurePath(f).name == "config.json"
                       and isinstance(d, dict) and "model_type" in d), {})
        self.type = config.get("model_type", "")
        prompts = self.documents.get("config_sentence_transformers.json", {}).get("prompts") or {}
        tasks = config.get("lora_adaptations") or config.get("task_names") or []
        self.variants = [("", [])]
        self.variants += [("", ["--prompt", name]) for name in prompts if name not in tasks]
        self.variants += [(":task=" + name, []) for name in tasks]
        self.prompted = any(prompts.values())
        self.baseline = None

    def start(self):
        """What the model gives as it is; None if it cannot be run as a dense one."""
        results = [run(self.folder, variant) for variant in self.variants]
        self.variants = [v for v, r in zip(self.variants, results) if r[0] == 0]
        self.baseline = [r[1] for r in results if r[0] == 0]
        return bool(self.baseline)

    def with_file(self, place, file, document):
        """A folder like the model's, with another FILE."""
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if path.is_file() and str(name) != file:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).symlink_to(path)
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(json.dumps(document))

    def outcome(self, file, path, value):
        """"error", "changed" or "same"."""
        with tempfile.TemporaryDirectory(prefix="ensembed-keys-") as place:
            place = pathlib.Path(place) / self.name
            place.mkdir()
            self.with_file(place, file, changed(self.documents[file], path, value))
            for variant, before in zip(self.variants, self.baseline):
                code, out, _ = run(place, variant)
                if code:
                    return "error"
                if out != before:
                    return "changed"
        return "same"


def words(path):
    return ".".join("*" if isinstance(key, int) else key for key in path)


def row_for(rows, file, key, model):
    """The row of the table that speaks of this key."""
    name = pathlib.PurePath(file)
    for row in rows:
        if ((fnmatch.fnmatchcase(name.name, row[0]) or fnmatch.fnmatchcase(file, row[0]))
                and fnmatch.fnmatchcase(key, row[1])
                and any(fnmatch.fnmatchcase(model.type, pattern.strip()) for pattern in row[2].split(","))):
            return row
    return None


def plan(models):
    """Each change once: (model, file, path, value). A value of another type once for all models."""
    seen = set()
    for model in models:
        for file, document in model.documents.items():
            for path, old in leaves(document):
                place = (pathlib.PurePath(file).name, words(path), type(old))
                if isinstance(old, str) and file == "modules.json":
                    place += (old.rpartition(".")[2],)
                for value in changes(old) if path else []:
                    key = (place, type(value)) + (model.type, model.prompted, old is True) * (type(value) is type(old))
                    if key not in seen:
                        seen.add(key)
                        yield model, file, path, value


def main():
    names = sys.argv[2:] or sorted(p.name for p in MODELS.iterdir() if (p / "tokenizer.json").exists())
    rows, problems, used, shown = table(), [], set(), set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        everything = [Model(name) for name in names]
        models = [m for m, fine in zip(everything, pool.map(Model.start, everything)) if fine]
        jobs = list(plan(models))
        for (model, file, path, value), outcome in zip(jobs, pool.map(lambda job: job[0].outcome(*job[1:]), jobs)):
            row = row_for(rows, file, words(path), model)
            used.add(row)
            if outcome == "changed" or (outcome == "error" and type(value) is not str):
                shown.add(row)
            what = "%s (%s): %s: %s = %s" % (model.name, model.type, file, words(path), json.dumps(value))
            if outcome == "same" and not row:
                problems.append("no effect: " + what)
            if outcome == "changed" and row and not rows[row].startswith("where"):
                problems.append("docs/config-keys.md says it has no effect, and it has: " + what)
    if not sys.argv[2:]:
        problems += ["docs/config-keys.md has a row that no model needs: %s" % (row,) for row in rows if row not in used]
        problems += ["no model shows the effect that docs/config-keys.md speaks of: %s" % (row,)
                     for row in rows if rows[row].startswith("where") and row in used - shown]
    print("\n".join(problems))
    print("%d models, %d changes, %d problems; not run as dense models: %s" % (
        len(models), len(jobs), len(problems), " ".join(m.name for m in everything if m not in models)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
