// Products of q8_0 as products of 16-bit numbers. Included inside the anonymous namespace of a
// kernel file, after matmul-inl.h.
#pragma once

// Integer sums of 16 rows at a time, so that they and the float sums need fewer registers.
struct Q8Tile {
  using Row = Q8Row<2>;
  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
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
          sums[half][t] = v_fma(v_from_int(dots[t]), v_mul(w_scale, x_scale), sums[half][t]);
        }
      }
    }
    store_sums<T>(tile, sums);
  }
};

template <int kMaxTokens>
constexpr MatmulKernel q8_kernel() {
  return {.unit_elements = 32,
          .unit_bytes = kQ8GroupBytes,
          .x_unit_bytes = Q8Row<2>::kBytes,
          .max_tokens = kMaxTokens,
          .any_tokens = true,
          .convert = convert_q8<2, kQ8Zero>,
          .tile = run_tile<Q8Tile, kMaxTokens>};
}
