// Guards against slower kernels, by ratios of times taken in turns in one process on data that
// stays in the caches: how fast the machine is, and who else uses it, cancels out.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "base/check.h"

namespace pagoda {
namespace {

constexpr int64_t kRows = 512;
constexpr int64_t kColumns = 2048;
constexpr int kMostRounds = 500;  // before a ratio counts as too large

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One matrix in one format on one thread of one instruction set.
class Product {
 public:
  Product(const std::string& isa, DType dtype) {
    backend_ = cpu::make_cpu_backend({.num_threads = 1, .isa = isa}).value();
    CHECK(backend_->reserve_arena(size_t{16} << 20).ok());
    std::vector<std::byte> values(static_cast<size_t>(dtype_bytes(dtype, kRows * kColumns)),
                                  std::byte{0x31});
    weight_ =
        backend_->pack({.data = values.data(), .dtype = dtype, .shape = {kRows, kColumns}}, dtype)
            .value();
    x_.assign(static_cast<size_t>(128 * kColumns), 0.5F);
  }
  double time(int64_t num_tokens) {
    const double start = seconds();
    backend_->ops().begin_step();
    backend_->ops().matmul({.data = x_.data(), .shape = {num_tokens, kColumns}}, *weight_);
    return seconds() - start;
  }

 private:
  std::unique_ptr<Backend> backend_;
  WeightPtr weight_;
  std::vector<float> x_;
};

int num_checked = 0;

struct Side {
  Product& product;
  int64_t num_tokens;
};

// Whether the time of `a` through that of `b` is at most `limit`, each the least of some rounds. A
// kernel that holds the limit shows it in the first quiet moment; one that does not never does.
bool holds(const std::string& name, Side a, Side b, double limit) {
  double least_a = std::numeric_limits<double>::max();
  double least_b = least_a;
  for (int round = 0; round < kMostRounds; ++round) {
    least_a = std::min(least_a, a.product.time(a.num_tokens));
    least_b = std::min(least_b, b.product.time(b.num_tokens));
    if (round >= 10 && least_a <= limit * least_b) break;
  }
  const double ratio = least_a / least_b;
  const bool good = ratio <= limit;
  if (!good) fmt::print("FAILED {:44} {:7.3f}, limit {}\n", name, ratio, limit);
  ++num_checked;
  return good;
}

// Some half more than was seen, since other CPUs divide their time in other ways; what a kernel
// loses by a mistake is mostly a factor of two or more. What the kernels of an instruction set may
// take: of the scalar ones' time for one token, and their own time for 8 tokens and for 64 as a
// multiple of that for one and for 8.
struct Limits {
  double of_scalar, eight_by_one, sixty_four_by_eight;
};

Limits limits_of(const std::string& isa) {
  if (isa == "avx2") return {0.4, 10.0, 12.0};
  if (isa == "neon" || isa == "neon-dotprod") return {0.6, 10.0, 12.0};
  return {0.25, 7.0, 12.0};
}

bool guard(const std::string& isa) {
  bool good = true;
  const Limits limits = limits_of(isa);
  for (const DType dtype : {DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K}) {
    Product scalar("scalar", dtype);
    Product fast(isa, dtype);
    const std::string name = fmt::format("{} {}", isa, format_traits(dtype).name);
    good &= holds(name + ": 1 token by scalar's", {fast, 1}, {scalar, 1}, limits.of_scalar);
    good &= holds(name + ": 8 tokens by 1", {fast, 8}, {fast, 1}, limits.eight_by_one);
    good &= holds(name + ": 64 tokens by 8", {fast, 64}, {fast, 8}, limits.sixty_four_by_eight);
    // No number of tokens falls off a cliff: a part of a tile costs at most the whole.
    for (const auto& [part, whole] : {std::pair{3, 4}, {7, 8}, {13, 16}, {31, 32}, {33, 48}}) {
      good &= holds(fmt::format("{}: {} tokens by {}", name, part, whole), {fast, part},
                    {fast, whole}, 1.5);
    }
  }
  return good;
}

int run() {
  bool good = true;
  for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) {
    const std::string isa = kernels->isa;
    if (isa != "scalar") good &= guard(isa);
  }
  fmt::print("{} ratios of kernel times {}\n", num_checked, good ? "hold" : "were checked");
  return good && num_checked > 0 ? 0 : 1;
}

}  // namespace
}  // namespace pagoda

int main() {
  return pagoda::run();
}
