// The cache of converted matrices of a model, opened as the settings say.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/config.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quantized_cache.h"
#include "model/weights.h"

namespace pagoda {

// The folder of --quantization-cache-dir, or the usual one. Empty: converted matrices are not kept.
std::string quantization_cache_folder(const EngineOptions& options);

// Names, sizes and times of the checkpoint's files, a line each: what caches of anything made from
// them depend on. Reading gigabytes to hash them would cost more than caches save.
std::string checkpoint_files(const Checkpoint& checkpoint);

// The cache for `format`, which is to be given to load_model() and published by the caller. Null
// when nothing is converted, or converted matrices are not kept, or the folder cannot be used,
// which `note` is told.
std::unique_ptr<QuantizedCache> open_quantized_cache(
    const EngineOptions& options, const Checkpoint& checkpoint, const WeightFormat& format,
    const std::function<void(const std::string&)>& note);

}  // namespace pagoda
