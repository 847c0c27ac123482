// HubConfig: which hub, which cache folder, which token, which proxy; and where they are set.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pagoda {

// Value type. Never log `token` or a proxy: both may hold secrets.
struct HubConfig {
  std::string endpoint = "https://huggingface.co";  // no '/' at its end
  std::string cache_dir;                            // Hugging Face's folder "hub"; absolute
  std::string token;                                // empty: none
  bool offline = false;                             // no network at all
  std::string http_proxy;                           // for http:// addresses; empty: none
  std::string https_proxy;                          // for https:// addresses; empty: none
  std::string no_proxy;                             // hosts that are reached directly, by commas
  std::string ca_file;     // PEM file of certificate authorities; empty: the system's
  std::string user_agent;  // "pagoda/0.1.0"
};

// Reads the variables that Hugging Face's own tools read, by the same rules
// (huggingface_hub/constants.py): HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN,
// HF_TOKEN_PATH or the file `token` of HF_HOME, HF_HUB_OFFLINE; and those of curl: HTTPS_PROXY,
// HTTP_PROXY, ALL_PROXY, NO_PROXY, in capitals or not, and SSL_CERT_FILE. `variable` gives the
// value of a variable, nullopt when unset or empty. kInvalidArgument names the variable, never its
// value where that is a secret.
Result<HubConfig> read_hub_config(
    const std::function<std::optional<std::string>(std::string_view)>& variable);

}  // namespace pagoda
