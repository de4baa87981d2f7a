"""`ensembed pull`, and what run and cache make of it, against a hub on this
machine that serves, fails and lies, with huggingface_hub as the judge of what
a cache looks like.

    python tests/hub/pull.py PROGRAM [CASE...]
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hub_server import Fault, Hub, git_sha1  # noqa: E402

try:
    import huggingface_hub
except ImportError:
    huggingface_hub = None

try:
    import jsonschema
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(sys.argv[1])
ID = "org/small"
WEIGHTS = "model.safetensors"
PYTHON = """
import sys, huggingface_hub
print(huggingface_hub.snapshot_download(sys.argv[1], revision=sys.argv[2] or None,
      allow_patterns=sys.argv[3].split("|"), max_workers=1))
"""


class Skip(Exception):
    pass


def model_files(extra=b""):
    """A model of the fixtures, and around it what a repository has besides."""
    folder = ROOT / "tests/fixtures/models/mean"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*"))
             if p.is_file() and p.name != "reference.json"}
    files |= {".gitattributes": b"* lfs\n", "README.md": b"# small\n" + extra,
              "onnx/model.onnx": b"not wanted", "pytorch_model.bin": b"not wanted",
              "pictures/caf\u00e9 \"1\".txt".encode().decode(): b"quoted",
              "pictures/\U0001F600.txt": b"beyond"}
    return files


class Place:
    """A hub, a folder, and the two clients in it."""

    def __init__(self):
        self.hub = Hub()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ensembed-pull-"))
        self.commit = self.hub.add(ID, model_files())
        self.cache = self.folder / "cache"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                            "HF_ENDPOINT": self.hub.url, "LANG": "C.UTF-8",
                            "HF_HUB_CACHE": str(self.cache), "HF_HUB_DISABLE_XET": "1",
                            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                            "HF_HUB_DISABLE_TELEMETRY": "1",
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""),
                            "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "")}

    def close(self):
        self.hub.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *arguments, **more):
        environment = self.environment | more.pop("environment", {})
        command = [*more.pop("before", []), PROGRAM, *map(str, arguments)]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def ensembed(self, *arguments, expect=0, **more):
        process = self.start(*arguments, **more)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == expect, (
            "exit %s instead of %s\n%s%s" % (process.returncode, expect, out, errors))
        return out, errors

    def pull(self, *arguments, **more):
        return self.ensembed("pull", *arguments, **more)

    def python(self, cache, files, revision="", wait=True, model=ID):
        if not huggingface_hub:
            raise Skip("no huggingface_hub (tests/requirements.txt)")
        environment = self.environment | {"HF_HUB_CACHE": str(cache)}
        command = [sys.executable, "-c", PYTHON, model, revision, "|".join(files)]
        if not wait:
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    def repo(self, cache=None):
        return (cache or self.cache) / "models--org--small"

    def chosen(self, commit=None):
        folder = self.repo() / "snapshots" / (commit or self.commit)
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink())

    def weights_sha256(self):
        return hashlib.sha256(self.hub.commits[self.commit][WEIGHTS]).hexdigest()

    def part(self):
        return self.repo() / "blobs" / (self.weights_sha256() + ".incomplete")

    def gets(self, word):
        return [r for r in self.hub.requests if r[0] == "GET" and word in r[1]]


def tree_of(folder):
    """Every name below FOLDER with what it is: the whole truth of a cache."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = (os.readlink(path) if path.is_symlink() else
                       None if path.is_dir() else path.read_bytes())
    return found


def same_trees(a, b):
    a, b = tree_of(a), tree_of(b)
    assert a.keys() == b.keys(), (sorted(a.keys() ^ b.keys()))
    for name in a:
        assert a[name] == b[name], (name, a[name], b[name])


def whole(place):
    """The cache is whole, and the weights are what the hub has."""
    [repo] = json.loads(place.ensembed("cache", "--json")[0])
    assert [c["state"] for c in repo["commits"]] == ["whole"], repo
    blob = place.repo() / "blobs" / place.weights_sha256()
    assert blob.read_bytes() == place.hub.commits[place.commit][WEIGHTS]
    assert repo["incomplete_bytes"] == 0, repo


# ---- the cache, byte for byte ----------------------------------------------


def same_as_python(place):
    out, _ = place.pull(ID)
    assert "downloaded" in out and place.commit in out, out
    whole(place)
    files = place.chosen()
    assert "1_Pooling/config.json" in files and WEIGHTS in files, files
    assert not [f for f in files if "onnx" in f or f.endswith((".bin", ".md"))], files
    other = place.folder / "python"
    place.python(other, files)
    same_trees(place.cache, other)


def same_for_a_tag_and_a_commit(place):
    tagged = place.hub.add(ID, model_files(b"tagged"), "refs/pr/1")
    place.pull(ID + "@refs/pr/1")
    place.pull(ID + "@" + place.commit)
    files, other = place.chosen(), place.folder / "python"
    place.python(other, files, "refs/pr/1")
    place.python(other, files, place.commit)
    assert tagged != place.commit
    same_trees(place.cache, other)


def same_for_a_renamed_model(place):
    place.hub.renamed["org/old"] = ID
    out, _ = place.pull("org/old")
    assert "org/old: downloaded" in out, out
    folder = place.cache / "models--org--old/snapshots" / place.commit
    files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink()]
    other = place.folder / "python"
    place.python(other, files, model="org/old")
    same_trees(place.cache, other)


def nothing_left_to_do_after_python(place):
    place.pull(ID)
    files = place.chosen()
    shutil.rmtree(place.cache)
    place.python(place.cache, files)
    before = place.hub.accepted
    out, _ = place.pull(ID)
    assert "hit" in out and place.hub.accepted == before, out


def nothing_left_to_do_for_python(place):
    place.pull(ID)
    place.hub.requests.clear()
    place.python(place.cache, place.chosen())
    assert [r[1] for r in place.hub.requests] == ["/api/models/org/small/revision/main"], place.hub.requests


def pages_of_the_list(place):
    place.pull(ID)
    listed = json.loads((place.repo() / "trees" / (place.commit + ".json")).read_text())
    assert sorted(listed["files"]) == sorted(model_files()), listed
    assert len(place.gets("/tree/")) > 1


# ---- going on ---------------------------------------------------------------


def goes_on_by_itself(place):
    place.hub.faults.append(Fault("/cdn/", times=3, cut=10000))
    _, errors = place.pull(ID)
    ranges = [r[2].get("Range") for r in place.gets("/cdn/")]
    assert ranges == [None, "bytes=10000-", "bytes=20000-", "bytes=30000-"], ranges
    assert "attempt 2 of 6" in errors and "cut" in errors or "closed" in errors, errors
    whole(place)


def second_command_goes_on(place):
    place.hub.faults += [Fault("/cdn/", times=1, cut=10000), Fault("/cdn/", times=99, status=500)]
    _, errors = place.pull(ID, expect=75)
    assert "gave up after 6 attempts" in errors and "run the same command again" in errors, errors
    assert place.part().stat().st_size == 10000
    [repo] = json.loads(place.ensembed("cache", "--json")[0])
    assert repo["commits"][0]["state"] == "not_whole" and repo["incomplete_bytes"] == 10000, repo
    place.hub.faults.clear()
    place.hub.requests.clear()
    out, _ = place.pull(ID)
    assert "resumed" in out, out
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=10000-"]
    assert not place.gets("/tree/") and not place.gets("config.json"), place.hub.requests
    whole(place)


def goes_on_after_an_older_python(place):
    """Those of before kept ETAG.incomplete, and went on behind it too."""
    place.part().parent.mkdir(parents=True)
    place.part().write_bytes(place.hub.commits[place.commit][WEIGHTS][:12345])
    place.pull(ID)
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=12345-"]
    whole(place)


def wait_for(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "never happened: " + what
        time.sleep(0.01)


def size_of(path):
    """0 when it is gone: Python renames a part when it is whole, and meanwhile we look."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def goes_on_after_a_killed_python(place):
    """The current Python writes a file of its own name, ten megabytes at a time."""
    content = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(800000))
    place.commit = place.hub.add(ID, model_files() | {WEIGHTS: content})
    files = [f for f in model_files() if f.endswith(".json")] + [WEIGHTS]
    place.hub.faults.append(Fault("/cdn/", stall=21 << 20))
    process = place.python(place.cache, files, wait=False)

    def parts():
        return [p for p in place.repo().glob("blobs/*.incomplete") if size_of(p) >= 10 << 20]

    wait_for(lambda: parts() or process.poll() is not None, "a part on the disk")
    process.kill()
    process.wait()
    [left] = parts()
    size = left.stat().st_size
    assert left.name.count(".") == 2, left
    place.hub.requests.clear()
    out, _ = place.pull(ID)
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=%d-" % size]
    assert "resumed" in out, out
    whole(place)


def python_goes_on_after_our_death(place):
    process = start_and_stall(place, "pull", ID)
    process.kill()
    process.communicate()
    files = [f for f in model_files() if f in place.chosen()] + [WEIGHTS]
    place.hub.requests.clear()
    place.python(place.cache, files)
    assert len(place.gets("/cdn/")) == 1 and not place.gets("config.json"), place.hub.requests
    place.part().unlink()  # what the current Python does not go on with, it leaves
    whole(place)


def killed_at_any_moment(place):
    for pause in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        place.hub.faults[:] = [Fault("/cdn/", slow=0.01)]
        process = place.start("pull", ID)
        time.sleep(pause)
        process.kill()
        process.communicate()
    place.hub.faults.clear()
    place.pull(ID)
    files, other = place.chosen(), place.folder / "python"
    place.python(other, files)
    for left in place.cache.rglob("*.tmp"):
        left.unlink()
    same_trees(place.cache, other)


def start_and_stall(place, *command):
    """Started, and in the middle of the weights: all that the hub says until then is on the disk."""
    place.hub.faults.append(Fault("/cdn/", stall=30000))
    process = place.start(*command, environment={"HF_HUB_DOWNLOAD_TIMEOUT": "3600"})
    wait_for(lambda: size_of(place.part()) == 30000, "a part on the disk")
    return process


def interrupted(place):
    process = start_and_stall(place, "pull", ID)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75 and "it goes on" in errors, errors
    place.hub.requests.clear()
    place.pull(ID)
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=30000-"]
    whole(place)


def interrupted_run(place):
    chunks, out = write_chunks(place)
    command = ["run", chunks, "--model", ID, "--model", "org/other", "--out", out]
    process = start_and_stall(place, *command)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75 and "it goes on" in errors, errors
    assert not place.gets("other")
    place.ensembed(*command, expect=1)  # the other model is not there
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == [None, "bytes=30000-"]
    [model, other] = json.loads((out / "summary.json").read_text())["models"]
    check_schemas(out)
    assert model["cache"]["status"] == "resumed" and other["cache"]["status"] == "missing"
    assert (out / "c/embeddings.npy").exists() or (out / "c/small.npy").exists() or list(out.rglob("*.npy"))


def many_at_once(place):
    place.hub.faults.append(Fault("/cdn/", slow=0.02))
    for process in [place.start("pull", ID) for _ in range(12)]:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(place.gets("/cdn/")) == 1, place.gets("/cdn/")
    whole(place)


def python_holds_the_lock(place):
    """While Python fetches the weights, we wait, and then have them."""
    place.pull(ID)
    files = place.chosen()
    shutil.rmtree(place.cache)
    place.hub.requests.clear()
    place.hub.faults.append(Fault("/cdn/", slow=0.03))
    python = place.python(place.cache, files, wait=False)
    wait_for(lambda: place.gets("/cdn/") or python.poll() is not None, "Python's download")
    place.pull(ID)
    assert python.wait(60) == 0 and len(place.gets("/cdn/")) == 1
    whole(place)


# ---- faults -----------------------------------------------------------------


def too_many_requests(place):
    place.hub.faults += [Fault("/revision/main", status=429, headers={"Retry-After": "1"}),
                         Fault("/tree/", status=503, times=2)]
    _, errors = place.pull(ID)
    assert "429 (too many requests); attempt 2 of 6 in 1.0 s" in errors, errors
    assert "503; attempt 3 of 6" in errors, errors
    whole(place)


def too_long_a_wait(place):
    place.hub.faults.append(Fault("/revision/main", status=429, headers={"Retry-After": "86400"}))
    _, errors = place.pull(ID, expect=75)
    assert "left alone for 86400 s" in errors, errors


def stalled_body(place):
    # However slow this machine is, what is there is not fetched again, and
    # nothing is skipped: where nothing came in a second it is asked once more.
    place.hub.faults.append(Fault("/cdn/", times=5, stall=20000))
    _, errors = place.pull(ID, environment={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
    assert "silent" in errors, errors
    ranges = [r[2].get("Range", "bytes=0-") for r in place.gets("/cdn/")]
    begins = [int(r.removeprefix("bytes=").removesuffix("-")) for r in ranges]
    assert begins[0] == 0 and begins[-1] == 20000 and begins == sorted(begins), ranges
    whole(place)


def wrong_digest(place):
    for name in ("/cdn/", "/config.json"):
        place.hub.faults.append(Fault(name, times=9, method="GET", corrupt=True))
        _, errors = place.pull(ID, expect=1)
        assert "is not what the hub says it is" in errors, errors
        assert not list(place.repo().glob("blobs/*.incomplete"))
        bad = place.weights_sha256() if name == "/cdn/" else git_sha1(
            place.hub.commits[place.commit]["config.json"])
        assert not (place.repo() / "blobs" / bad).exists()
        place.hub.faults.clear()
        shutil.rmtree(place.cache)
    place.pull(ID)
    whole(place)


def wrong_beginning(place):
    place.part().parent.mkdir(parents=True)
    place.part().write_bytes(b"?" * 5000)
    _, errors = place.pull(ID)
    assert "fetching all of it again" in errors, errors
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=5000-", None]
    whole(place)


def range_ignored(place):
    place.part().parent.mkdir(parents=True)
    place.part().write_bytes(place.hub.commits[place.commit][WEIGHTS][:5000])
    place.hub.faults.append(Fault("/cdn/", ignore_range=True))
    place.pull(ID)
    assert [r[2].get("Range") for r in place.gets("/cdn/")] == ["bytes=5000-"]
    whole(place)


def never_further(place):
    place.hub.faults.append(Fault("/cdn/", times=40, ignore_range=True, cut=10000))
    _, errors = place.pull(ID, expect=75)
    assert "gave up after 6 attempts" in errors, errors
    assert len(place.gets("/cdn/")) == 6


def too_long_a_beginning(place):
    place.part().parent.mkdir(parents=True)
    place.part().write_bytes(b"x" * 10_000_000)
    place.pull(ID)
    whole(place)


def no_server(place):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = "http://127.0.0.1:%d" % closed.getsockname()[1]
        _, errors = place.pull(ID, expect=75, environment={"HF_ENDPOINT": endpoint})
    assert "gave up after 6 attempts" in errors, errors


def no_http(place):
    """Something else listens at the port."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        endpoint = "http://127.0.0.1:%d" % server.getsockname()[1]
        process = place.start("pull", ID, environment={"HF_ENDPOINT": endpoint})
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"220 mail here, who is there?\r\n")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and endpoint + ": what answers there does not speak HTTP" in errors, errors


def file_limit(place):
    _, errors = place.pull(ID, expect=75, before=["prlimit", "--fsize=40000"])
    assert "no space left" in errors and place.part().stat().st_size <= 40000, errors
    place.pull(ID)
    whole(place)


def full_disk(place):
    place.cache.mkdir()
    if not shutil.which("mount"):
        raise Skip("no mount here")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place.cache],
                          capture_output=True, text=True)
    if done.returncode:
        raise Skip("no mount here: " + done.stderr.strip())
    try:
        _, errors = place.pull(ID, expect=75)
        assert "more bytes" in errors and "left: free some" in errors, errors
        assert not place.gets("/cdn/"), "the check of the disk came too late"
    finally:
        subprocess.run(["umount", place.cache], check=True)


def refusals(place):
    for word, sentence in (("org/none", "no such model"), (ID + "@none", "no such revision"),
                           ("../x", "hub id")):
        _, errors = place.pull(word, expect=1)
        assert sentence in errors, errors
    _, errors = place.pull(ID + "@../x", expect=2)
    assert "is not a revision" in errors, errors


def led_astray(place):
    """The sentence names what the server leads to, or the file that it keeps."""
    for where, sentence in (("file:///etc/passwd", "file:// is not an address"),
                            ("gopher://else.where/x", "gopher://else.where is not an address")):
        place.hub.faults[:] = [Fault("/resolve/", times=99, status=302, headers={"Location": where})]
        _, errors = place.pull(ID, expect=1)
        assert sentence in errors, errors
    place.hub.faults[:] = [Fault("/resolve/", times=99, status=200)]  # a login page's answer
    _, errors = place.pull(ID, expect=1)
    assert ID + ": the hub gives modules.json no ETag" in errors, errors


def gated(place):
    place.hub.token = "hf_secretsecret"
    _, errors = place.pull(ID, expect=1)
    assert "401" in errors and "HF_TOKEN" in errors, errors
    _, errors = place.pull(ID, expect=1, environment={"HF_TOKEN": "hf_wrong"})
    assert "401" in errors and "hf_wrong" not in errors, errors
    (place.folder / "token").write_text(" hf_secretsecret\n")
    out, errors = place.pull(ID, "-v", environment={"HF_HOME": str(place.folder)})
    assert "secret" not in out + errors
    assert [r for r in place.hub.requests if r[3]], "nothing came from the CDN"
    leaked = [r for r in place.hub.requests if r[3] and "Authorization" in r[2]]
    assert not leaked, "the token went to another host"
    place.hub.faults.append(Fault("/cdn/", status=500, times=1))
    shutil.rmtree(place.cache)
    out, errors = place.pull(ID, "-v", environment={"HF_TOKEN": "hf_secretsecret"})
    assert "secret" not in out + errors and "Signature" not in out + errors, errors


def certificates(place):
    if not shutil.which("openssl"):
        raise Skip("no openssl here")
    key, certificate = place.folder / "key.pem", place.folder / "certificate.pem"
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                           "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=hub",
                           "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                           "-out", certificate], capture_output=True, text=True)
    if done.returncode:
        raise Skip("no certificate: " + done.stderr)
    place.hub.speak_tls(certificate, key)
    secure = {"HF_ENDPOINT": place.hub.url}
    _, errors = place.pull(ID, expect=1, environment=secure)
    assert "certificate" in errors and "SSL_CERT_FILE" in errors, errors
    assert not place.hub.requests and not place.cache.exists()
    place.pull(ID, environment=secure | {"SSL_CERT_FILE": str(certificate)})
    whole(place)


def through_a_proxy(place):
    """The hub's server takes whole addresses, so it is a proxy too."""
    place.pull(ID, environment={"HF_ENDPOINT": "http://hub.invalid", "http_proxy": place.hub.url,
                                "no_proxy": "127.0.0.1"})
    assert all(r[1].startswith("http://hub.invalid/") != r[3] for r in place.hub.requests)
    whole(place)


def hostile_lists(place):
    good = place.hub.row("config.json", b"{}")
    for bad in ({"path": "../../../evil"}, {"path": "/tmp/evil"}, {"path": "a//b"}, {"path": "a/./b"},
                {"path": "a/.."}, {"path": ""}, {"path": "a\x00b"}, {"path": "a\nb"}, {"path": "a\\..\\b"},
                {"path": "x" * 300}, {"path": 5}, {"path": None}, {"path": "config.json"},
                {"path": "config.json/x"}, {"size": -1}, {"size": 2 ** 60}, {"size": 1.5}, {"size": "1"},
                {"oid": "../../x"}, {"oid": "A" * 40}, {"lfs": {"oid": "../x", "size": 1}},
                {"lfs": {"oid": "a" * 64, "size": -5}}, {"xetHash": "../x"}, {"type": None}):
        place.hub.tree_override = [good, good | {"path": "other.json"} | bad]
        _, errors = place.pull(ID, expect=1)
        assert "the hub's" in errors, (bad, errors)
        written = [p for p in place.folder.rglob("*") if p.is_file()]
        assert not written, (bad, written)
    for answer in ({}, 5, None, "x", [5], [[]]):
        place.hub.tree_override = answer if answer is not None else [None]
        place.pull(ID, expect=1)


# ---- run, plan, cache --------------------------------------------------------


def write_chunks(place):
    (place.folder / "c").mkdir()
    (place.folder / "c" / "a_chunks.json").write_text('[{"text": "one"}, {"text": "two"}]')
    return place.folder / "c", place.folder / "out"


def check_schemas(out):
    """What a run says of its models and of the hub, against what docs/ promises."""
    if not jsonschema:
        return
    summary, events = (json.loads((ROOT / ("docs/%s.schema.json" % name)).read_text())
                       for name in ("summary", "events"))
    kinds = [k for k in summary["properties"]["models"]["items"]["anyOf"]
             if "cache" in k["properties"]]  # a formula comes from nowhere
    assert len(kinds) > 1
    for model in json.loads((out / "summary.json").read_text())["models"]:
        for kind in kinds:
            jsonschema.validate(model["cache"], kind["properties"]["cache"])
    for event in map(json.loads, (out / "events.jsonl").read_text().splitlines()):
        if event["type"] in ("cache", "retrying"):
            jsonschema.validate(event, events)


def run_pulls(place):
    chunks, out = write_chunks(place)
    place.hub.faults.append(Fault("/tree/", status=502))
    place.ensembed("run", chunks, "--model", ID, "--out", out)
    [model] = json.loads((out / "summary.json").read_text())["models"]
    assert model["cache"]["status"] == "downloaded" and model["cache"]["commit"] == place.commit, model
    assert model["cache"]["bytes_downloaded"] > 66000 and model["cache"]["requests"] > 5, model
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    [cache] = [e for e in events if e["type"] == "cache"]
    assert cache["status"] == "downloaded" and cache["path"].endswith(place.commit), cache
    [again] = [e for e in events if e["type"] == "retrying"]
    assert (again["attempt"], again["of"]) == (2, 6) and "502" in again["cause"], again
    assert again["wait_ms"] > 0 and again["model"] == ID, again
    assert again["t_ms"] <= cache["t_ms"], "the fetching's own times"
    assert "ensembed_retries_total 1\n" in (out / "metrics.prom").read_text()
    report = (out / "report.html").read_text()
    assert "Model files" in report and "attempt 2 of 6" in report
    check_schemas(out)
    # From here on nothing may ask anybody.
    before = place.hub.accepted
    assert "cache" not in json.loads((out / "c/stats.json").read_text())["models"][0]
    made = (out / "c/stats.json").stat()
    place.ensembed("run", chunks, "--model", ID, "--out", out)
    again = (out / "c/stats.json").stat()
    assert (again.st_ino, again.st_mtime_ns) == (made.st_ino, made.st_mtime_ns), "made anew"
    for command in (["search", out, "one"],
                    ["embed", "--model", ID, "one"], ["pull", ID], ["cache"],
                    ["run", chunks, "--model", ID, "--out", out, "--restart"]):
        place.ensembed(*command)
    assert place.hub.accepted == before, "a whole cache was not enough"
    [model] = json.loads((out / "summary.json").read_text())["models"]
    assert model["cache"] == {"status": "hit", "commit": place.commit,
                              "bytes_downloaded": 0, "requests": 0}, model


def offline(place):
    chunks, out = write_chunks(place)
    for environment, options in (({"HF_HUB_OFFLINE": "1"}, []), ({"TRANSFORMERS_OFFLINE": "YES"}, []),
                                 ({"ENSEMBED_OFFLINE": "1"}, []), ({}, ["--offline"])):
        for command in (["run", chunks, "--model", ID, "--out", out], ["pull", ID],
                        ["embed", "--model", ID, "one"]):
            _, errors = place.ensembed(*command, *options, environment=environment, expect=1)
            assert "ensembed pull " + ID in errors, errors
    said, _ = place.ensembed("plan", chunks, "--model", ID, "--out", out, expect=1)
    assert "`ensembed run` does that by itself" in said, said
    assert place.hub.accepted == 0
    place.pull(ID, "--no-offline", environment={"HF_HUB_OFFLINE": "1"})
    whole(place)


def newest_commit(place):
    place.pull(ID)
    new = place.hub.add(ID, model_files(b"new") | {"config.json": model_files()["config.json"] + b"\n"})
    place.hub.requests.clear()
    assert "hit" in place.pull(ID)[0] and not place.hub.requests
    out, _ = place.pull(ID, "--refresh")
    assert "refreshed" in out and new in out, out
    assert not place.gets("/cdn/"), "the weights are the same"
    assert (place.repo() / "refs/main").read_text() == new
    out, _ = place.pull(ID, "--refresh")
    assert "hit" in out and len([r for r in place.hub.requests if "/revision/" in r[1]]) == 2
    out, _ = place.pull(ID + "@" + place.commit)
    assert place.commit in out
    [repo] = json.loads(place.ensembed("cache", "--json")[0])
    assert {c["commit"]: c["refs"] for c in repo["commits"]} == {place.commit: [], new: ["main"]}, repo
    chunks, out = write_chunks(place)
    place.hub.faults.append(Fault("/revision/", status=404, times=99))
    _, errors = place.ensembed("run", chunks, "--model", ID, "--out", out, "--refresh")
    assert "not refreshed" in errors, errors
    place.pull(ID, "--refresh", expect=1)


def short_names(place):
    place.hub.add("sentence-transformers/thing", model_files(b"thing"))
    out, _ = place.pull("thing")
    assert "sentence-transformers/thing: downloaded" in out, out
    assert "hit" in place.pull("thing")[0]


def no_weights(place):
    files = model_files()
    del files[WEIGHTS], files["pytorch_model.bin"]
    place.hub.add("org/onnx", files)
    _, errors = place.pull("org/onnx", expect=1)
    assert "safetensors or pytorch_model.bin" in errors and not place.cache.exists(), errors


def older_weights(place):
    """pytorch_model.bin where there are no safetensors, and the heads' files; the model is whole and runs."""
    folder, older = ROOT / "tests/fixtures/models/sharded", ROOT / "tests/fixtures/torch"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    files = {name: content for name, content in files.items() if "safetensors" not in name}
    files |= {p.name: p.read_bytes() for p in (older / "shards").iterdir()}
    files |= {"colbert_linear.pt": (older / "python2.pt").read_bytes(), "training_args.bin": b"not wanted"}
    place.hub.add("org/older", files)
    place.pull("org/older")
    got = [path.name for path in place.cache.glob("models--org--older/snapshots/*/*")]
    assert "training_args.bin" not in got and "colbert_linear.pt" in got, got
    [repo] = json.loads(place.ensembed("cache", "--json")[0])
    assert repo["commits"][0]["state"] == "whole", repo
    got = place.ensembed("embed", "--model", "org/older", "a text")[0]
    assert got == place.ensembed("embed", "--model", str(folder), "a text")[0]


def shards(place):
    """Two shards and their index instead of one file."""
    folder = ROOT / "tests/fixtures/models/sharded"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    place.hub.add("org/sharded", files)
    place.pull("org/sharded")
    [repo] = json.loads(place.ensembed("cache", "--json")[0])
    assert repo["commits"][0]["state"] == "whole", repo


CASES = [same_as_python, same_for_a_tag_and_a_commit, same_for_a_renamed_model, nothing_left_to_do_after_python,
         nothing_left_to_do_for_python, pages_of_the_list, goes_on_by_itself, second_command_goes_on,
         goes_on_after_an_older_python, goes_on_after_a_killed_python, python_goes_on_after_our_death,
         killed_at_any_moment, interrupted, interrupted_run, many_at_once, python_holds_the_lock, too_many_requests,
         too_long_a_wait, stalled_body, wrong_digest, wrong_beginning, range_ignored, never_further,
         too_long_a_beginning, no_server, no_http, file_limit, full_disk, refusals, led_astray, gated, certificates,
         through_a_proxy, hostile_lists,
         run_pulls, offline, newest_commit, short_names, no_weights, older_weights, shards]


def judge(case):
    """The line that says how CASE went."""
    place = Place()
    try:
        case(place)
        return "ok: " + case.__name__
    except Skip as reason:
        return "skip: %s: %s" % (case.__name__, reason)
    except Exception as error:
        return "FAILED: %s: %s: %s" % (case.__name__, type(error).__name__, str(error)[:2000])
    finally:
        place.close()


def main():
    chosen = [c for c in CASES if not sys.argv[2:] or c.__name__ in sys.argv[2:]]
    lines = []
    # A script's `&` has SIGINT ignored, and what is started here would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # They wait more than they work.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for line in pool.map(judge, chosen):
            print(line, flush=True)
            lines.append(line)
    return any(line.startswith("FAILED") for line in lines)


if __name__ == "__main__":
    sys.exit(main())
