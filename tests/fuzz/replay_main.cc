// Replays a corpus through a fuzz target without libFuzzer: each file, its beginnings, and damages.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes);

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kNumBeginnings = 48;
constexpr int kNumDamages = 64;

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A copy of exactly the right size, so that a sanitizer sees the first byte read beyond it.
void run(const Bytes& bytes) {
  const Bytes exact(bytes);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

// A linear congruential generator (Knuth, MMIX): the same damages in every run.
class Dice {
 public:
  size_t below(size_t limit) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<size_t>(state_ >> 33) % limit;
  }

 private:
  uint64_t state_ = 1;
};

void run_with_damages(const Bytes& original) {
  run(original);
  if (original.empty()) return;
  const size_t step = std::max<size_t>(1, original.size() / kNumBeginnings);
  for (size_t length = 0; length < original.size(); length += step) {
    run(Bytes(original.begin(), original.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  Dice dice;
  for (int i = 0; i < kNumDamages; ++i) {
    Bytes damaged = original;
    const size_t num_changes = 1 + dice.below(4);
    for (size_t change = 0; change < num_changes; ++change) {
      damaged[dice.below(damaged.size())] = static_cast<uint8_t>(dice.below(256));
    }
    run(damaged);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
        files.push_back(entry.path());
      }
    } else {
      files.emplace_back(argv[i]);
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) run_with_damages(read_file(file));
  std::fprintf(stderr, "%zu files replayed\n", files.size());
  return files.empty() ? 1 : 0;
}
