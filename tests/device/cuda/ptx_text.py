"""PTX as NVRTC writes it, read for ptx.py: the kernels of a text, their instructions
and the arrays that they have in shared memory."""

import re

TOKEN = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^\s,]+")


def operand(text):
    if text[0] == "{":
        return [operand(t) for t in re.findall(r"[^\s,{}]+", text)]
    if text[0] == "[":
        name, _, offset = text[1:-1].replace(" ", "").partition("+")
        return (operand(name), int(offset or 0))
    if re.match(r"0[fd][0-9A-F]+$", text):
        return int(text[2:], 16)  # the bits; of its type in an instruction
    if re.match(r"-?\d+$", text):
        return int(text)
    return text


class Kernel:
    """Instructions [(guard, negated, words of the name, operands)]."""

    def __init__(self, param, body):
        self.param, self.code, self.labels = param, [], {}
        self.arrays = {}  # of shared memory: name: (bytes, alignment)
        for line in re.split(r"[;\n]", re.sub(r"//[^\n]*", "", body)):
            self.add(line.strip())

    def add(self, line):
        label = re.match(r"(\$\w+):\s*", line)
        if label:
            self.labels[label.group(1)] = len(self.code)
            line = line[label.end():]
        array = re.match(r"\.shared \.align (\d+) \.b8 (\w+)\[(\d+)\]", line)
        if array:
            self.arrays[array.group(2)] = (int(array.group(3)), int(array.group(1)))
        if not line or line[0] in ".{}":
            return
        guard = re.match(r"@(!?)(%\w+)\s+", line)
        words, _, rest = line[guard.end() if guard else 0:].partition(" ")
        words, _, more = words.partition("\t")
        self.code.append((guard and guard.group(2), bool(guard and guard.group(1)),
                          words.split("."),
                          [operand(t) for t in TOKEN.findall(more + " " + rest)]))


def kernels_of(text):
    """{name: Kernel}"""
    entries = re.findall(r"\.entry (\w+)\(\s*\.param [^)]*?(\w+)\[\d+\]\s*\)"
                         r"([^{]*)\{(.*?)\n\}", text, re.S)
    return {name: Kernel(param, body) for name, param, _, body in entries}
