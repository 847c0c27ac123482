// Loops of tile instructions without any work around them.
#include "tile_probe.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "backend/cpu/cpu_info.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pagoda {
namespace {

#if defined(__x86_64__)
constexpr int kRepeats = 5;
constexpr int kSteps = 4000;

// Shapes of the eight tile registers: the operand of LDTILECFG (Intel SDM, volume 1, chapter 18).
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

struct alignas(64) Operands {
  std::byte x[8 << 10];
  std::byte weights[8 << 10];
  std::byte sums[4 << 10];
};

// One of 16 x 16 x 32 products.
constexpr double kOperations = 2.0 * 16 * 16 * 32;

double bf16_registers() {
  for (int i = 0; i < kSteps; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4.0 * kSteps * kOperations;
}

double bf16_loads(const Operands& o) {
  for (int i = 0; i < kSteps; ++i) {
    const int64_t at = i % 4 * 2048;
    _tile_loadd(6, o.weights + at, 64);
    _tile_loadd(7, o.weights + at + 1024, 64);
    _tile_loadd(4, o.x + at, 64);
    _tile_loadd(5, o.x + at + 1024, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4.0 * kSteps * kOperations;
}

double int8_stores(Operands& o) {
  for (int i = 0; i < kSteps; ++i) {
    _tile_zero(0);
    _tile_loadd(4, o.x + i % 8 * 1024, 64);
    _tile_loadd(6, o.weights + i % 8 * 512, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_stored(0, o.sums + i % 4 * 1024, 64);
  }
  return kSteps * kOperations;
}

// Operations a second of the calling thread.
double rate(TileWork work, Operands& operands) {
  TileShapes shapes;
  if (work == TileWork::kInt8Stores) {
    shapes.row_bytes[4] = 32;
    shapes.rows[6] = 8;
  }
  std::vector<double> rates;
  for (int i = 0; i < kRepeats; ++i) {
    asm volatile("ldtilecfg %0" : : "m"(shapes));
    const auto start = std::chrono::steady_clock::now();
    const double operations = work == TileWork::kBf16Registers ? bf16_registers()
                              : work == TileWork::kBf16Loads   ? bf16_loads(operands)
                                                               : int8_stores(operands);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    _tile_release();
    rates.push_back(operations / elapsed.count());
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}
#endif

}  // namespace

double tile_gigaflops([[maybe_unused]] ThreadPool& pool, [[maybe_unused]] TileWork work) {
  double sum = 0;
#if defined(__x86_64__)
  if (!cpu::choose_kernels("amx").ok()) return 0;
  std::vector<Operands> operands(static_cast<size_t>(pool.num_threads()));
  std::vector<double> rates(operands.size());
  pool.parallel_for(pool.num_threads(), 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      rates[static_cast<size_t>(i)] = rate(work, operands[static_cast<size_t>(i)]);
    }
  });
  for (const double one : rates) sum += one;
#endif
  return sum * 1e-9;
}

}  // namespace pagoda
