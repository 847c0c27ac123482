// What this program is, as CMake found it when it configured the build.
#include <string>

#include "app/commands.h"

namespace pagoda {

std::string program_version() {
  return PAGODA_VERSION;
}
std::string program_commit() {
  return PAGODA_COMMIT;
}

}  // namespace pagoda
