"""The lowest cosine of two arrays' rows, as enough or not for a type."""

import array
import ast
import sys

ENOUGH = {"int8": 0.99, "bf16": 0.999}


def rows(path):
    data = open(path, "rb").read()
    size = int.from_bytes(data[8:10], "little")
    shape = ast.literal_eval(data[10:10 + size].decode().strip())["shape"]
    values = array.array("f", data[10 + size:])
    return [values[i * shape[1]:(i + 1) * shape[1]] for i in range(shape[0])]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


lowest = min(map(cosine, rows(sys.argv[1]), rows(sys.argv[2])))
name = sys.argv[3]
near = lowest >= ENOUGH[name]
print(f"{name}: {'near' if near else f'only {lowest:.5f} from'} f32")
