// Products of many tokens on AMX tiles. Included inside the anonymous namespace of
// kernels_avx512.cc, after matmul_quant-inl.h. Dot products of whole numbers are exact, and the
// floats around them run in the order of QuantTile: the results are its bits.
#pragma once

// Shapes of the eight tile registers: the operand of LDTILECFG (Intel SDM, volume 1, chapter 18).
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  constexpr void set(int tile, int num_rows, int num_row_bytes) {
    rows[tile] = static_cast<uint8_t>(num_rows);
    row_bytes[tile] = static_cast<uint16_t>(num_row_bytes);
  }
};

// GCC 12's intrinsics do not tell the compiler that a tile load reads memory: what was written
// before must be there.
inline void finish_writes() {
  asm volatile("" : : : "memory");
}

// Of this one its intrinsic tells the first bytes only.
inline void load_shapes(const TileShapes& shapes) {
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}

// Tokens of one step: their sums with 16 rows, half a panel, fill 16 registers.
constexpr int kAmxTokens = 16;
// Groups whose weights are unpacked at a time: 16 KiB of bytes in the first-level cache.
constexpr int kAmxGroups = 16;

// Weights of some groups as signed bytes [group][2 halves][8 of 4 k][16 rows][4 k], which is how
// TDPBSSD wants its second operand, and what multiplies the sums.
template <int kParts>
struct AmxWeights {
  alignas(64) std::byte quants[kAmxGroups][2][512];
  alignas(64) float scales[kAmxGroups][kParts][kPanelRows];
  alignas(64) float mins[kAmxGroups][kParts][kPanelRows];
};

inline ByteVec v_sub_bytes(ByteVec x, int8_t value) {
  return _mm512_sub_epi8(x, _mm512_set1_epi8(value));
}

// The formats of quant_layout.h.
template <QuantLayout kLayout>
struct AmxQuantSource {
  using Tile = QuantTile<kLayout>;
  static constexpr int kGroups = kLayout.groups();
  static constexpr int kGroupBytes = kLayout.group_bytes();
  static constexpr int kHeaderBytes = kLayout.header_bytes();
  static constexpr int kParts = kLayout.split() ? 2 : 1;
  static constexpr bool kMins = kLayout.has_mins();

  template <int kStep>
  static void unpack_steps(const std::byte* group, int half, std::byte* out) {
    if constexpr (kStep < 8) {
      const ByteVec quants = Tile::template quants<kStep>(group, half);
      _mm512_store_si512(out + kStep * 64,
                         kLayout.zero == 0 ? quants : v_sub_bytes(quants, kLayout.zero));
      unpack_steps<kStep + 1>(group, half, out);
    }
  }
  static void unpack(const std::byte* header, const std::byte* group, int index,
                     AmxWeights<kParts>& out) {
    for (int half = 0; half < 2; ++half) {
      unpack_steps<0>(group, half, out.quants[index][half]);
      for (int part = 0; part < kParts; ++part) {
        v_store(out.scales[index][part] + half * 16, Tile::scale_of(header, group, half, part));
        if constexpr (kMins) {
          v_store(out.mins[index][part] + half * 16, Tile::min_of(header, group, half, part));
        }
      }
    }
  }
};

struct AmxQ8Source {
  static constexpr int kGroups = 1;
  static constexpr int kGroupBytes = kQ8GroupBytes;
  static constexpr int kHeaderBytes = 0;
  static constexpr int kParts = 1;
  static constexpr bool kMins = false;

  static void unpack(const std::byte*, const std::byte* group, int index, AmxWeights<1>& out) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(0x80));
    for (int k = 0; k < 8; ++k) {
      for (int half = 0; half < 2; ++half) {
        const __m512i quants = _mm512_load_si512(group + k * 128 + half * 64);
        _mm512_store_si512(out.quants[index][half] + k * 64, _mm512_xor_si512(quants, offset));
      }
    }
    v_store(out.scales[index][0], v_load_f16(group + 1024));
    v_store(out.scales[index][0] + 16, v_load_f16(group + 1056));
  }
};

// kVectorTile computes the same for up to kMaxTokens tokens.
template <typename Source, void (*kVectorTile)(const MatmulTile&), int kMaxTokens>
struct AmxTile {
  using Row = Q8Row<1>;
  static constexpr int kParts = Source::kParts;
  static constexpr bool kMins = Source::kMins;
  using Weights = AmxWeights<kParts>;
  // Whole numbers of a group: [part][token][16 rows].
  struct alignas(64) Dots {
    int32_t at[kParts][kAmxTokens][16];
  };
  // Groups that the tiles are ahead of the vectors, so that neither waits for the other.
  static constexpr int kDepth = 3;

  static constexpr TileShapes shapes() {
    TileShapes s;
    constexpr int kPartBytes = 32 / kParts;
    s.set(0, kAmxTokens, kPartBytes);
    s.set(1, kPartBytes / 4, 64);
    s.set(2, kAmxTokens, 64);
    return s;
  }

  // Half a panel, and where its tokens are.
  struct Half {
    const Weights& weights;
    int half;
    const std::byte* x;
    int64_t x_stride;

    const std::byte* row(int group) const { return x + group * Row::kBytes; }
  };

  // Dot products of the tokens with a group.
  static void multiply(const Half& h, int group, Dots& dots) {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      _tile_zero(2);
      _tile_loadd(0, h.row(group) + part * 16, h.x_stride);
      _tile_loadd(1, h.weights.quants[group][h.half] + part * 256, 64);
      _tile_dpbssd(2, 0, 1);
      _tile_stored(2, dots.at[part], 64);
    }
  }

  static void add(const Half& h, int group, const Dots& dots, Vec (&sums)[kAmxTokens]) {
    const std::byte* x = h.row(group);
    Vec scales[kParts];
    Vec mins[kParts];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      scales[part] = v_load(h.weights.scales[group][part] + h.half * 16);
      if constexpr (kMins) mins[part] = v_load(h.weights.mins[group][part] + h.half * 16);
    }
#pragma GCC unroll 16
    for (int t = 0; t < kAmxTokens; ++t) {
      const std::byte* row = x + t * h.x_stride;
      const Vec x_scale = v_set1(load_float(row + Row::kScale));
      const Vec dot = _mm512_cvtepi32_ps(_mm512_load_si512(dots.at[0][t]));
      if constexpr (kParts == 2) {
        const Vec dot2 = _mm512_cvtepi32_ps(_mm512_load_si512(dots.at[1][t]));
        sums[t] = v_fma(v_fma(dot2, scales[1], v_mul(dot, scales[0])), x_scale, sums[t]);
      } else {
        sums[t] = v_fma(dot, v_mul(scales[0], x_scale), sums[t]);
      }
      if constexpr (kMins) {
        constexpr int64_t kScaledSum = kParts == 2 ? Row::kScaledPartSums : Row::kScaledSum;
#pragma GCC unroll 2
        for (int part = 0; part < kParts; ++part) {
          sums[t] = v_fma(v_set1(load_float(row + kScaledSum + part * 4)), mins[part], sums[t]);
        }
      }
    }
  }

  static void run_half(const Half& h, int num_groups, float* out, int64_t out_stride,
                       bool accumulate) {
    Vec sums[kAmxTokens];
#pragma GCC unroll 16
    for (int t = 0; t < kAmxTokens; ++t) {
      sums[t] = accumulate ? v_load(out + t * out_stride) : v_zero();
    }
    finish_writes();
    Dots dots[kDepth + 1];
    for (int i = 0; i < kDepth && i < num_groups; ++i) multiply(h, i, dots[i]);
    for (int i = kDepth; i < num_groups; ++i) {
      multiply(h, i, dots[i % (kDepth + 1)]);
      add(h, i - kDepth, dots[(i - kDepth) % (kDepth + 1)], sums);
    }
    for (int i = num_groups > kDepth ? num_groups - kDepth : 0; i < num_groups; ++i) {
      add(h, i, dots[i % (kDepth + 1)], sums);
    }
#pragma GCC unroll 16
    for (int t = 0; t < kAmxTokens; ++t) v_store(out + t * out_stride, sums[t]);
  }

  // The last tokens, fewer than the tiles' rows, on vectors.
  static void run_rest(const MatmulTile& tile, int32_t first) {
    MatmulTile rest = tile;
    rest.prefetch_step = 0;
    for (int32_t t = first; t < tile.num_tokens; t += kMaxTokens) {
      const int32_t count = tile.num_tokens - t;
      rest.num_tokens = count < kMaxTokens ? count : kMaxTokens;
      rest.x = tile.x + t * tile.x_stride;
      rest.out = tile.out + t * tile.out_stride;
      kVectorTile(rest);
    }
  }

  static void run(const MatmulTile& tile) {
    constexpr int kUnits = kAmxGroups / Source::kGroups;
    static constexpr TileShapes kShapes = shapes();
    load_shapes(kShapes);
    Weights weights;
    const std::byte* w = tile.weights;
    const std::byte* x = tile.x;
    const std::byte* prefetch = tile.prefetch;
    const int32_t num_whole = tile.num_tokens / kAmxTokens * kAmxTokens;
    bool accumulate = tile.accumulate;
    for (int64_t unit = 0; unit < tile.num_units; unit += kUnits) {
      int num_groups = 0;
      for (int u = 0; u < kUnits && unit + u < tile.num_units; ++u) {
        const std::byte* header = w;
        w += Source::kHeaderBytes;
        for (int group = 0; group < Source::kGroups; ++group, w += Source::kGroupBytes) {
          const int64_t step = tile.prefetch_step / Source::kGroups;
          for (int64_t i = 0; i < step; i += 64) prefetch_line(prefetch + i);
          prefetch += step;
          Source::unpack(header, w, num_groups++, weights);
        }
      }
      for (int32_t t = 0; t < num_whole; t += kAmxTokens) {
        for (int half = 0; half < 2; ++half) {
          run_half({weights, half, x + t * tile.x_stride, tile.x_stride}, num_groups,
                   tile.out + t * tile.out_stride + half * kLanes, tile.out_stride, accumulate);
        }
      }
      x += num_groups * Row::kBytes;
      accumulate = true;
    }
    _tile_release();
    if (num_whole < tile.num_tokens) run_rest(tile, num_whole);
  }
};
