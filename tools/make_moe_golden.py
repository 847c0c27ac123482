#!/usr/bin/env python3
"""Make the tiny mixture-of-experts checkpoints and their expected outputs under tests/golden/models.

    python3 tools/make_moe_golden.py [--out tests/golden/models] [--only NAME]

Needs torch, transformers and safetensors; the files in the repository were made with torch 2.15 and
transformers 5.24. Folders and expected.json are as tools/make_golden.py describes, with one field
more:

    router_margin  the smallest lead, over all layers and tokens of prompt and continuation, of the
                   last expert that is chosen over the first that is not; above 1e-3, as rounding
                   must not change the choice

Between them the variants have every layout of experts that checkpoints use: a tensor for each expert
under the names of Mixtral or Qwen3, fused stacks, gpt-oss's transposed and interleaved ones, and its
MXFP4 blocks, whose expected values come from Transformers' own decoding.
"""
import math

import torch
import transformers

from make_golden import GREEDY_TOKENS, SMALL, expected_outputs, load, make_all, make_variant

MIXTRAL = dict(SMALL, architectures=["MixtralForCausalLM"], model_type="mixtral", head_dim=8,
               num_local_experts=3, num_experts_per_tok=2)
QWEN3 = dict(SMALL, architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", head_dim=8,
             intermediate_size=64, moe_intermediate_size=32, num_experts=5, num_experts_per_tok=3,
             norm_topk_prob=True, decoder_sparse_step=1)
GPT_OSS = dict(SMALL, architectures=["GptOssForCausalLM"], model_type="gpt_oss", head_dim=8,
               num_local_experts=4, num_experts_per_tok=2, sliding_window=16,
               layer_types=["sliding_attention", "full_attention"], attention_bias=True,
               swiglu_limit=1.5,
               rope_scaling=dict(rope_type="yarn", factor=4.0, beta_fast=8.0, beta_slow=0.1,
                                 truncate=False, original_max_position_embeddings=32))
VARIANTS = {
    "mixtral": dict(MIXTRAL, sliding_window=None),
    "mixtral_fused": dict(MIXTRAL, sliding_window=24, rope_theta=None,
                          rope_parameters=dict(rope_type="default", rope_theta=5000.0)),
    "qwen3_moe": dict(QWEN3, num_hidden_layers=3, mlp_only_layers=[1]),
    "qwen3_moe_fused": dict(QWEN3, norm_topk_prob=False, decoder_sparse_step=2,
                            use_sliding_window=True, sliding_window=24),
    "gpt_oss": GPT_OSS,
    "gpt_oss_mxfp4": dict(
        GPT_OSS, swiglu_limit=7.0,
        quantization_config=dict(
            quant_method="mxfp4",
            modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                    "model.embed_tokens", "lm_head"])),
}
MIN_ROUTER_MARGIN = 1e-3


def draw(name, shape, generator):
    values = torch.randn(shape, generator=generator)
    if "norm" in name:
        return 1 + values * 0.25
    if name.endswith(("sinks", "bias", "_bias")) or "embed_tokens" in name or "lm_head" in name:
        return values * 0.4
    # gpt-oss alone has its experts as [X, In, Out].
    size = shape[-2] if name.endswith("_proj") and "gpt_oss" in draw.model_type else shape[-1]
    return values * 1.5 / math.sqrt(size)


def draw_mxfp4(shape, generator):
    """Random blocks and scales for [X, Out, In] weights of the same size as draw()'s."""
    *rows, size = shape
    blocks = torch.randint(0, 256, (*rows, size // 32, 16), generator=generator).to(torch.uint8)
    # FP4 values have a root mean square of 2.6, and rows may differ.
    exponent = 127 + round(math.log2(1.5 / math.sqrt(size) / 2.6))
    scales = exponent + torch.randint(-1, 2, (*rows, size // 32), generator=generator)
    return blocks, scales.to(torch.uint8)


def make_weights(name, config, model, generator):
    """Tensors by the names in the file."""
    draw.model_type = config["model_type"]
    weights = {}
    for key, parameter in model.state_dict().items():
        shape = tuple(parameter.shape)
        if name == "gpt_oss_mxfp4" and key.endswith(("gate_up_proj", "down_proj")):
            blocks, scales = draw_mxfp4((shape[0], shape[2], shape[1]), generator)
            weights[key + "_blocks"], weights[key + "_scales"] = blocks, scales
            continue
        values = draw(key, shape, generator).to(torch.bfloat16)
        if (name, ".mlp.gate." in key) == ("mixtral", True) or (
                name in ("mixtral", "qwen3_moe") and ".mlp.experts." in key):
            weights.update(with_a_tensor_each(name, key, values))
        else:
            weights[key] = values
    return {key: values.contiguous() for key, values in weights.items()}


def with_a_tensor_each(name, key, values):
    """The experts of one stack under the names that the published checkpoints use."""
    mixtral = name == "mixtral"
    prefix = key[:key.index("mlp.")] + ("block_sparse_moe." if mixtral else "mlp.")
    if key.endswith("gate.weight"):
        return {prefix + "gate.weight": values}
    gate, down, up = ("w1", "w2", "w3") if mixtral else ("gate_proj", "down_proj", "up_proj")
    result = {}
    for expert, matrix in enumerate(values):
        parts = {down: matrix}
        if key.endswith("gate_up_proj"):
            parts = dict(zip((gate, up), matrix.chunk(2)))
        for part, rows in parts.items():
            result[f"{prefix}experts.{expert}.{part}.weight"] = rows
    return result


def draw_weights(folder, config, generator):
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    shapes = getattr(transformers, config["architectures"][0])(
        transformers.AutoConfig.for_model(**plain))
    return make_weights(folder.name, config, shapes, generator)


def run(folder, config, prompt):
    options = {}
    if "quantization_config" in config:
        options["quantization_config"] = transformers.Mxfp4Config(dequantize=True)
    model = load(folder, config, **options)
    gaps = []
    top_k = config["num_experts_per_tok"]

    def note_gap(module, inputs, outputs):
        best = torch.sort(outputs[0], dim=-1, descending=True).values
        gaps.append(float((best[:, top_k - 1] - best[:, top_k]).min()))

    for module in model.modules():
        if type(module).__name__.endswith("TopKRouter"):
            module.register_forward_hook(note_gap)
    outputs = expected_outputs(model, prompt)
    assert gaps, "no router was seen"
    return dict(outputs, router_margin=min(gaps))


def make_moe(folder, index, config):
    # A continuation that soon repeats itself tests little.
    return make_variant(folder, 100000 + 1000 * index, config, draw_weights, run,
                        lambda outputs: (outputs["router_margin"] > MIN_ROUTER_MARGIN and
                                         len(set(outputs["greedy"])) > GREEDY_TOKENS // 2))


if __name__ == "__main__":
    make_all(__doc__, VARIANTS, make_moe)
