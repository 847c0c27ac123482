// Speed of each CPU kernel beside the machine's read bandwidth, measured in turns in one process.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/check.h"
#include "base/env.h"
#include "base/thread_pool.h"
#include "runner/sampler.h"
#include "tensor/buffer.h"
#include "tile_probe.h"

namespace pagoda {
namespace {

constexpr int kRepeats = 5;
// Larger than any cache, so that each repeat reads from memory.
constexpr int64_t kColdBytes = int64_t{384} << 20;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median_seconds(const std::function<void()>& body) {
  std::vector<double> times;
  for (int i = 0; i < kRepeats; ++i) {
    const double start = seconds();
    body();
    times.push_back(seconds() - start);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Reads memory with all workers: the roof of every kernel that reads each weight once.
class Probe {
 public:
  explicit Probe(int32_t num_threads) : pool_(num_threads) {
    auto buffer = Buffer::allocate(static_cast<size_t>(kColdBytes));
    CHECK(buffer.ok());
    buffer_ = std::move(buffer).value();
    std::memset(buffer_.data(), 1, buffer_.num_bytes());
  }
  double tile_gigaflops(TileWork work) { return pagoda::tile_gigaflops(pool_, work); }
  double gigabytes_per_second() {
    constexpr int64_t kPiece = 1 << 20;
    std::vector<uint64_t> sinks(static_cast<size_t>(pool_.num_threads()) * 8);
    const double elapsed = median_seconds([&] {
      pool_.parallel_for(kColdBytes / kPiece, 1, [&](int64_t begin, int64_t, int32_t worker) {
        const auto* words = reinterpret_cast<const uint64_t*>(buffer_.data() + begin * kPiece);
        uint64_t sums[32] = {};
        for (int64_t i = 0; i < kPiece / 8; i += 32) {
          for (int64_t j = 0; j < 32; ++j) sums[j] += words[i + j];
        }
        for (const uint64_t sum : sums) sinks[static_cast<size_t>(worker) * 8] += sum;
      });
    });
    return static_cast<double>(kColdBytes) / elapsed * 1e-9;
  }

 private:
  ThreadPool pool_;
  Buffer buffer_;
};

struct Bench {
  Backend& backend;
  Probe& probe;
  std::string filter;

  bool wants(const std::string& name) const { return name.find(filter) != std::string::npos; }
  // Of rows whose names begin with this, the filter may want some.
  bool wants_some(const std::string& start) const {
    return wants(start) || filter.starts_with(start);
  }

  // One row of the table. The probe runs before and after, as bandwidth drifts within seconds; and
  // so do tiles by themselves, where a product is one of tiles.
  void report(const std::string& name, double bytes, double operations,
              const std::function<void()>& body, std::optional<TileWork> tiles = {}) {
    if (!wants(name)) return;
    body();
    const auto tile_rate = [&] { return tiles ? probe.tile_gigaflops(*tiles) : 0; };
    const double before = probe.gigabytes_per_second();
    const double tiles_before = tile_rate();
    const double elapsed = median_seconds(body);
    const double tile_roof = (tiles_before + tile_rate()) / 2;
    const double roof = (before + probe.gigabytes_per_second()) / 2;
    const double rate = bytes / elapsed * 1e-9;
    const double gigaflops = operations / elapsed * 1e-9;
    fmt::print("{:34} {:9.3f} ms {:7.1f} GB/s ({:3.0f} % of {:4.1f}) {:8.1f} GFLOP/s", name,
               elapsed * 1e3, rate, 100 * rate / roof, roof, gigaflops);
    if (tile_roof > 0) {
      fmt::print(" ({:3.0f} % of {:.0f})", 100 * gigaflops / tile_roof, tile_roof);
    }
    fmt::print("\n");
    std::fflush(stdout);
  }
};

// What tiles reach without any work around them.
void bench_tiles(Bench& bench) {
  struct Row {
    const char* name;
    TileWork work;
  };
  for (const Row& row : {Row{"tiles bf16, from registers", TileWork::kBf16Registers},
                         Row{"tiles bf16, operands loaded", TileWork::kBf16Loads},
                         Row{"tiles int8, 32 k, sums stored", TileWork::kInt8Stores}}) {
    if (!bench.wants(row.name)) continue;
    std::vector<double> rates;
    for (int i = 0; i < 2 * kRepeats; ++i) rates.push_back(bench.probe.tile_gigaflops(row.work));
    std::sort(rates.begin(), rates.end());
    fmt::print("{:34} {:8.1f} GFLOP/s (from {:.1f} to {:.1f})\n", row.name, rates[rates.size() / 2],
               rates.front(), rates.back());
  }
}

// Blocks of any bits: products take the same time whatever they hold.
WeightPtr random_blocks(Backend& backend, int64_t rows, int64_t columns, DType dtype) {
  std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(dtype, rows * columns)));
  uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    // As f16, a small number; as an exponent of MXFP4 far from those of subnormal floats.
    byte = static_cast<std::byte>((state >> 24 & 0x37U) | (dtype == DType::kMXFP4 ? 0x40U : 0U));
  }
  auto weight =
      backend.pack({.data = bytes.data(), .dtype = dtype, .shape = {rows, columns}}, dtype);
  CHECK(weight.ok());
  return std::move(weight).value();
}

WeightPtr random_matrix(Backend& backend, int64_t rows, int64_t columns, DType dtype) {
  if (format_traits(dtype).block_elements > 1) {
    return random_blocks(backend, rows, columns, dtype);
  }
  std::vector<uint16_t> values(static_cast<size_t>(rows * columns));
  uint32_t state = 1;
  for (uint16_t& value : values) {
    state = state * 1664525U + 1013904223U;
    // Sign and mantissa at random, magnitudes from 2^-7 to 2^-5.
    value = static_cast<uint16_t>((state >> 16 & 0x80ffU) | 0x3c00U);
  }
  auto weight = backend.pack({.data = reinterpret_cast<const std::byte*>(values.data()),
                              .dtype = DType::kBF16,
                              .shape = {rows, columns}},
                             dtype);
  CHECK(weight.ok());
  return std::move(weight).value();
}

// Products whose weights come from memory each time: several matrices in turn.
void bench_matmul(Bench& bench, DType dtype) {
  constexpr int64_t kRows = 8192;
  constexpr int64_t kColumns = 2048;
  const std::string format(format_traits(dtype).name);
  if (!bench.wants_some("matmul " + format)) return;
  std::vector<WeightPtr> weights;
  int64_t bytes = 0;
  while (bytes < kColdBytes) {
    weights.push_back(random_matrix(bench.backend, kRows, kColumns, dtype));
    bytes += weights.back()->num_bytes();
  }
  std::vector<float> x(512 * kColumns);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) * 0.01F - 0.5F;
  const TileWork tiles = dtype == DType::kBF16 ? TileWork::kBf16Loads : TileWork::kInt8Stores;
  for (const int64_t num_tokens : {1, 2, 4, 6, 8, 12, 16, 32, 128, 512}) {
    // Long products take fewer matrices; each is still far larger than the caches.
    const size_t count = num_tokens < 64 ? weights.size() : std::min<size_t>(weights.size(), 4);
    const auto operations =
        static_cast<double>(2 * num_tokens * kRows * kColumns) * static_cast<double>(count);
    const double read = static_cast<double>(bytes) * static_cast<double>(count) /
                        static_cast<double>(weights.size());
    bench.report(
        fmt::format("matmul {} T={}", format, num_tokens), read, operations,
        [&] {
          for (size_t i = 0; i < count; ++i) {
            bench.backend.ops().begin_step();
            bench.backend.ops().matmul({.data = x.data(), .shape = {num_tokens, kColumns}},
                                       *weights[i]);
          }
        },
        num_tokens < 32 ? std::nullopt : std::optional(tiles));
  }
}

struct AttentionCase {
  int32_t num_sequences, num_computed, num_rows;
};

void bench_attention(Bench& bench, DType dtype) {
  constexpr AttentionParams kParams = {
      .layer = 0, .num_heads = 32, .num_kv_heads = 8, .head_size = 64, .scale = 0.125F};
  constexpr int32_t kBlockSize = 16;
  for (const AttentionCase& c :
       {AttentionCase{1, 191, 1}, AttentionCase{16, 191, 1}, AttentionCase{16, 2047, 1},
        AttentionCase{1, 16383, 1}, AttentionCase{1, 0, 512}, AttentionCase{1, 3584, 512}}) {
    const std::string name =
        fmt::format("attention {} S={} context={} rows={}", format_traits(dtype).name,
                    c.num_sequences, c.num_computed, c.num_rows);
    if (!bench.wants(name)) continue;
    const int32_t blocks = (c.num_computed + c.num_rows + kBlockSize - 1) / kBlockSize;
    auto cache = KvCache::create({.num_layers = 1,
                                  .num_blocks = blocks * c.num_sequences,
                                  .block_size = kBlockSize,
                                  .num_kv_heads = kParams.num_kv_heads,
                                  .head_size = kParams.head_size,
                                  .dtype = dtype});
    CHECK(cache.ok());
    std::vector<std::vector<int32_t>> tables(static_cast<size_t>(c.num_sequences));
    std::vector<AttentionSequence> sequences;
    for (int32_t s = 0; s < c.num_sequences; ++s) {
      auto& table = tables[static_cast<size_t>(s)];
      for (int32_t i = 0; i < blocks; ++i) table.push_back(s * blocks + i);
      sequences.push_back({.first_row = s * c.num_rows,
                           .num_rows = c.num_rows,
                           .num_computed_tokens = c.num_computed,
                           .block_table = table});
    }
    const int64_t rows = int64_t{c.num_sequences} * c.num_rows;
    std::vector<float> q(static_cast<size_t>(rows * 2048), 0.01F);
    std::vector<float> kv(static_cast<size_t>(rows * 512), 0.02F);
    const double keys = c.num_computed + 0.5 * (c.num_rows + 1);
    const double bytes =
        static_cast<double>(c.num_sequences) * keys * 8 * 64 * 2 * format_traits(dtype).block_bytes;
    bench.report(name, bytes, static_cast<double>(rows) * keys * 32 * 64 * 4, [&] {
      bench.backend.ops().begin_step();
      bench.backend.ops().attention(
          {.data = q.data(), .shape = {rows, 2048}}, {.data = kv.data(), .shape = {rows, 512}},
          {.data = kv.data(), .shape = {rows, 512}}, kParams, {.sequences = sequences}, *cache);
    });
  }
}

void bench_elementwise(Bench& bench) {
  constexpr int64_t kTokens = 256;
  constexpr int64_t kColumns = 8192;
  std::vector<float> x(kTokens * kColumns, 0.5F);
  const Tensor tensor = {.data = x.data(), .shape = {kTokens, kColumns}};
  const std::vector<float> ones(kColumns, 1.0F);
  auto norm = bench.backend.pack({.data = reinterpret_cast<const std::byte*>(ones.data()),
                                  .dtype = DType::kF32,
                                  .shape = {kColumns}},
                                 DType::kF32);
  CHECK(norm.ok());
  Ops& ops = bench.backend.ops();
  const auto elements = static_cast<double>(kTokens * kColumns);
  bench.report("rms_norm 256 x 8192", elements * 8, elements * 4, [&] {
    ops.begin_step();
    ops.rms_norm(tensor, **norm, 1e-5F);
  });
  bench.report("silu_mul 256 x 8192", elements * 12, elements * 20, [&] {
    ops.begin_step();
    ops.silu_mul(tensor, tensor);
  });
  bench.report("add 256 x 8192", elements * 12, elements, [&] {
    ops.begin_step();
    ops.add(tensor, tensor);
  });
}

void bench_pack(Bench& bench, DType source, DType target) {
  constexpr int64_t kRows = 8192;
  constexpr int64_t kColumns = 4096;
  const std::string name =
      fmt::format("pack {} to {}", format_traits(source).name, format_traits(target).name);
  if (!bench.wants(name)) return;
  const int64_t bytes = dtype_bytes(source, kRows * kColumns);
  std::vector<std::byte> values(static_cast<size_t>(bytes), std::byte{0x31});
  bench.report(name, static_cast<double>(bytes), 0, [&] {
    CHECK(bench.backend
              .pack({.data = values.data(), .dtype = source, .shape = {kRows, kColumns}}, target)
              .ok());
  });
}

// One choice among the logits of Llama 3's vocabulary, in one thread. They come from the cache, as
// the head has just written them.
void bench_sampling(Bench& bench) {
  constexpr int32_t kVocab = 128256;
  std::vector<float> logits(kVocab);
  uint32_t state = 1;
  for (float& logit : logits) {
    // The sum of four numbers: near enough to the bell that logits make.
    logit = -8.0F;
    for (int i = 0; i < 4; ++i) {
      state = state * 1664525U + 1013904223U;
      logit += static_cast<float>(state >> 8) * 0x1p-22F;
    }
  }
  std::vector<TokenId> tokens(1024);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i * 97 % kVocab);
  struct Case {
    const char* name;
    float temperature, top_p, min_p;
    int32_t top_k;
    float frequency_penalty;
  };
  constexpr Case kCases[] = {
      {"sample greedy", 0.0F, 1.0F, 0.0F, 0, 0.0F},
      {"sample temperature 1", 1.0F, 1.0F, 0.0F, 0, 0.0F},
      {"sample top_p 0.9", 0.7F, 0.9F, 0.0F, 0, 0.0F},
      {"sample top_k 40, top_p 0.9", 0.7F, 0.9F, 0.0F, 40, 0.0F},
      {"sample min_p 0.05", 1.0F, 1.0F, 0.05F, 0, 0.0F},
      {"sample penalties, 1024 tokens", 0.7F, 1.0F, 0.0F, 0, 0.5F},
  };
  Sampler sampler(kVocab);
  for (const Case& c : kCases) {
    SamplingParams params;
    params.temperature = c.temperature;
    params.top_p = c.top_p;
    params.min_p = c.min_p;
    params.top_k = c.top_k;
    params.frequency_penalty = c.frequency_penalty;
    SamplerInput input;
    input.logits = logits;
    input.token_ids = tokens;
    input.num_prompt_tokens = 16;
    input.params = &params;
    bench.report(c.name, kVocab * 4.0, 0, [&] { CHECK(sampler.sample(input).ok()); });
  }
}

int run(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  if (filter == "--probe") {
    fmt::print("{:.1f} GB/s read\n", Probe(usable_cores()).gigabytes_per_second());
    return 0;
  }
  int32_t num_threads = usable_cores();
  if (argc > 2) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), num_threads);
  auto backend = cpu::make_cpu_backend(
      {.num_threads = num_threads, .isa = env_value("PAGODA_CPU_ISA").value_or("")});
  if (!backend.ok()) {
    fmt::print(stderr, "{}\n", backend.error().message);
    return 1;
  }
  CHECK((*backend)->reserve_arena(size_t{64} << 20).ok());
  Probe probe(num_threads);
  Bench bench{.backend = **backend, .probe = probe, .filter = filter};
  fmt::print("{}, {} threads\n", (*backend)->name(), num_threads);
  if ((*backend)->name() == "cpu amx") bench_tiles(bench);
  for (const DType dtype : {DType::kBF16, DType::kQ8_0, DType::kF32, DType::kQ4_0, DType::kQ4_1,
                            DType::kQ5_0, DType::kQ5_1, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,
                            DType::kQ5_K, DType::kQ6_K, DType::kMXFP4}) {
    bench_matmul(bench, dtype);
  }
  for (const DType dtype : {DType::kBF16, DType::kF32, DType::kI8}) bench_attention(bench, dtype);
  bench_elementwise(bench);
  bench_sampling(bench);
  for (const DType target :
       {DType::kBF16, DType::kQ8_0, DType::kF32, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K}) {
    bench_pack(bench, DType::kBF16, target);
  }
  for (const DType same : {DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K}) {
    bench_pack(bench, same, same);
  }
  return 0;
}

}  // namespace
}  // namespace pagoda

// Usage: kernel_bench [part of a row's name [threads]], or kernel_bench --probe
int main(int argc, char** argv) {
  return pagoda::run(argc, argv);
}
