// Decides whether a model is a path or a name, and pulls names.
#include "app/model_source.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "app/build_engine.h"
#include "app/commands.h"
#include "app/model_files.h"
#include "base/env.h"
#include "base/system_memory.h"

namespace pagoda {
namespace {

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

// vLLM serves a folder under its own name; so do we.
std::string name_of(const std::string& given) {
  const std::filesystem::path path = std::filesystem::path(given).lexically_normal();
  std::string base =
      (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
  if (base.ends_with(".gguf")) base = gguf_model_name(base);
  return base.empty() || base == "." ? "model" : base;
}

}  // namespace

Result<HubConfig> hub_config_from_environment() {
  ASSIGN_OR_RETURN(HubConfig config, read_hub_config(&env_value));
  config.user_agent = "pagoda/" + program_version();
  return config;
}

PullObserver show_pull(const std::function<void(const std::string&)>& line) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const auto text = std::make_shared<ProgressText>();
  // Whether the cursor is behind a bar.
  const auto open = std::make_shared<bool>(false);
  const auto finished = std::make_shared<bool>(false);
  PullObserver observer;
  observer.note = [=](const std::string& note) {
    if (*open) std::fputs("\r\033[K", stderr);
    *open = false;
    line("  " + note);
  };
  observer.progress = [=](const PullProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    const bool done = progress.num_files == progress.total_files;
    if (!terminal) {
      const std::string shown = text->line(progress, now);
      if (!shown.empty()) line("  " + shown);
      return;
    }
    if (*finished) return;
    *finished = done;
    std::fprintf(stderr, "\r\033[K%s", text->bar(progress, now, terminal_columns() - 1).c_str());
    if (done) std::fputc('\n', stderr);
    std::fflush(stderr);
    *open = !done;
  };
  return observer;
}

namespace {

// `include`: the globs of the files wanted of a hub; none: those of a model.
Result<ModelSource> resolve(const std::string& given, const std::vector<std::string>& include,
                            const std::function<void(const std::string&)>& progress) {
  ModelSource source;
  if (given.empty()) {
    source.is_demo = true;
    source.name = "pagoda-demo";
    ASSIGN_OR_RETURN(source.path, find_demo_model());
    return source;
  }
  std::error_code error;
  if (std::filesystem::exists(given, error) || !looks_like_model_ref(given)) {
    source.path = given;
    source.name = name_of(given);
    return source;
  }
  PullRequest request{.model = {}, .include = include, .exclude = {}};
  ASSIGN_OR_RETURN(request.model, parse_model_ref(given));
  ASSIGN_OR_RETURN(const HubConfig config, hub_config_from_environment());
  source.name = request.model.repo;
  // What the cache has is taken as it is: a server that starts again serves what it has served.
  auto found = find_cached_model(config, request);
  if (!found.ok()) {
    progress(fmt::format("{} is not a file here and not in the cache: pulling it from {}", given,
                         config.endpoint));
    found = pull_model(config, request, {}, show_pull(progress));
  }
  if (!found.ok()) {
    return Error{found.error().code,
                 fmt::format("'{}' is no file or folder here; as a model of a hub: {}", given,
                             found.error().message)};
  }
  source.path = found->path;
  return source;
}

void print_progress(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace

Result<ModelSource> resolve_model(const std::string& given,
                                  const std::function<void(const std::string&)>& progress) {
  return resolve(given, {}, progress);
}

Result<ModelSource> resolve_tokenizer(const std::string& given) {
  auto files = resolve(given, {"tokenizer*"}, print_progress);
  // Where there are none, as beside GGUF files, it is in the model.
  return files.ok() ? std::move(files) : resolve_model(given);
}

Result<ModelSource> resolve_model(const std::string& given) {
  return resolve(given, {}, print_progress);
}

}  // namespace pagoda
