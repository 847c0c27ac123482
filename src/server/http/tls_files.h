// TlsFiles: where a server's certificate and key are.
#pragma once

#include <string>

namespace pagoda {

// PEM files. Value type.
struct TlsFiles {
  std::string certificate_chain = {};  // the server's own certificate first
  std::string private_key = {};
  std::string key_password = {};  // of an encrypted key

  bool empty() const { return certificate_chain.empty() && private_key.empty(); }
};

}  // namespace pagoda
