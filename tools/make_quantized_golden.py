#!/usr/bin/env python3
"""Make the tiny quantized checkpoints under tests/golden/quantized.

    python3 tools/make_quantized_golden.py [--out tests/golden/quantized]

Needs numpy. Each folder holds one matrix "layer" of 24 rows and 64 columns with random codes, written
the way a publisher's tool writes it, and expected.f32: scale * (code - zero), row by row, computed from
the codes before they were packed. The layouts are those of AutoGPTQ (qlinear_cuda.py), AutoAWQ
(packing_utils.py), compressed-tensors (pack_quantized.py, naive_quantized.py) and DeepSeek-V3 (FP8 in
blocks), written anew from their formulas.
"""
import argparse
import json
import pathlib
import struct

import numpy as np

OUT, IN, GROUP = 24, 64, 32
DTYPES = {np.dtype("int32"): "I32", np.dtype("float16"): "F16", np.dtype("float32"): "F32",
          np.dtype("int8"): "I8", np.dtype("int64"): "I64"}


def bf16(values):
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def bf16_values(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def e4m3_values():
    """All 256 values of F8_E4M3 (FN): bias 7, no infinity, 0x7F and 0xFF are NaN."""
    values = []
    for bits in range(256):
        exponent, mantissa = bits >> 3 & 15, bits & 7
        value = mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0**(exponent - 7)
        values.append(-value if bits & 128 else value)
    return np.array(values, np.float32)


def save(folder, config, tensors, expected):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"quantization_config": config}, indent=2) + "\n")
    header, data = {}, b""
    for name, value in tensors.items():
        dtype = value[1] if isinstance(value, tuple) else DTYPES[value.dtype]
        value = value[0] if isinstance(value, tuple) else value
        part = np.ascontiguousarray(value).tobytes()
        header[name] = dict(dtype=dtype, shape=value.shape, data_offsets=[len(data), len(data) + len(part)])
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "expected.f32").write_bytes(expected.astype("<f4").tobytes())
    for path in folder.iterdir():
        path.chmod(0o644)


def words(codes, bits, axis, order=None):
    """Packs codes along an axis, lowest bits first; `order` says which code each place takes."""
    codes = np.moveaxis(codes, axis, -1).astype(np.uint32)
    per_word = 32 // bits
    codes = codes.reshape(*codes.shape[:-1], -1, per_word)
    packed = np.zeros(codes.shape[:-1], np.uint32)
    for place in range(per_word):
        packed |= codes[..., order[place] if order else place] << np.uint32(bits * place)
    return np.ascontiguousarray(np.moveaxis(packed, -1, axis)).view(np.int32)


def draw(rng, bits, symmetric, scale_type=np.float16):
    groups = IN // GROUP
    codes = rng.integers(0, 2**bits, (OUT, IN))
    zeros = np.full((OUT, groups), 2**(bits - 1)) if symmetric else rng.integers(1, 2**bits, (OUT, groups))
    scales = rng.uniform(0.001, 0.02, (OUT, groups)).astype(scale_type)
    return codes, zeros, scales


def dequantize(codes, zeros, scales, group_of):
    difference = (codes - zeros[:, group_of]).astype(np.float32)
    return difference * scales[:, group_of].astype(np.float32)


def gptq(folder, rng, bits, symmetric, order=False, version="gptq"):
    codes, zeros, scales = draw(rng, bits, symmetric)
    group_of = np.arange(IN) // GROUP
    if order:
        group_of = rng.permutation(group_of)
    stored_zeros = zeros - (1 if version == "gptq" else 0)
    tensors = {"layer.qweight": words(codes.T, bits, 0), "layer.qzeros": words(stored_zeros.T, bits, 1),
               "layer.scales": scales.T, "layer.g_idx": group_of.astype(np.int32),
               "layer.bias": np.zeros(OUT, np.float16)}
    config = dict(quant_method="gptq", bits=bits, group_size=GROUP, sym=symmetric, desc_act=order,
                  checkpoint_format=version)
    save(folder, config, tensors, dequantize(codes, zeros, scales, group_of))


def awq(folder, rng):
    codes, zeros, scales = draw(rng, 4, False)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    tensors = {"layer.qweight": words(codes.T, 4, 1, order), "layer.qzeros": words(zeros.T, 4, 1, order),
               "layer.scales": scales.T}
    config = dict(quant_method="awq", bits=4, group_size=GROUP, zero_point=True, version="gemm")
    save(folder, config, tensors, dequantize(codes, zeros, scales, np.arange(IN) // GROUP))


def packed(folder, rng, bits, symmetric):
    codes, zeros, scales = draw(rng, bits, symmetric, np.float32)
    scale_bits = bf16(scales)
    tensors = {"layer.weight_packed": words(codes, bits, 1), "layer.weight_scale": (scale_bits, "BF16"),
               "layer.weight_shape": np.array([OUT, IN], np.int64)}
    if not symmetric:
        tensors["layer.weight_zero_point"] = words(zeros, bits, 0)
    weights = dict(num_bits=bits, type="int", symmetric=symmetric, strategy="group", group_size=GROUP)
    config = dict(quant_method="compressed-tensors", format="pack-quantized",
                  config_groups=dict(group_0=dict(targets=["Linear"], weights=weights)))
    expected = dequantize(codes, zeros, bf16_values(scale_bits), np.arange(IN) // GROUP)
    save(folder, config, tensors, expected)


def int8(folder, rng):
    codes = rng.integers(-128, 128, (OUT, IN))
    scales = rng.uniform(0.001, 0.02, (OUT, 1)).astype(np.float16)
    config = dict(quant_method="compressed-tensors", format="int-quantized", config_groups=dict(
        group_0=dict(targets=["Linear"], weights=dict(num_bits=8, type="int", strategy="channel"))))
    save(folder, config, {"layer.weight": codes.astype(np.int8), "layer.weight_scale": scales},
         codes.astype(np.float32) * scales.astype(np.float32))


def fp8(folder, rng, kind):
    codes = rng.integers(0, 256, (OUT, IN)).astype(np.uint8)
    codes[(codes & 0x7F) == 0x7F] = 0x3C
    values = e4m3_values()[codes]
    if kind == "block":
        rows, columns = 16, 32
        scales = rng.uniform(0.01, 0.1, (-(-OUT // rows), -(-IN // columns))).astype(np.float32)
        per_code = np.repeat(np.repeat(scales, rows, 0), columns, 1)[:OUT, :IN]
        config = dict(quant_method="fp8", weight_block_size=[rows, columns], activation_scheme="dynamic")
        name = "layer.weight_scale_inv"
    elif kind == "channel":
        scales = rng.uniform(0.01, 0.1, (OUT, 1)).astype(np.float32)
        per_code = scales
        config = dict(quant_method="compressed-tensors", format="float-quantized", config_groups=dict(
            group_0=dict(targets=["Linear"], weights=dict(num_bits=8, type="float", strategy="channel"))))
        name = "layer.weight_scale"
    else:
        scales = rng.uniform(0.01, 0.1, (1,)).astype(np.float32)
        per_code = scales
        config = dict(quant_method="fp8", activation_scheme="static")
        name = "layer.weight_scale"
    tensors = {"layer.weight": (codes, "F8_E4M3"), name: scales}
    save(folder, config, tensors, values * per_code)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/quantized"))
    out = parser.parse_args().out
    rng = np.random.default_rng(11)
    gptq(out / "gptq_symmetric", rng, 4, True)
    gptq(out / "gptq_zeros", rng, 4, False)
    gptq(out / "gptq_v2", rng, 4, False, version="gptq_v2")
    gptq(out / "gptq_order", rng, 4, True, order=True)
    gptq(out / "gptq_8bit", rng, 8, True)
    awq(out / "awq", rng)
    packed(out / "packed_symmetric", rng, 4, True)
    packed(out / "packed_zeros", rng, 4, False)
    packed(out / "packed_8bit", rng, 8, True)
    int8(out / "int8", rng)
    for kind in ("tensor", "channel", "block"):
        fp8(out / f"fp8_{kind}", rng, kind)
    for path in sorted(out.iterdir()):
        print(path, sum(file.stat().st_size for file in path.iterdir()))


if __name__ == "__main__":
    main()
