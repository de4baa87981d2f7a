"""The machine, the program's commit, and processes with what they took."""
import array
import ast
import datetime
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

FLAGS = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_bf16", "avx512_vnni", "asimd", "asimddp", "i8mm"]


def cpu_facts():
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {"cpu": facts.get("model name", platform.machine()),
            "family": f"{facts.get('cpu family', '?')}/{facts.get('model', '?')}",
            "flags": [flag for flag in FLAGS if flag in flags]}


def os_name():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return cpu_facts() | {"cores": os.cpu_count(), "memory_gib": round(memory / 2**30, 1),
                          "os": os_name(), "kernel": platform.release()}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit_of(folder):
    """With a + where tracked files differ from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(folder), *arguments], text=True,
                              capture_output=True, check=False).stdout.strip()
    commit = git("rev-parse", "--short=10", "HEAD")
    return commit + ("+" if commit and git("status", "--porcelain", "--untracked-files=no") else "")


def cpu_seconds():
    """(all processes', the host's for somebody else) since the start; 0 where the
    kernel does not say."""
    try:
        counts = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0, 0.0
    user, nice, system, _, _, irq, softirq, steal = counts
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


class Ended:
    """A process that is over, and what it and others took meanwhile."""

    def __init__(self, process, said, errors, usage, disturbed):
        self.status, self.said, self.errors = process.returncode, said, errors
        self.peak_mib = usage.ru_maxrss / 1024
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.others, self.stolen = disturbed

    def taken(self):
        """For a row: MiB; shares of the cores' time that went elsewhere."""
        return {"peak_mib": self.peak_mib, "others": round(self.others, 4), "stolen": round(self.stolen, 4)}

    def last_error(self):
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.status}"


def run(command, more=None):
    """Runs COMMAND, with MORE in its environment; the peak is its largest resident set, shared pages of files
    too, as the kernel says it (and at least this process's own, which is small)."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        begin, (busy, stolen) = time.monotonic(), cpu_seconds()
        process = subprocess.Popen(command, stdout=said, stderr=errors, stdin=subprocess.DEVNULL,
                                   env=os.environ | (more or {}))
        _, status, usage = os.wait4(process.pid, 0)
        cores = (time.monotonic() - begin) * os.cpu_count()
        others = cpu_seconds()[0] - busy - usage.ru_utime - usage.ru_stime
        disturbed = max(0.0, others) / cores, (cpu_seconds()[1] - stolen) / cores
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        errors.seek(0)
        return Ended(process, said.read().decode("utf-8", "replace"),
                     errors.read().decode("utf-8", "replace"), usage, disturbed)


def read_npy(path):
    """(rows, width, numbers) of a float32 .npy file; without NumPy, whose own
    memory would count for every process that is started from here."""
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[8:10], "little") if raw[6] == 1 else int.from_bytes(raw[8:12], "little")
    begin = (10 if raw[6] == 1 else 12) + size
    header = ast.literal_eval(raw[begin - size:begin].decode("latin-1"))
    if header["descr"] != "<f4" or header["fortran_order"] or len(header["shape"]) != 2:
        raise ValueError(f"{path} is not [rows, width] of float32")
    return (*header["shape"], array.array("f", raw[begin:]))


def cosines(path, reference):
    """A cosine a row, sorted; None where the rows are not as many."""
    rows, width, ours = read_npy(path)
    if (rows, width) != tuple(read_npy(reference)[:2]):
        return None
    theirs = read_npy(reference)[2]
    found = []
    for begin in range(0, rows * width, width):
        x, y = ours[begin:begin + width], theirs[begin:begin + width]
        dot, xx, yy = (sum(map(lambda a, b: a * b, p, q)) for p, q in ((x, y), (x, x), (y, y)))
        found.append(dot / (xx * yy) ** 0.5 if xx > 0 and yy > 0 else 0.0)
    return sorted(found)
