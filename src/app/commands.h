// The commands of the program, after their settings have been read.
#pragma once

#include <string>

#include "app/config.h"
#include "app/generation.h"
#include "base/result.h"

namespace pagoda {

// Version of the program and the commit it was built from ("unknown" outside a checkout).
std::string program_version();
std::string program_commit();

// Serves until SIGTERM or SIGINT, then drains; a second signal ends at once. Returns when all is
// over.
Result<void> serve(const ServeOptions& options);

struct RunOptions {
  EngineOptions engine;
  GenerationOptions generation;
  std::string prompt;
  std::string system;  // system message; empty: none
  bool raw = false;    // the prompt as it is, without the chat template
};
// Answers one prompt on stdout, streamed.
Result<void> run_prompt(const RunOptions& options);

struct ChatOptions {
  EngineOptions engine;
  GenerationOptions generation;
  std::string system;
};
// A conversation in the terminal, line by line, until end of input or /exit.
Result<void> chat(const ChatOptions& options);

// Prints what the machine offers and, with a model, what the model is. `with_env`: the environment
// variables instead.
Result<void> info(const EngineOptions& options, bool with_model, bool with_env);

}  // namespace pagoda
