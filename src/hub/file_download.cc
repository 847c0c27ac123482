// The rules of one file: which answers fit, when it begins anew, when it is done.
#include "hub/file_download.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/printable.h"
#include "hub/checksum.h"
#include "hub/model_ref.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 46;

bool is_checksum(std::string_view text) {
  return is_sha256(text) || is_commit_hash(text);
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0 ||
      value > kMaxFileBytes) {
    return std::nullopt;
  }
  return value;
}

// An etag becomes a file's name: of a hub that does not use checksums, only plain ones.
bool is_file_name(std::string_view etag) {
  return !etag.empty() && etag.size() <= 128 && etag.front() != '.' &&
         !etag.ends_with(".incomplete") && std::ranges::all_of(etag, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

std::string plain_etag(std::string_view text) {
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

FileDownload::FileDownload(HubFile file, std::string commit)
    : path_(std::move(file.path)),
      commit_(std::move(commit)),
      etag_(std::move(file.etag)),
      num_bytes_(file.num_bytes) {
  if (etag_.empty() || !num_bytes_) state_ = State::kNeedsMetadata;
}

int64_t FileDownload::num_bytes_done() const {
  if (state_ == State::kDone) return num_bytes();
  return partial_ ? partial_->num_bytes_done() : 0;
}

FileDownload::Verdict FileDownload::fatal(std::string message) {
  error_ = invalid_argument(fmt::format("{}: {}", printable(path_), message));
  return Verdict::kFatal;
}

Result<void> FileDownload::take_metadata(const FetchHead& head) {
  const std::string_view linked = head.header("x-linked-etag");
  const std::string etag = plain_etag(linked.empty() ? head.header("etag") : linked);
  std::string_view size = head.header("x-linked-size");
  if (size.empty() && !head.is_redirect()) size = head.header("content-length");
  const auto num_bytes = number_of(size);
  if (etag_.empty() && !is_file_name(etag)) {
    fatal("the hub gives no usable ETag");
    return error_;
  }
  if (!num_bytes_ && !num_bytes) {
    fatal("the hub does not say how large it is");
    return error_;
  }
  if (etag_.empty()) etag_ = etag;
  if (!num_bytes_) num_bytes_ = num_bytes;
  state_ = State::kNeedsLock;
  return {};
}

Result<void> FileDownload::begin(FileLock lock, const std::string& partial_path,
                                 int64_t part_bytes) {
  part_bytes_ = part_bytes;
  ASSIGN_OR_RETURN(partial_, PartialFile::open(partial_path, num_bytes(), part_bytes));
  lock_ = std::move(lock);
  parts_.assign(static_cast<size_t>(partial_->num_parts()), Part{});
  state_ = State::kFetching;
  return {};
}

bool FileDownload::part_complete(int part) const {
  return partial_->part_done(part) == partial_->part_num_bytes(part);
}

bool FileDownload::complete() const {
  return partial_->num_bytes_done() == partial_->num_bytes();
}

bool FileDownload::asks_for_range(int part) const {
  return partial_->num_parts() > 1 || partial_->part_done(part) > 0;
}

std::vector<std::string> FileDownload::start_part(int part) {
  Part& state = parts_[static_cast<size_t>(part)];
  state.running = true;
  state.done_before_try = partial_->part_done(part);
  ++state.num_tries;
  // Ranges that a server has not honoured: the stream begins at the beginning.
  if (one_stream_ && partial_->part_done(part) > 0) {
    CHECK(partial_->num_parts() == 1);
    if (!partial_->restart(std::max<int64_t>(1, num_bytes())).ok()) return {};
    state.done_before_try = 0;
  }
  if (!asks_for_range(part)) return {};
  const int64_t first = partial_->part_first(part);
  std::vector<std::string> headers = {fmt::format("Range: bytes={}-{}",
                                                  first + partial_->part_done(part),
                                                  first + partial_->part_num_bytes(part) - 1)};
  // If-Range takes strong etags only (RFC 9110, 13.1.5).
  if (served_etag_.starts_with('"')) headers.push_back("If-Range: " + served_etag_);
  return headers;
}

FileDownload::Verdict FileDownload::judge(int part, const FetchHead& head) {
  if (head.at_hub && head.status < 400) {
    const Verdict verdict = judge_hub(head);
    if (verdict != Verdict::kGoOn) return verdict;
  }
  if (head.status != 200 && head.status != 206) {
    if (head.status == 416 && asks_for_range(part)) return Verdict::kRestart;
    return Verdict::kGoOn;  // redirects go on; what errors mean is for the one who asked
  }
  const std::string_view encoding = head.header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return fatal(fmt::format("it is sent as '{}' and not as it is", printable(encoding, 40)));
  }
  return head.status == 200 ? judge_whole(part, head) : judge_range(part, head);
}

// What the hub itself says of the file, before it redirects to where the bytes are.
FileDownload::Verdict FileDownload::judge_hub(const FetchHead& head) {
  const std::string_view commit = head.header("x-repo-commit");
  if (!commit.empty() && commit != commit_) {
    return fatal(fmt::format("the hub answers with commit {} to a request for {}",
                             printable(commit, 40), commit_));
  }
  std::string_view etag = head.header("x-linked-etag");
  if (etag.empty() && !head.is_redirect()) etag = head.header("etag");
  const std::string plain = plain_etag(etag);
  if (is_checksum(plain) && is_checksum(etag_) && plain.size() == etag_.size() && plain != etag_) {
    new_etag_ = plain;
    if (const auto size = number_of(head.header("x-linked-size"))) num_bytes_ = size;
    return Verdict::kRestart;
  }
  const std::string_view size = head.header("x-linked-size");
  if (!size.empty() && number_of(size) != num_bytes_) {
    return fatal(fmt::format("the hub says {} bytes now, and {} in its list", printable(size, 20),
                             num_bytes()));
  }
  return Verdict::kGoOn;
}

FileDownload::Verdict FileDownload::judge_whole(int part, const FetchHead& head) {
  if (asks_for_range(part)) {
    // Not the range asked for: it is another file by now, or the server does not do ranges.
    const std::string_view etag = head.header("etag");
    one_stream_ = etag.empty() || served_etag_.empty() || etag == served_etag_;
    return Verdict::kRestart;
  }
  const std::string_view length = head.header("content-length");
  if (!length.empty() && number_of(length) != num_bytes_) {
    return fatal(
        fmt::format("{} bytes are sent, and its size is {}", printable(length, 20), num_bytes()));
  }
  return Verdict::kGoOn;
}

FileDownload::Verdict FileDownload::judge_range(int part, const FetchHead& head) {
  ContentRange range;
  const std::string_view text = head.header("content-range");
  if (!parse_content_range(text, range)) {
    return fatal(fmt::format("'{}' is no range of bytes", printable(text, 80)));
  }
  if (range.num_bytes != num_bytes()) {
    return fatal(
        fmt::format("{} bytes are sent, and its size is {}", range.num_bytes, num_bytes()));
  }
  const int64_t first = partial_->part_first(part);
  if (range.first != first + partial_->part_done(part) ||
      range.last >= first + partial_->part_num_bytes(part)) {
    return fatal(fmt::format("range {} is sent, which was not asked for", printable(text, 80)));
  }
  const std::string etag(head.header("etag"));
  if (served_etag_.empty()) served_etag_ = etag;
  if (!etag.empty() && etag != served_etag_) return Verdict::kRestart;
  return Verdict::kGoOn;
}

int64_t FileDownload::num_bytes_brought(const Part& part) const {
  if (!partial_) return 0;
  const auto index = static_cast<int>(&part - parts_.data());
  return partial_->part_done(index) - part.done_before_try;
}

Result<void> FileDownload::append(int part, std::string_view data) {
  const auto done = partial_->append(part, data);
  if (done.ok()) return {};
  if (done.error().code != ErrorCode::kTooLarge) return done.error();
  return invalid_argument(fmt::format("{}: {}", printable(path_), done.error().message));
}

Result<bool> FileDownload::restart(int max_restarts) {
  if (++num_restarts_ > max_restarts) return false;
  ++generation_;
  served_etag_.clear();
  if (!new_etag_.empty()) {
    ::unlink(partial_->path().c_str());
    partial_.reset();
    lock_.reset();
    parts_.clear();
    etag_ = std::exchange(new_etag_, "");
    state_ = State::kNeedsLock;
    return true;
  }
  RETURN_IF_ERROR(partial_->restart(one_stream_ ? std::max<int64_t>(1, num_bytes()) : part_bytes_));
  parts_.assign(static_cast<size_t>(partial_->num_parts()), Part{});
  state_ = State::kFetching;
  return true;
}

void FileDownload::start_verifying() {
  state_ = State::kVerifying;
  checksum_ = std::async(
      std::launch::async,
      [partial = &*partial_, num_bytes = num_bytes(), like = etag_]() -> Result<std::string> {
        RETURN_IF_ERROR(partial->sync());
        return file_checksum(partial->path(), num_bytes, like);
      });
}

bool FileDownload::verified() const {
  return checksum_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

Result<bool> FileDownload::finish(const std::string& blob_path) {
  ASSIGN_OR_RETURN(found_checksum_, checksum_.get());
  if (!found_checksum_.empty() && found_checksum_ != etag_) return false;
  RETURN_IF_ERROR(partial_->finish(blob_path));
  partial_.reset();
  lock_.reset();
  state_ = State::kDone;
  return true;
}

}  // namespace pagoda
