#!/usr/bin/env python3
"""Makes tests/golden/formats/: blocks of every quantized format and what they decode to.

    tools/make_format_golden.py [--out DIR]

Needs numpy, torch and the `gguf` package. For each format NAME:

- NAME.blocks: blocks of random bytes, with scales that are random, zero, negative and subnormal;
- NAME.f32: the floats that gguf.quants.dequantize (torch, for f8_e4m3) makes of them, little-endian;
- NAME.encoded: the blocks that gguf.quants.quantize makes of `values.f32`, where it can.
"""

import argparse
import pathlib

import gguf
import numpy as np
import torch

NUM_BLOCKS = {32: 24, 256: 6}
# name -> byte offsets of the f16 scales in a block
SCALES = {"q8_0": [0], "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q2_k": [80, 82],
          "q3_k": [108], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "mxfp4": []}
ENCODERS = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "mxfp4"]
# one, zero, minus zero, smallest and largest subnormal, largest, negative, ordinary
SPECIAL_SCALES = [0x3C00, 0x0000, 0x8000, 0x0001, 0x03FF, 0x7BFF, 0xB0F1, 0x2A31]


def random_blocks(generator, name, elements, size):
    blocks = generator.integers(0, 256, (NUM_BLOCKS[elements], size), dtype=np.uint8)
    for offset in SCALES[name]:
        scales = generator.normal(0, 0.05, len(blocks)).astype(np.float16).view(np.uint16)
        chosen = generator.permutation(SPECIAL_SCALES)[: len(blocks) // 2]
        scales[: len(chosen)] = chosen
        blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(-1, 2)
    if name == "mxfp4":
        blocks[:, 0] = np.resize([127, 0, 1, 2, 120, 118, 121, 200], len(blocks))
    return blocks


def values_to_encode(generator):
    values = generator.normal(0, 0.05, (16, 256)).astype(np.float32)
    values[0] = 0
    values[1] = np.abs(values[1])
    values[2] = -np.abs(values[2])
    values[3] *= 1e-6
    values[4] *= 1e4
    values[5, ::32] = 3.0
    values[6] = 0.25
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/formats"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    values = values_to_encode(generator)
    values.tofile(out / "values.f32")
    np.seterr(all="ignore")
    for name in SCALES:
        kind = gguf.GGMLQuantizationType[name.upper()]
        blocks = random_blocks(generator, name, *gguf.GGML_QUANT_SIZES[kind])
        blocks.tofile(out / f"{name}.blocks")
        gguf.quants.dequantize(blocks, kind).astype("<f4").tofile(out / f"{name}.f32")
        if name in ENCODERS:
            gguf.quants.quantize(values, kind).tofile(out / f"{name}.encoded")
    codes = np.arange(256, dtype=np.uint8)
    codes.tofile(out / "f8_e4m3.blocks")
    floats = torch.from_numpy(codes.copy()).view(torch.float8_e4m3fn).to(torch.float32)
    floats.numpy().tofile(out / "f8_e4m3.f32")


if __name__ == "__main__":
    main()
