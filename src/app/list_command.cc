// `pagoda list`: the models in the cache.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/model_source.h"
#include "base/json.h"
#include "base/system_memory.h"
#include "hub/hub_cache.h"

namespace pagoda {
namespace {

std::string revision_text(const CachedModel& model) {
  if (model.commit.empty()) return "(not complete)";
  if (model.revisions.empty()) return model.commit.substr(0, 12);
  return fmt::format("{}", fmt::join(model.revisions, ","));
}

void print_json(const std::vector<CachedModel>& models) {
  Json list = Json::array();
  for (const CachedModel& model : models) {
    list.push_back({{"name", model.repo},
                    {"revisions", model.revisions},
                    {"commit", model.commit.empty() ? Json() : Json(model.commit)},
                    {"num_bytes", model.num_bytes},
                    {"num_files", model.num_files},
                    {"path", model.path}});
  }
  std::printf("%s\n", dump_json(list).c_str());
}

void print_table(const std::vector<CachedModel>& models) {
  size_t name_columns = 4;
  size_t revision_columns = 8;
  for (const CachedModel& model : models) {
    name_columns = std::max(name_columns, model.repo.size());
    revision_columns = std::max(revision_columns, revision_text(model).size());
  }
  const auto row = [&](const std::string& name, const std::string& revision,
                       const std::string& size, const std::string& path) {
    std::printf("%s\n", fmt::format("{:<{}}  {:<{}}  {:>9}  {}", name, name_columns, revision,
                                    revision_columns, size, path)
                            .c_str());
  };
  row("NAME", "REVISION", "SIZE", "PATH");
  for (const CachedModel& model : models) {
    row(model.repo, revision_text(model), format_bytes(model.num_bytes), model.path);
  }
}

}  // namespace

Result<void> list_models(bool as_json) {
  ASSIGN_OR_RETURN(const HubConfig config, hub_config_from_environment());
  const std::vector<CachedModel> models = HubCache(config.cache_dir).list();
  if (as_json) {
    print_json(models);
  } else if (models.empty()) {
    std::fprintf(stderr, "no models in %s; pull one: pagoda pull ORG/NAME\n",
                 config.cache_dir.c_str());
  } else {
    print_table(models);
  }
  return {};
}

}  // namespace pagoda
