// Products of bf16 and q8_0 for instruction sets without dot product instructions. Included inside
// the anonymous namespace of a kernel file, after matmul-inl.h.
#pragma once

// A unit is two k; x holds them as floats already rounded to bf16.
struct Bf16Tile {
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[T][2];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += 4 * kPanelRows, x += 8) {
      prefetch_step(tile, unit);
      for (int half = 0; half < 2; ++half) {
        Vec even;
        Vec odd;
        v_load_bf16_pairs(w + half * 4 * kLanes, &even, &odd);
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
          const std::byte* pair = x + t * tile.x_stride;
          sums[t][half] = v_fma(v_set1(load_float(pair)), even, sums[t][half]);
          sums[t][half] = v_fma(v_set1(load_float(pair + 4)), odd, sums[t][half]);
        }
      }
    }
    store_sums<T>(tile, sums);
  }
};

void convert_bf16_as_f32(const float* x, int64_t num_elements, std::byte* out) {
  auto* values = reinterpret_cast<float*>(out);
  for_vectors(num_elements, [&](int64_t i, int m) {
    uint16_t rounded[kLanes];
    v_store_bf16(rounded, load_some(x + i, m));
    store_some(values + i, v_load_bf16(rounded), m);
  });
  if (num_elements % 2 != 0) values[num_elements] = 0.0F;
}

// Integer sums of 16 rows at a time, so that they and the float sums need fewer registers.
struct Q8Tile {
  using Row = Q8Row<2>;
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[T][2];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    for (int64_t unit = 0; unit < tile.num_units; ++unit, w += kQ8GroupBytes, x += Row::kBytes) {
      prefetch_step(tile, unit);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        IntVec dots[T];
        for (int t = 0; t < T; ++t) {
          dots[t] = v_set1_int(load_int(x + t * tile.x_stride + Row::kOffset));
        }
        for (int k = 0; k < 8; ++k) {
          const QuantVec quants = v_load_quants(w + k * 128 + half * 64);
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t) {
            dots[t] = v_dot4(dots[t], quants, x + t * tile.x_stride + k * 8);
          }
        }
        const Vec w_scale = v_load_f16(w + 1024 + half * 32);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const Vec x_scale = v_set1(load_float(x + t * tile.x_stride + Row::kScale));
          sums[t][half] = v_fma(v_from_int(dots[t]), v_mul(w_scale, x_scale), sums[t][half]);
        }
      }
    }
    store_sums<T>(tile, sums);
  }
};
