#!/usr/bin/env python3
"""Every relative link in the Markdown files leads to a file, every file of
tests, tools, src and docs that they name is there, and every option and command
that they name is one that the program knows.

    tests/docs/links.py PROGRAM
"""
import pathlib
import re
import subprocess
import sys

SKIP_OPTIONS = re.compile(
    r"tools/|tests/long/|bench/|bench_gemm|bench_attention|numactl|strace|cmake|ninja|ctest|apt-get|--test-dir|--build\b|--install\b")


def anchors(page):
    """What a page's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def main():
    program = sys.argv[1]
    pages = [pathlib.Path(p) for p in subprocess.run(
        ["git", "ls-files", "*.md", ":!tests"], text=True, capture_output=True,
        check=True).stdout.split()]
    manual = subprocess.run([program, "help", "--man"], text=True,
                            capture_output=True, check=True).stdout
    known = set(re.findall(r"--[a-z-]+", manual.replace("\\-", "-")))
    known |= {"--no-" + name[2:] for name in known}
    commands = set(re.findall(r"^\.SS ensembed ([a-z]+)", manual, re.M))
    wrong = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            if not (page.parent / target).exists():
                wrong.append(f"{page}: link to {target}, which is not there")
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            if anchor not in anchors(page.parent / target if target else page):
                wrong.append(f"{page}: link to {target}#{anchor}, which is no "
                             "heading there")
        for name in re.findall(
                r"`((?:tests|tools|src|docs|bench)/[\w./*-]+)[`: ]", text):
            pattern = re.sub(r"(?<![A-Za-z])[A-Z]+(?![A-Za-z])", "*", name)
            if not any(pathlib.Path().glob(pattern)):
                wrong.append(f"{page}: there is no {name}")
        if page.name == "names.md":
            # the right column is ours
            text = "\n".join(line.split("|")[2] for line in text.splitlines()
                             if line.count("|") >= 3)
        for number, line in enumerate(text.splitlines(), 1):
            for command in re.findall(r"`?ensembed ([a-z]+)[ `]", line):
                if line.startswith("    ensembed") or f"`ensembed {command}" in line:
                    if command not in commands:
                        wrong.append(f"{page}:{number}: no command {command}")
            if SKIP_OPTIONS.search(line):
                continue
            for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", line):
                if option not in known:
                    wrong.append(f"{page}:{number}: no option {option}")
    print("\n".join(wrong) or f"{len(pages)} pages name only what is there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
