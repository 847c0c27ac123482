// Flags between CLI11 and the table of settings.
#include "app/command_line.h"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

namespace pagoda {

FlagParser::FlagParser(CLI::App& app, std::vector<Flag> flags, bool with_config)
    : flags_(std::move(flags)), values_(flags_.size()), options_(flags_.size()) {
  if (with_config) {
    app.add_option("--config", config_, "YAML file of these settings, by the same names")
        ->type_name("FILE")
        ->group("Configuration");
  }
  model_option_ =
      app.add_option("MODEL", model_,
                     "folder, GGUF file, or ORG/NAME on a hub (default: the built-in demo model)");
  for (size_t i = 0; i < flags_.size(); ++i) add(app, i);
}

Result<void> FlagParser::apply(GivenValues* values) const {
  std::vector<GivenFlag> given;
  for (size_t i = 0; i < flags_.size(); ++i) {
    if (options_[i]->count() > 0) given.push_back({flags_[i].name, values_[i]});
  }
  if (model_option_->count() > 0) {
    if (model_.empty()) return invalid_argument("MODEL is empty");
    for (const GivenFlag& flag : given) {
      if (flag.name == "model") return invalid_argument("MODEL and --model were both given");
    }
    given.push_back({"model", {model_}});
  }
  return apply_settings(flags_, given, config_, values);
}

std::vector<std::string> FlagParser::arguments() const {
  std::vector<std::string> arguments;
  for (size_t i = 0; i < flags_.size(); ++i) {
    if (options_[i]->count() == 0) continue;
    const std::string name = "--" + flags_[i].name;
    if (flags_[i].value_name.empty()) arguments.push_back(name);
    for (const std::string& value : values_[i]) arguments.push_back(name + "=" + value);
  }
  if (model_option_->count() > 0) arguments.push_back("--model=" + model_);
  return arguments;
}

void FlagParser::add(CLI::App& app, size_t i) {
  const Flag& flag = flags_[i];
  const std::string name = "--" + flag.name;
  std::string help = flag.help;
  if (!flag.default_text.empty()) help += " [" + flag.default_text + "]";
  if (flag.value_name.empty()) {
    options_[i] = app.add_flag(name)->description(help);
  } else {
    options_[i] = app.add_option(name, values_[i], help)->type_name(flag.value_name);
    // One value a mention, so that a flag never swallows the MODEL behind it.
    options_[i]->expected(1)->allow_extra_args(false)->multi_option_policy(
        flag.repeatable ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
  }
  options_[i]->group(flag.group);
}

std::function<std::string(const std::string&)> number_in(double low, double high) {
  return [low, high](const std::string& text) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == '\0' && value >= low && value <= high) return "";
    return fmt::format("'{}' is not a number from {} to {}", text, low, high);
  };
}

}  // namespace pagoda
