// The commands of the program, after their settings have been read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

struct QuantizeOptions {
  std::string input;          // a Hugging Face folder or a GGUF file
  std::string output;         // the GGUF file to write
  std::string type = "q8_0";  // of the matrices; "auto": as they are
};
// Writes the model as a GGUF file with its matrices in the format `type`, with tokenizer and chat
// template, so that the file serves.
Result<void> quantize(const QuantizeOptions& options);

struct LogitsOptions {
  EngineOptions engine;
  std::string ids;   // token ids with commas between
  int32_t top = 10;  // how many a position
  bool all = false;  // every position rather than the last
};
// Prints the largest logits as lines of JSON: {"position": 2, "ids": [...], "logits": [...]}. Needs
// no tokenizer.
Result<void> print_logits(const LogitsOptions& options);

struct TokenizeOptions {
  std::string model;         // folder, GGUF file, or a file of a tokenizer
  bool add_special = false;  // BOS and what else the model puts around a text
  bool null = false;         // standard input holds texts with a NUL between them
  bool decode = false;       // objects with "ids" and "text", what the ids decode to
};
// Writes the token ids of standard input as a JSON array, one a line. What is no UTF-8 counts as
// U+FFFD, as in Python's errors="replace", and standard error says so.
Result<void> tokenize(const TokenizeOptions& options);

struct RenderOptions {
  std::string model;                   // folder or GGUF file; may be empty with a template_file
  std::string messages_file;           // JSON: a list of messages, or an object with "messages"
  std::string tools_file;              // JSON; empty: none
  std::string template_file;           // empty: the model's own
  std::vector<std::string> variables;  // NAME=VALUE, the value JSON or else a text
  bool no_generation_prompt = false;
};
// Writes the prompt that the chat template makes of the messages to stdout: exactly, as they are in
// the file, as apply_chat_template of Transformers would. Loads no weights. Errors name the file.
Result<void> render(const RenderOptions& options);

// Prints what the machine offers and, with a model, what the model is. `with_env`: the environment
// variables instead.
Result<void> info(const EngineOptions& options, bool with_model, bool with_env);

struct PullOptions {
  std::string model;                 // ORG/NAME[@REVISION][:QUANTIZATION]
  std::vector<std::string> include;  // globs of files to take instead of the usual ones
  std::vector<std::string> exclude;  // globs of files to leave out
};
// Downloads a model into the cache and prints its path on stdout.
Result<void> pull(const PullOptions& options);

// Prints the models in the cache, as a table or as JSON.
Result<void> list_models(bool as_json);

// Removes ORG/NAME[@REVISION] from the cache and prints what that freed.
Result<void> remove_model(const std::string& text);

}  // namespace pagoda
