// Products of bf16 on AMX tiles. Included inside the anonymous namespace of kernels_avx512.cc,
// after matmul_amx-inl.h.
#pragma once

// bf16: sums stay in tiles along k, so every number of tokens takes this way, one row a token. The
// weights' layout is the operand's: 16 pairs of k, of 16 rows each, 128 bytes apart.
struct AmxBf16Tile {
  static constexpr int64_t kStepPairs = 16;
  static constexpr int64_t kStepBytes = kStepPairs * 4 * kPanelRows;

  // Tiles 0 to 3 are sums of `first` and `second` tokens with the panel's halves, 4 and 5 tokens, 6
  // and 7 weights.
  static void use_shapes(int first, int second, int num_pairs) {
    TileShapes s;
    s.set(0, first, 64);
    s.set(1, first, 64);
    s.set(4, first, num_pairs * 4);
    if (second > 0) {
      s.set(2, second, 64);
      s.set(3, second, 64);
      s.set(5, second, num_pairs * 4);
    }
    s.set(6, num_pairs, 64);
    s.set(7, num_pairs, 64);
    load_shapes(s);
  }

  struct Step {
    const std::byte* w;
    const std::byte* x;
    int64_t x_stride;
    float* out;
    int64_t out_stride;  // bytes
    const std::byte* prefetch;
    int64_t prefetch_step;
  };

  // `num_steps` products of up to 16 pairs, of up to 16 tokens or, with kTwo, of more.
  template <bool kTwo>
  static void multiply(const Step& s, int64_t num_steps, bool accumulate) {
    float* const out2 =
        reinterpret_cast<float*>(reinterpret_cast<std::byte*>(s.out) + 16 * s.out_stride);
    const std::byte* const x2 = s.x + 16 * s.x_stride;
    finish_writes();
    if (accumulate) {
      _tile_loadd(0, s.out, s.out_stride);
      _tile_loadd(1, s.out + kLanes, s.out_stride);
      if constexpr (kTwo) {
        _tile_loadd(2, out2, s.out_stride);
        _tile_loadd(3, out2 + kLanes, s.out_stride);
      }
    } else {
      _tile_zero(0);
      _tile_zero(1);
      if constexpr (kTwo) {
        _tile_zero(2);
        _tile_zero(3);
      }
    }
    const std::byte* w = s.w;
    const std::byte* prefetch = s.prefetch;
    for (int64_t i = 0; i < num_steps; ++i, w += kStepBytes) {
      _tile_loadd(6, w, 128);
      _tile_loadd(7, w + 64, 128);
      _tile_loadd(4, s.x + i * 64, s.x_stride);
      if constexpr (kTwo) _tile_loadd(5, x2 + i * 64, s.x_stride);
      for (int64_t j = 0; j < s.prefetch_step; j += 64) prefetch_line(prefetch + j);
      prefetch += s.prefetch_step;
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kTwo) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, s.out, s.out_stride);
    _tile_stored(1, s.out + kLanes, s.out_stride);
    if constexpr (kTwo) {
      _tile_stored(2, out2, s.out_stride);
      _tile_stored(3, out2 + kLanes, s.out_stride);
    }
  }

  static void multiply(bool two, const Step& s, int64_t num_steps, bool accumulate) {
    if (two) {
      multiply<true>(s, num_steps, accumulate);
    } else {
      multiply<false>(s, num_steps, accumulate);
    }
  }

  static void run(const MatmulTile& tile) {
    constexpr int32_t kTokens = 32;
    const int64_t num_steps = tile.num_units / kStepPairs;
    const auto tail = static_cast<int>(tile.num_units % kStepPairs);
    int32_t shaped = 0;  // tokens that the tiles are shaped for
    const int64_t num_parts = (tile.num_tokens + kTokens - 1) / kTokens;
    for (int32_t t = 0; t < tile.num_tokens; t += kTokens) {
      const int32_t count = tile.num_tokens - t < kTokens ? tile.num_tokens - t : kTokens;
      const int first = count < 16 ? count : 16;
      Step step = {.w = tile.weights,
                   .x = tile.x + t * tile.x_stride,
                   .x_stride = tile.x_stride,
                   .out = tile.out + t * tile.out_stride,
                   .out_stride = tile.out_stride * 4,
                   .prefetch = tile.prefetch,
                   .prefetch_step = kStepPairs * tile.prefetch_step / num_parts};
      step.prefetch += t / kTokens * num_steps * step.prefetch_step;
      bool accumulate = tile.accumulate;
      if (num_steps > 0) {
        if (count != shaped) use_shapes(first, count - first, kStepPairs);
        shaped = tail > 0 ? 0 : count;
        multiply(count > first, step, num_steps, accumulate);
        accumulate = true;
      }
      if (tail > 0) {
        step.w += num_steps * kStepBytes;
        step.x += num_steps * 64;
        step.prefetch_step = 0;
        use_shapes(first, count - first, tail);
        multiply(count > first, step, 1, accumulate);
      }
    }
    _tile_release();
  }
};
