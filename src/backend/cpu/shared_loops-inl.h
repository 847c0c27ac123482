// The table of an instruction set: its products beside the loops that all have alike. Included
// inside the anonymous namespace of a kernel file, after elementwise-inl.h and attention-inl.h.
#pragma once

struct Products {
  const char* isa;
  MatmulKernel f32;
  MatmulKernel bf16;
  MatmulKernel q8;
  QuantKernels quant;
};

constexpr CpuKernels with_shared_loops(const Products& products) {
  return {
      .isa = products.isa,
      .f32 = products.f32,
      .bf16 = products.bf16,
      .q8 = products.q8,
      .quant = products.quant,
      .attention_f32 = {.scores = scores<F32Cache>, .values = values<F32Cache>},
      .attention_bf16 = {.scores = scores<Bf16Cache>, .values = values<Bf16Cache>},
      .attention_int8 = {.scores = scores<Int8Cache>, .values = values<Int8Cache>},
      .rms_norm = rms_norm,
      .add = add,
      .silu_mul = silu_mul,
      .gelu_mul = gelu_mul,
      .scale = scale,
      .soft_cap = soft_cap,
      .clamped_swiglu = clamped_swiglu,
      .add_scaled = add_scaled,
      .rope = rope,
      .softmax_chunk = softmax_chunk,
      .exp = exp_all,
      .to_bf16 = to_bf16,
      .from_bf16 = from_bf16,
      .from_f16 = from_f16,
      .quantize_q8 = quantize_q8,
  };
}
