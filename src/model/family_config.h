// What a family of models has beyond what config.json says: its defaults and its own keys.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/config_fields.h"
#include "model/model_config.h"

namespace pagoda {

// Values of keys that config.json may leave out because the family's configuration class in
// Transformers has them. An empty object for a family without any or an unknown one.
Json family_defaults(std::string_view architecture);

// Reads the keys that only some families have, and sets what the architecture alone decides.
// `config` holds what all families share. Errors as parse_model_config(), kept in `fields`.
void read_family(Fields& fields, ModelConfig& config);

}  // namespace pagoda
