#!/usr/bin/env python3
"""Calls that comments of our headers and sources show, mostly the example at a
header's top, name functions that there are, and give them as many arguments as
they take.

    tests/docs/examples.py
"""
import re
import subprocess
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
DECLARED = re.compile(r"^(?:(?:static|inline|extern|INLINE|ENS_API|const|struct|enum|unsigned) )*"
                      r"\w+ \**(\w+)\(", re.M)
# Another program's function, and a formula's.
STRANGERS = {"save_npz", "down_e"}


def call_at(text, begin):
    """What stands between the parentheses that open at BEGIN: None without an
    end, else a text an argument."""
    depth, arguments, quoted = 0, [""], False
    for c in text[begin:]:
        if c == '"':
            quoted = not quoted
        if not quoted and c in ")]}":
            depth -= 1
        if depth == 0 and c == ")":
            return [a.strip() for a in arguments if a.strip()]
        if depth == 1 and c == "," and not quoted:
            arguments.append("")
        elif depth:
            arguments[-1] += c
        if not quoted and c in "([{":
            depth += 1
    return None


def declarations(sources):
    """{name: {numbers of arguments}}; any number from a negative one's on."""
    declared = {}
    for text in sources.values():
        code = COMMENT.sub("", text)
        for match in DECLARED.finditer(code):
            arguments = call_at(code, match.end() - 1)
            if arguments is None:
                continue
            count = 0 if arguments == ["void"] else len(arguments)
            declared.setdefault(match.group(1), set()).add(
                1 - count if "..." in arguments else count)
    return declared


def shown(text):
    """(name, arguments) of each call in a comment."""
    for comment in COMMENT.findall(text):
        plain = re.sub(r"\n \*", "\n", comment)
        for match in re.finditer(r"(?<![\w.>])([a-z]\w*_\w+)\(", plain):
            arguments = call_at(plain, match.end() - 1)
            if arguments is not None:
                yield match.group(1), arguments


def main():
    listed = subprocess.run(["git", "ls-files", "src", "include", "tests"], text=True,
                            capture_output=True, check=False)
    if listed.returncode != 0:
        print("skip: all: this is no git checkout")
        return 0
    sources = {}
    for path in listed.stdout.split():
        if re.search(r"\.(c|h|inc)$", path):
            with open(path, encoding="utf-8") as file:
                sources[path] = file.read()
    declared = declarations(sources)
    words = set(re.findall(r"\w+", " ".join(COMMENT.sub("", s) for s in sources.values())))
    seen, wrong = 0, []
    for path, text in sources.items():
        for name, arguments in shown(text):
            if name not in words | STRANGERS:
                wrong.append(f"{path}: {name} is no function of ours")
            if name not in declared or not arguments or any("..." in a for a in arguments):
                continue
            seen += 1
            count = len(arguments)
            if not any(count == n or (n < 0 and count >= -n) for n in declared[name]):
                wrong.append(f"{path}: {name} is shown with {count} arguments: {', '.join(arguments)}")
    if seen < 100:
        wrong.append(f"only {seen} calls were found in comments")
    print("\n".join(wrong) or f"{seen} calls are as the functions are")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
