#!/usr/bin/env python3
"""Make the quantized checkpoints under tests/golden/quantized that publishers' own packages wrote.

    python3 tools/make_quantized_peer_golden.py [--out tests/golden/quantized]

Needs numpy, torch, transformers, compressed-tensors 0.20.0, and, installed with --no-deps, auto-gptq
0.7.1 and autoawq 0.2.9, which run on a CPU as far as this needs them. Each folder holds one matrix
"layer" of 32 rows and 64 columns as the package quantized, packed and named it, and expected.f32, what
the same package makes of it when it dequantizes in f32. The folders of make_quantized_golden.py hold
what we take the formats to be; these, what they are.
"""
import argparse
import importlib
import importlib.machinery
import pathlib
import sys
import types

import numpy as np
import torch
from compressed_tensors.compressors.naive_quantized.base import IntQuantizationCompressor
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

from make_quantized_golden import bf16, save

OUT, IN, GROUP = 32, 64, 32
GROUPS = IN // GROUP


def import_part(name):
    """A module of a package without the package's own __init__, which asks for a GPU's libraries."""
    parent = name.rpartition(".")[0]
    while parent:
        if parent not in sys.modules:
            stub = types.ModuleType(parent)
            top = importlib.machinery.PathFinder.find_spec(parent.partition(".")[0])
            stub.__path__ = [str(pathlib.Path(top.origin).parent.joinpath(*parent.split(".")[1:]))]
            sys.modules[parent] = stub
        parent = parent.rpartition(".")[0]
    return importlib.import_module(name)


def draw(generator, bits, symmetric, dtype=torch.float16):
    """A Linear, and scales and zeros [OUT, GROUPS] that suit its weights."""
    linear = torch.nn.Linear(IN, OUT, bias=False)
    linear.weight.data = torch.randn((OUT, IN), generator=generator) * 0.05
    grouped = linear.weight.data.view(OUT, GROUPS, GROUP)
    if symmetric:
        scales = grouped.abs().amax(-1) / (2**(bits - 1) - 1)
        zeros = torch.full((OUT, GROUPS), 2**(bits - 1))
    else:
        low, high = grouped.amin(-1), grouped.amax(-1)
        scales = (high - low) / (2**bits - 1)
        # AutoGPTQ's first format cannot store a zero of 0.
        zeros = torch.round(-low / scales).clamp(1, 2**bits - 1).int()
    return linear, scales.to(dtype).float(), zeros


def gptq(folder, generator, bits, symmetric, order=False):
    linear, scales, zeros = draw(generator, bits, symmetric)
    module = import_part("auto_gptq.nn_modules.qlinear.qlinear_cuda")
    layer = module.QuantLinear(bits, GROUP, IN, OUT, bias=False, weight_dtype=torch.float32)
    group_of = torch.arange(IN, dtype=torch.int32) // GROUP
    if order:
        group_of = group_of[torch.randperm(IN, generator=generator)].contiguous()
    rows = linear.weight.data
    centre = (zeros * scales)[:, group_of.long()]
    # What lies outside the codes' range would spill into the neighbours' bits.
    limit = torch.maximum(torch.minimum(rows, (2**bits - 1) * scales[:, group_of.long()] - centre), -centre)
    linear.weight.data = limit
    layer.pack(linear, scales, zeros.float(), group_of)
    expected = layer(torch.eye(IN)).T
    tensors = {"layer.qweight": layer.qweight.numpy(), "layer.qzeros": layer.qzeros.numpy(),
               "layer.scales": layer.scales.half().numpy(), "layer.g_idx": layer.g_idx.numpy()}
    config = dict(quant_method="gptq", bits=bits, group_size=GROUP, sym=symmetric, desc_act=order)
    save(folder, config, tensors, expected.detach().numpy())


def awq(folder, generator):
    linear, scales, zeros = draw(generator, 4, False)
    # Names that the module imports and does not need here.
    for name, content in (("awq.utils.utils", {"get_best_device": lambda: "cpu"}),
                          ("awq.utils.module", {"try_import": lambda name: (None, "")})):
        import_part("awq.utils.packing_utils")
        stub = types.ModuleType(name)
        stub.__dict__.update(content)
        sys.modules[name] = stub
    module = import_part("awq.modules.linear.gemm")
    centre = (zeros * scales).repeat_interleave(GROUP, 1)
    span = (15 * scales).repeat_interleave(GROUP, 1)
    linear.weight.data = torch.maximum(torch.minimum(linear.weight.data, span - centre), -centre)
    layer = module.WQLinear_GEMM.from_linear(linear, 4, GROUP, scales=scales.T.contiguous(),
                                             zeros=zeros.T.contiguous())
    expected = module.dequantize_gemm(layer.qweight, layer.qzeros, layer.scales.float(), 4, GROUP).T
    tensors = {"layer.qweight": layer.qweight.numpy(), "layer.qzeros": layer.qzeros.numpy(),
               "layer.scales": layer.scales.numpy()}
    config = dict(quant_method="awq", bits=4, group_size=GROUP, zero_point=True, version="gemm")
    save(folder, config, tensors, expected.numpy())


def compressed(folder, generator, compressor, form, **args):
    bits, symmetric = args["num_bits"], args["symmetric"]
    linear, scales, zeros = draw(generator, bits, symmetric, torch.bfloat16)
    if args["strategy"] == "channel":
        scales, zeros = scales.amax(-1, keepdim=True), zeros[:, :1]
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    plain = {"weight": linear.weight.data, "weight_scale": scales}
    if not symmetric:
        plain["weight_zero_point"] = (zeros - 2**(bits - 1)).to(torch.int8)
    state = compressor.compress(plain, scheme)
    expected = compressor.decompress(dict(state), scheme)["weight"].float()
    tensors = {"layer." + name: value.numpy() for name, value in state.items()}
    tensors["layer.weight_scale"] = (bf16(scales.numpy()), "BF16")
    if "layer.weight_shape" in tensors:
        tensors["layer.weight_shape"] = tensors["layer.weight_shape"].astype(np.int64)
    config = dict(quant_method="compressed-tensors", format=form, config_groups=dict(
        group_0=dict(targets=["Linear"], weights=dict(args, type="int"))))
    save(folder, config, tensors, expected.numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/quantized"))
    out = parser.parse_args().out
    generator = torch.Generator().manual_seed(7)
    gptq(out / "autogptq_symmetric", generator, 4, True)
    gptq(out / "autogptq_zeros", generator, 4, False)
    gptq(out / "autogptq_order", generator, 4, True, order=True)
    gptq(out / "autogptq_zeros_order", generator, 4, False, order=True)
    gptq(out / "autogptq_8bit", generator, 8, True)
    awq(out / "autoawq", generator)
    packed = PackedQuantizationCompressor
    group = dict(strategy="group", group_size=GROUP)
    compressed(out / "compressed_symmetric", generator, packed, "pack-quantized", num_bits=4, symmetric=True, **group)
    compressed(out / "compressed_zeros", generator, packed, "pack-quantized", num_bits=4, symmetric=False, **group)
    compressed(out / "compressed_8bit", generator, packed, "pack-quantized", num_bits=8, symmetric=True, **group)
    compressed(out / "compressed_int8", generator, IntQuantizationCompressor, "int-quantized", num_bits=8,
               symmetric=True, strategy="channel")


if __name__ == "__main__":
    main()
