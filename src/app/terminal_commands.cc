// `pagoda run` and `pagoda chat`: the model in the terminal, without a server.
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "app/build_engine.h"
#include "app/commands.h"
#include "app/generation.h"

namespace pagoda {
namespace {

// Set by Ctrl-C: ends the answer being written, not the program.
volatile std::sig_atomic_t g_interrupted = 0;  // NOLINT: a signal handler can reach nothing else

void on_interrupt(int /*signal*/) {
  g_interrupted = 1;
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: Ctrl-C at the prompt ends the input
  sigaction(SIGINT, &action, nullptr);
}

bool print_piece(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  return g_interrupted == 0;
}

void print_summary(const GenerationSummary& summary) {
  if (isatty(STDERR_FILENO) == 0) return;
  const double decode_s = summary.total_s - summary.time_to_first_token_s;
  const double rate =
      decode_s > 0 ? static_cast<double>(summary.num_output_tokens - 1) / decode_s : 0;
  std::fputs(
      fmt::format("[{} tokens in, {} out, first after {:.0f} ms, {:.0f} tok/s, {}]\n",
                  summary.num_prompt_tokens, summary.num_output_tokens,
                  summary.time_to_first_token_s * 1e3, rate, to_string(summary.finish_reason))
          .c_str(),
      stderr);
}

void show_progress(const std::string& line) {
  if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "%s\n", line.c_str());
}

Json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace

Result<void> run_prompt(const RunOptions& options) {
  ASSIGN_OR_RETURN(const auto built, build_engine(options.engine, nullptr, show_progress));
  std::string prompt = options.prompt;
  if (!options.raw) {
    Json messages = Json::array();
    if (!options.system.empty()) messages.push_back(message("system", options.system));
    messages.push_back(message("user", options.prompt));
    ASSIGN_OR_RETURN(prompt, render_messages(built->served, messages));
  }
  catch_interrupts();
  ASSIGN_OR_RETURN(const GenerationSummary summary,
                   generate(*built, prompt, !options.raw, options.generation, print_piece));
  std::fputc('\n', stdout);
  print_summary(summary);
  return {};
}

Result<void> chat(const ChatOptions& options) {
  ASSIGN_OR_RETURN(const auto built, build_engine(options.engine, nullptr, show_progress));
  Json messages = Json::array();
  if (!options.system.empty()) messages.push_back(message("system", options.system));
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) {
    std::fputs(fmt::format("Chat with {}. /clear starts anew, /exit or Ctrl-D leaves, Ctrl-C stops "
                           "an answer.\n",
                           built->served.names.front())
                   .c_str(),
               stderr);
  }
  catch_interrupts();
  const Json opening = messages;
  for (std::string line;;) {
    if (terminal) print_piece("> ");
    if (!std::getline(std::cin, line) || line == "/exit") break;
    if (line.empty()) continue;
    if (line == "/clear") {
      messages = opening;
      continue;
    }
    g_interrupted = 0;
    messages.push_back(message("user", line));
    ASSIGN_OR_RETURN(const std::string prompt, render_messages(built->served, messages));
    const auto answer = generate(*built, prompt, true, options.generation, print_piece);
    std::fputc('\n', stdout);
    if (!answer.ok()) {
      // A conversation that has outgrown the context is not the end of the program.
      std::fprintf(stderr, "pagoda: %s (/clear starts anew)\n", answer.error().message.c_str());
      messages.erase(messages.size() - 1);
      continue;
    }
    print_summary(*answer);
    messages.push_back(message("assistant", answer->text));
  }
  if (terminal) std::fputc('\n', stdout);
  return {};
}

}  // namespace pagoda
