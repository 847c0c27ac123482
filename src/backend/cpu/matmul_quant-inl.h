// Products with the block formats of quant_layout.h. Included inside the anonymous namespace of a
// kernel file, after matmul-inl.h.
#pragma once

// Dot products of whole numbers are exact, and the floats around them run in one order: every
// instruction set gives the same bits.
template <QuantLayout kLayout>
struct QuantTile {
  using Row = Q8Row<1>;
  static constexpr int kGroups = kLayout.groups();
  static constexpr int kGroupBytes = kLayout.group_bytes();
  static constexpr int kHeaderBytes = kLayout.header_bytes();
  static constexpr int kPairsAt = kLayout.pairs_at();
  static constexpr int kBitsAt = kLayout.bits_at();
  static constexpr int kScalesAt = kLayout.scales_at();
  static constexpr int kHighShift = kLayout.nibbles ? 4 : 0;  // where the pairs go
  static constexpr int kBitShift = kHighShift + (kLayout.pairs ? 2 : 0);
  static constexpr bool kSplit = kLayout.split();
  static constexpr bool kMins = kLayout.has_mins();
  static constexpr QuantScales kScales = kLayout.scales;

  // The quants of k 4 step .. 4 step + 3 of one half's 16 rows.
  template <int kStep>
  static ByteVec quants(const std::byte* group, int half) {
    ByteVec result;
    if constexpr (kLayout.nibbles) {
      const ByteVec both = v_load_bytes(group + half * 256 + kStep % 4 * 64);
      result = v_and_bytes<0x0f>(v_shift_bits<(kStep < 4 ? 0 : -4)>(both));
      if constexpr (kScales == QuantScales::kBf16) result = v_lookup_e2m1(result);
    }
    if constexpr (kLayout.pairs) {
      const ByteVec four = v_load_bytes(group + kPairsAt + half * 128 + kStep / 4 * 64);
      const ByteVec pair = v_shift_bits<kHighShift - kStep % 4 * 2>(four);
      if constexpr (kLayout.nibbles) {
        result = v_or_masked<3 << kHighShift>(result, pair);
      } else {
        result = v_and_bytes<3 << kHighShift>(pair);
      }
    }
    if constexpr (kLayout.bits) {
      const ByteVec eight = v_load_bytes(group + kBitsAt + half * 64);
      result = v_or_masked<1 << kBitShift>(result, v_shift_bits<kBitShift - kStep>(eight));
    }
    return result;
  }

  // Scale and min (as what is to be added) of one half's rows; `part` counts 16 k.
  static Vec scale_of(const std::byte* header, const std::byte* group, int half, int part) {
    const std::byte* scales = group + kScalesAt;
    if constexpr (kScales == QuantScales::kF16 || kScales == QuantScales::kF16AndMin) {
      return v_load_f16(scales + half * 32);
    } else if constexpr (kScales == QuantScales::kBf16) {
      return v_load_bf16(reinterpret_cast<const uint16_t*>(scales) + half * 16);
    } else if constexpr (kScales == QuantScales::kWithMins) {
      return v_mul(v_load_f16(header + half * 32), v_load_uint8<0xff, 0>(scales + half * 16));
    } else if constexpr (kScales == QuantScales::kWithMins16) {
      return v_mul(v_load_f16(header + half * 32),
                   v_load_uint8<0x0f, 0>(scales + part * 32 + half * 16));
    } else {
      return v_mul(v_load_f16(header + half * 32),
                   v_load_int8(reinterpret_cast<const int8_t*>(scales) + part * 32 + half * 16));
    }
  }
  static Vec min_of(const std::byte* header, const std::byte* group, int half, int part) {
    const std::byte* scales = group + kScalesAt;
    if constexpr (kScales == QuantScales::kF16AndMin) {
      return v_load_f16(scales + 64 + half * 32);
    } else {
      const Vec m = kScales == QuantScales::kWithMins
                        ? v_load_uint8<0xff, 0>(scales + 32 + half * 16)
                        : v_load_uint8<0x0f, 4>(scales + part * 32 + half * 16);
      return v_sub(v_zero(), v_mul(v_load_f16(header + 64 + half * 32), m));
    }
  }

  template <int T, int kFirst, int kEnd>
  static void dot(const std::byte* group, int half, const MatmulTile& tile, const std::byte* x,
                  IntVec (&dots)[T]) {
    if constexpr (kFirst < kEnd) {
      const ByteVec q = quants<kFirst>(group, half);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        dots[t] = v_dot_bytes(dots[t], q, load_int(x + t * tile.x_stride + kFirst * 4));
      }
      dot<T, kFirst + 1, kEnd>(group, half, tile, x, dots);
    }
  }

  // Dot products of one half's rows of a group, or of its 16 k number kPart.
  template <int T, int kPart>
  static void dot_part(const std::byte* group, int half, const MatmulTile& tile, const std::byte* x,
                       IntVec (&dots)[T]) {
    constexpr int kFirst = kSplit ? 4 * kPart : 0;
    constexpr int64_t kOffset = kSplit ? Row::kPartOffsets + 4 * kPart : Row::kOffset;
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      dots[t] = v_set1_int(kLayout.zero == 0 ? 0 : load_int(x + t * tile.x_stride + kOffset));
    }
    dot<T, kFirst, kSplit ? kFirst + 4 : 8>(group, half, tile, x, dots);
  }

  // Adds one half's rows of a group to the sums. Two parts are added before the scale of x.
  template <int T>
  static void add_group(const std::byte* header, const std::byte* group, int half,
                        const MatmulTile& tile, const std::byte* x, Vec (&sums)[T]) {
    IntVec dots[T];
    dot_part<T, 0>(group, half, tile, x, dots);
    const Vec scale = scale_of(header, group, half, 0);
    if constexpr (kSplit) {
      Vec scaled[T];
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) scaled[t] = v_mul(v_from_int(dots[t]), scale);
      dot_part<T, 1>(group, half, tile, x, dots);
      const Vec scale2 = scale_of(header, group, half, 1);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        sums[t] = v_fma(v_fma(v_from_int(dots[t]), scale2, scaled[t]),
                        v_set1(load_float(x + t * tile.x_stride + Row::kScale)), sums[t]);
      }
    } else {
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const Vec x_scale = v_set1(load_float(x + t * tile.x_stride + Row::kScale));
        sums[t] = v_fma(v_from_int(dots[t]), v_mul(scale, x_scale), sums[t]);
      }
    }
    if constexpr (kMins) {
      add_min<T, 0>(header, group, half, tile, x, sums);
      if constexpr (kSplit) add_min<T, 1>(header, group, half, tile, x, sums);
    }
  }

  template <int T, int kPart>
  static void add_min(const std::byte* header, const std::byte* group, int half,
                      const MatmulTile& tile, const std::byte* x, Vec (&sums)[T]) {
    constexpr int64_t kScaledSum = kSplit ? Row::kScaledPartSums + 4 * kPart : Row::kScaledSum;
    const Vec min = min_of(header, group, half, kPart);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      sums[t] = v_fma(v_set1(load_float(x + t * tile.x_stride + kScaledSum)), min, sums[t]);
    }
  }

  template <int T>
  static void run(const MatmulTile& tile) {
    Vec sums[2][T];
    load_sums<T>(tile, sums);
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    const std::byte* prefetch = tile.prefetch;
    const int64_t prefetch_step = tile.prefetch_step / (2 * kGroups);
    for (int64_t unit = 0; unit < tile.num_units; ++unit) {
      const std::byte* header = w;
      w += kHeaderBytes;
      // With two parts the halves take turns by the unit: one's sums at a time leave registers for
      // both parts.
      constexpr int kRun = kSplit ? kGroups : 1;
      for (int first = 0; first < kGroups; first += kRun) {
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
          for (int group = first; group < first + kRun; ++group) {
            for (int64_t i = 0; i < prefetch_step; i += 64) prefetch_line(prefetch + i);
            prefetch += prefetch_step;
            add_group<T>(header, w + group * kGroupBytes, half, tile, x + group * Row::kBytes,
                         sums[half]);
          }
        }
      }
      w += kGroups * kGroupBytes;
      x += kGroups * Row::kBytes;
    }
    store_sums<T>(tile, sums);
  }
};

// Tokens in pieces of Max, half of it and so on. A run for every number of tokens would be faster
// for some batches, and take minutes to compile for all formats.
template <typename Tile, int Max>
void run_pieces(const MatmulTile& tile) {
  MatmulTile rest = tile;
  for (; rest.num_tokens >= Max; rest.num_tokens -= Max) {
    Tile::template run<Max>(rest);
    rest.x += Max * rest.x_stride;
    rest.out += Max * rest.out_stride;
    rest.prefetch_step = 0;
  }
  if constexpr (Max > 1) {
    if (rest.num_tokens > 0) run_pieces<Tile, Max / 2>(rest);
  }
}

template <QuantLayout kLayout, int kMaxTokens>
constexpr MatmulKernel quant_kernel() {
  return {.unit_elements = kLayout.unit_elements(),
          .unit_bytes = kLayout.unit_bytes(),
          .x_unit_bytes = static_cast<int32_t>(kLayout.groups() * Q8Row<1>::kBytes),
          .max_tokens = kMaxTokens,
          .any_tokens = false,
          .convert = convert_q8<1, kLayout.zero>,
          .tile = run_pieces<QuantTile<kLayout>, kMaxTokens>};
}

template <int kMaxTokens>
constexpr QuantKernels quant_kernels() {
  return {.q4_0 = quant_kernel<kQ4_0Layout, kMaxTokens>(),
          .q4_1 = quant_kernel<kQ4_1Layout, kMaxTokens>(),
          .q5_0 = quant_kernel<kQ5_0Layout, kMaxTokens>(),
          .q5_1 = quant_kernel<kQ5_1Layout, kMaxTokens>(),
          .q2_k = quant_kernel<kQ2_KLayout, kMaxTokens>(),
          .q3_k = quant_kernel<kQ3_KLayout, kMaxTokens>(),
          .q4_k = quant_kernel<kQ4_KLayout, kMaxTokens>(),
          .q5_k = quant_kernel<kQ5_KLayout, kMaxTokens>(),
          .q6_k = quant_kernel<kQ6_KLayout, kMaxTokens>(),
          .mxfp4 = quant_kernel<kMxfp4Layout, kMaxTokens>()};
}
