// The program: reads the command line and runs one command.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "app/bench_cli.h"
#include "app/command_line.h"
#include "app/commands.h"
#include "app/config.h"
#include "base/env.h"
#include "base/log.h"
#include "base/printable.h"

namespace pagoda {
namespace {

void add_generation_flags(CLI::App& app, GenerationOptions& options) {
  const std::string group = "Generation";
  app.add_option("--max-tokens", options.max_tokens, "longest answer [until the context is full]")
      ->check(number_in(1, 1e9))
      ->group(group);
  app.add_option("--temperature", options.temperature, "0 takes the likeliest token [the model's]")
      ->check(number_in(0, 100))
      ->group(group);
  app.add_option("--top-p", options.top_p, "nucleus size [the model's]")
      ->check(number_in(1e-6, 1))
      ->group(group);
  app.add_option("--top-k", options.top_k, "candidates at most; 0: all [the model's]")
      ->check(number_in(0, 1e9))
      ->group(group);
  app.add_option("--seed", options.seed, "seed of the random choices [drawn]")->group(group);
}

// What was printed may still lie in a buffer, and be lost with a full disk.
Result<void> flush_stdout() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return Error{ErrorCode::kInternal, "standard output: cannot be written"};
}

int report(const Result<void>& result, bool tells_usage) {
  if (result.ok()) return 0;
  // A message may quote a file or a template, which must not steer the terminal.
  std::fprintf(stderr, "pagoda: %s\n",
               printable(result.error().message, std::string::npos).c_str());
  const ErrorCode code = result.error().code;
  const bool usage = code == ErrorCode::kInvalidArgument || code == ErrorCode::kNotFound ||
                     code == ErrorCode::kTooLarge;
  return tells_usage && usage ? 2 : 1;
}

Command add_serve(CLI::App& root) {
  CLI::App* app = root.add_subcommand("serve", "serve a model over the OpenAI API");
  app->footer(
      "Each setting is also a YAML key (--config) and a variable: --max-model-len is "
      "PAGODA_MAX_MODEL_LEN.\nThe command line wins over the environment, and that over the file.");
  const auto options = std::make_shared<ServeOptions>();
  const auto flags = std::make_shared<FlagParser>(*app, serve_flags(*options), true);
  return {app, [options, flags]() -> Result<void> {
            GivenValues values;
            RETURN_IF_ERROR(flags->apply(&values));
            options->shown_settings = show_settings(flags->flags(), values);
            return serve(*options);
          }};
}

Command add_run(CLI::App& root) {
  CLI::App* app = root.add_subcommand("run", "answer one prompt in the terminal");
  const auto options = std::make_shared<RunOptions>();
  app->add_option("-p,--prompt", options->prompt, "the prompt")->required();
  app->add_option("--system", options->system, "system message [none]");
  app->add_flag("--raw", options->raw, "continue the prompt as it is, without the chat template");
  add_generation_flags(*app, options->generation);
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(options->engine), false);
  return {app, [options, flags]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());
            return run_prompt(*options);
          }};
}

Command add_chat(CLI::App& root) {
  CLI::App* app = root.add_subcommand("chat", "talk to a model in the terminal");
  const auto options = std::make_shared<ChatOptions>();
  app->add_option("--system", options->system, "system message [none]");
  add_generation_flags(*app, options->generation);
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(options->engine), false);
  return {app, [options, flags]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());
            return chat(*options);
          }};
}

Command add_info(CLI::App& root) {
  CLI::App* app = root.add_subcommand("info", "show what the machine offers and what a model is");
  const auto options = std::make_shared<EngineOptions>();
  const auto with_env = std::make_shared<bool>(false);
  app->add_flag("--env", *with_env, "list the environment variables instead");
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(*options), false);
  return {app, [options, flags, with_env]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());
            return info(*options, !options->model.empty(), *with_env);
          }};
}

Command add_quantize(CLI::App& root) {
  CLI::App* app = root.add_subcommand("quantize", "write a model as a GGUF file");
  const auto options = std::make_shared<QuantizeOptions>();
  app->add_option("IN", options->input, "folder, GGUF file, or ORG/NAME on a hub")->required();
  app->add_option("OUT", options->output, "the GGUF file to write")->required();
  app->add_option("--type", options->type,
                  "format of the matrices: auto (as they are), f32, bf16, f16, q8_0, q4_0, q4_1, "
                  "q5_0, q5_1, q4_k, q6_k, mxfp4 [q8_0]");
  return {app, [options]() -> Result<void> { return quantize(*options); }};
}

Command add_logits(CLI::App& root) {
  CLI::App* app = root.add_subcommand("logits", "show what a model computes for token ids");
  const auto options = std::make_shared<LogitsOptions>();
  app->add_option("--ids", options->ids, "token ids, as \"1,2,3\"")->required();
  app->add_option("--top", options->top, "largest logits of each position [10]")
      ->check(number_in(1, 1e7));
  app->add_flag("--all", options->all, "every position, not only the last");
  const auto flags = std::make_shared<FlagParser>(*app, engine_flags(options->engine), false);
  return {app, [options, flags]() -> Result<void> {
            RETURN_IF_ERROR(flags->apply());
            return print_logits(*options);
          }};
}

Command add_pull(CLI::App& root) {
  CLI::App* app = root.add_subcommand("pull", "download a model from a hub into the cache");
  app->footer(
      "The cache is Hugging Face's own, shared with its tools: HF_HUB_CACHE, HF_HOME or "
      "~/.cache/huggingface.\nHF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and the proxy variables are "
      "obeyed.");
  const auto options = std::make_shared<PullOptions>();
  app->add_option("MODEL", options->model, "ORG/NAME[@REVISION] or ORG/NAME:QUANTIZATION (GGUF)")
      ->required();
  app->add_option("--include", options->include, "files to take instead of the usual ones")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  app->add_option("--exclude", options->exclude, "files to leave out")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  return {app, [options] { return pull(*options); }};
}

Command add_list(CLI::App& root) {
  CLI::App* app = root.add_subcommand("list", "list the models in the cache");
  const auto as_json = std::make_shared<bool>(false);
  app->add_flag("--json", *as_json, "print JSON");
  return {app, [as_json] { return list_models(*as_json); }};
}

Command add_rm(CLI::App& root) {
  CLI::App* app = root.add_subcommand("rm", "remove a model from the cache");
  const auto model = std::make_shared<std::string>();
  app->add_option("MODEL", *model, "ORG/NAME, or ORG/NAME@REVISION for one revision")->required();
  return {app, [model] { return remove_model(*model); }};
}

Command add_tokenize(CLI::App& root) {
  CLI::App* app = root.add_subcommand("tokenize", "print the token ids of standard input");
  const auto options = std::make_shared<TokenizeOptions>();
  app->add_option("MODEL", options->model, "folder, GGUF file, tokenizer.json or tokenizer.model")
      ->required();
  app->add_flag("--add-special", options->add_special, "with what the model puts around a text");
  app->add_flag("--null", options->null, "texts with a NUL between them; one array a line");
  app->add_flag("--decode", options->decode, "with the text that the ids decode to");
  return {app, [options]() -> Result<void> { return tokenize(*options); }};
}

Command add_render(CLI::App& root) {
  CLI::App* app =
      root.add_subcommand("render", "print the prompt that a chat template makes of messages");
  const auto options = std::make_shared<RenderOptions>();
  app->add_option("MODEL", options->model, "folder or GGUF file; not needed with --template");
  app->add_option("--messages", options->messages_file,
                  "JSON: a list of messages, or an object with \"messages\"")
      ->type_name("FILE")
      ->required();
  app->add_option("--tools", options->tools_file, "JSON: a list of tools")->type_name("FILE");
  app->add_option("--template", options->template_file, "Jinja template [the model's]")
      ->type_name("FILE");
  app->add_option("--var", options->variables, "a variable of the template; JSON, or else a text")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_flag("--no-generation-prompt", options->no_generation_prompt,
                "leave out the beginning of an answer");
  return {app, [options]() -> Result<void> { return render(*options); }};
}

Command add_version(CLI::App& root) {
  CLI::App* app = root.add_subcommand("version", "print the version");
  return {app, []() -> Result<void> {
            std::printf("pagoda %s (%s)\n", program_version().c_str(), program_commit().c_str());
            return {};
          }};
}

int run(int argc, char** argv) {
  CLI::App root("Pagoda: serves large language models over the OpenAI API, from one binary.",
                "pagoda");
  root.require_subcommand(1);
  root.set_version_flag("--version", [] { return "pagoda " + program_version(); });
  std::vector<Command> commands = {add_serve(root),    add_run(root),      add_chat(root),
                                   add_info(root),     add_pull(root),     add_list(root),
                                   add_rm(root),       add_quantize(root), add_logits(root),
                                   add_tokenize(root), add_render(root),   add_version(root)};
  for (Command& command : add_bench(root)) commands.push_back(std::move(command));
  // CLI11 only says that a command is missing; a mistyped one deserves its name.
  const auto names = root.get_subcommands(nullptr);
  const bool known = std::any_of(names.begin(), names.end(), [&](const CLI::App* app) {
    return argc > 1 && app->get_name() == argv[1];
  });
  if (argc > 1 && argv[1][0] != '-' && !known) {
    std::fprintf(stderr, "pagoda: unknown command '%.60s'; see pagoda --help\n", argv[1]);
    return 2;
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? 0 : 2;
  }
  if (const auto level = env_value("PAGODA_LOG")) {
    const Result<void> set = set_log_level(*level);
    if (!set.ok()) {
      return report(Error{set.error().code, "PAGODA_LOG: " + set.error().message}, false);
    }
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const Result<void> done = command.execute();
    return report(done.ok() ? flush_stdout() : done, command.tells_usage);
  }
  return 2;
}

}  // namespace
}  // namespace pagoda

int main(int argc, char** argv) {
  try {
    return pagoda::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pagoda: internal error: %s\n", error.what());
    return 1;
  }
}
