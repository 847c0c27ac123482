// What llama.cpp computes for given token ids: the logits of every position, for compare.py. Not
// part of Pagoda's build; compiled against a llama.cpp that the reader has built (compare.py says
// how).
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

// One text a line, ids separated by commas.
std::vector<std::vector<llama_token>> read_texts(const char* path) {
  std::vector<std::vector<llama_token>> texts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream words(line);
    std::vector<llama_token> text;
    for (llama_token id = 0; words >> id;) text.push_back(id);
    if (!text.empty()) texts.push_back(text);
  }
  return texts;
}

// As exact as llama.cpp computes: keys and values in f32, attention without the fused kernel, and
// the whole text in one batch. Everything else is its default.
llama_context_params context_params(size_t num_tokens) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = static_cast<uint32_t>(num_tokens);
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.n_threads = params.n_threads_batch =
      static_cast<int32_t>(std::max(1U, std::thread::hardware_concurrency()));
  return params;
}

// Writes the logits after each token of the text as f32; false when llama.cpp fails.
bool write_logits(llama_model* model, const std::vector<llama_token>& text, size_t context,
                  FILE* out) {
  const std::unique_ptr<llama_context, void (*)(llama_context*)> run(
      llama_init_from_model(model, context_params(context)), llama_free);
  if (run == nullptr) return false;
  const auto count = static_cast<int32_t>(text.size());
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (int32_t i = 0; i < count; ++i) {
    batch.token[i] = text[static_cast<size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  bool fine = llama_decode(run.get(), batch) == 0;
  const auto vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  for (int32_t i = 0; fine && i < count; ++i) {
    fine = std::fwrite(llama_get_logits_ith(run.get(), i), sizeof(float), vocab, out) == vocab;
  }
  llama_batch_free(batch);
  return fine;
}

void log_warnings(ggml_log_level level, const char* text, void* /*data*/) {
  if (level >= GGML_LOG_LEVEL_WARN) std::fputs(text, stderr);
}

int run(const char* model_path, const char* ids_path, const char* out_path, size_t context) {
  llama_log_set(log_warnings, nullptr);
  llama_backend_init();
  llama_model_params params = llama_model_default_params();
  // Weights stay as the file has them: no copies laid out for AMX, whose tiles virtual machines
  // often report and refuse.
  params.use_extra_bufts = false;
  const std::unique_ptr<llama_model, void (*)(llama_model*)> model(
      llama_model_load_from_file(model_path, params), llama_model_free);
  if (model == nullptr) return 1;
  const std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(out_path, "wb"), std::fclose);
  if (out == nullptr) return 1;
  for (const std::vector<llama_token>& text : read_texts(ids_path)) {
    if (!write_logits(model.get(), text, std::max(context, text.size()), out.get())) return 1;
  }
  return 0;
}

}  // namespace

// Usage: llama_cpp_logits MODEL.gguf IDS OUT [CONTEXT]. CONTEXT is the context in tokens that the
// model is opened with, at least a text's length: models with two lists of rotary factors choose by
// it.
int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fputs("usage: llama_cpp_logits MODEL.gguf IDS OUT [CONTEXT]\n", stderr);
    return 2;
  }
  return run(argv[1], argv[2], argv[3], argc == 5 ? std::stoul(argv[4]) : 0);
}
