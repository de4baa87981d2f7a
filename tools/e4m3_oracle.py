#!/usr/bin/env python3
"""What PyTorch makes of e4m3, for tests/fixtures/e4m3.json.

    python3 tools/e4m3_oracle.py > tests/fixtures/e4m3.json

"values" are the 256 codes as numbers (null: NaN). "rounded" are floats and the
codes that they become: each two neighbours' middle, what lies just beside it,
and a sample up to 448, beyond which PyTorch does not saturate as cards do.
"""

import json
import math
import sys

import torch

CODES = torch.arange(256, dtype=torch.uint8)


def rounded(floats):
    codes = torch.tensor(floats, dtype=torch.float32).to(torch.float8_e4m3fn)
    return list(zip(floats, codes.view(torch.uint8).tolist()))


def main():
    values = CODES.view(torch.float8_e4m3fn).to(torch.float32).tolist()
    sizes = values[:127]
    floats = []
    for low, high in zip(sizes, sizes[1:]):
        middle = torch.tensor((low + high) / 2, dtype=torch.float32)
        floats += [torch.nextafter(middle, torch.tensor(-math.inf)).item(), middle.item(),
                   torch.nextafter(middle, torch.tensor(math.inf)).item()]
    torch.manual_seed(1)
    floats += (torch.rand(64) * 448).tolist() + (torch.rand(64) / 32).tolist()
    floats += [-x for x in floats[::5]] + [0.0, -0.0, 448.0, 1e-10]
    json.dump({"values": [None if math.isnan(v) else v for v in values],
               "rounded": rounded(floats)}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
