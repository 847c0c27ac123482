// Reads and checks the names of models, revisions and files.
#include "hub/model_ref.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/printable.h"

namespace pagoda {
namespace {

constexpr size_t kMaxRepoBytes = 96;
constexpr size_t kMaxComponentBytes = 255;  // NAME_MAX
constexpr size_t kMaxPathBytes = 1024;
constexpr int kMaxDepth = 32;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_hex(std::string_view text, size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_name_part(std::string_view part) {
  const auto at_end = [](char c) { return c != '-' && c != '.'; };
  return !part.empty() && at_end(part.front()) && at_end(part.back()) &&
         part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos &&
         std::ranges::all_of(
             part, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

Result<void> check_repo(std::string_view repo) {
  const size_t slash = repo.find('/');
  const bool shaped = slash == std::string_view::npos ? is_name_part(repo)
                                                      : is_name_part(repo.substr(0, slash)) &&
                                                            is_name_part(repo.substr(slash + 1));
  if (shaped && repo.size() <= kMaxRepoBytes && !repo.ends_with(".git")) return {};
  return invalid_argument(fmt::format(
      "'{}' is not the name of a model on a hub, such as ORG/NAME, ORG/NAME@REVISION or "
      "ORG/NAME-GGUF:Q4_K_M",
      printable(repo)));
}

Result<void> check_revision(std::string_view revision) {
  RETURN_IF_ERROR(check_relative_path("revision", revision));
  // What git refuses in the name of a branch, and what a folder of refs would hide.
  if (revision.find_first_of(" ~^:?*[\\@") == std::string_view::npos && revision.front() != '.' &&
      revision.find("/.") == std::string_view::npos && !revision.ends_with(".lock")) {
    return {};
  }
  return invalid_argument(fmt::format("'{}' is not the name of a revision", printable(revision)));
}

Result<void> check_quantization(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
  if (good) return {};
  return invalid_argument(
      fmt::format("'{}' is not the name of a quantization, such as Q4_K_M", printable(text)));
}

}  // namespace

Result<ModelRef> parse_model_ref(std::string_view text) {
  ModelRef ref;
  const size_t end_of_repo = std::min(text.find_first_of("@:"), text.size());
  ref.repo = text.substr(0, end_of_repo);
  RETURN_IF_ERROR(check_repo(ref.repo));
  bool has_revision = false;
  for (std::string_view rest = text.substr(end_of_repo); !rest.empty();) {
    const char mark = rest.front();
    const size_t end = std::min(rest.find_first_of("@:", 1), rest.size());
    const std::string_view value = rest.substr(1, end - 1);
    rest = rest.substr(end);
    if (mark == '@' && !has_revision) {
      RETURN_IF_ERROR(check_revision(value));
      ref.revision = value;
      has_revision = true;
    } else if (mark == ':' && ref.quantization.empty()) {
      RETURN_IF_ERROR(check_quantization(value));
      ref.quantization = value;
    } else {
      return invalid_argument(
          fmt::format("'{}' has more than one '{}'", printable(text), std::string(1, mark)));
    }
  }
  return ref;
}

bool looks_like_model_ref(std::string_view text) {
  const std::string_view repo = text.substr(0, text.find_first_of("@:"));
  return std::ranges::count(repo, '/') == 1 && parse_model_ref(text).ok();
}

Result<void> check_relative_path(std::string_view what, std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return invalid_argument(fmt::format("{} '{}' {}", what, printable(path), why));
  };
  if (path.empty()) return refuse("is empty");
  if (path.size() > kMaxPathBytes) {
    return refuse(fmt::format("has {} bytes, the limit is {}", path.size(), kMaxPathBytes));
  }
  if (path.front() == '/') return refuse("begins with '/'");
  if (std::ranges::any_of(
          path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return refuse("holds a control character");
  }
  int depth = 0;
  for (size_t at = 0; at <= path.size(); ++depth) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") {
      return refuse("has an empty, '.' or '..' component");
    }
    if (part.size() > kMaxComponentBytes) {
      return refuse(fmt::format("has a component over {} bytes", kMaxComponentBytes));
    }
    at = end + 1;
  }
  if (depth > kMaxDepth) return refuse(fmt::format("is over {} folders deep", kMaxDepth));
  return {};
}

bool is_commit_hash(std::string_view text) {
  return is_hex(text, 40);
}

bool is_sha256(std::string_view text) {
  return is_hex(text, 64);
}

}  // namespace pagoda
