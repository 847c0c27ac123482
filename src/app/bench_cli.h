// `pagoda bench`: its subcommands on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

#include "app/command_line.h"

namespace pagoda {

// Adds `bench` to the program; the commands are those beneath it.
std::vector<Command> add_bench(CLI::App& root);

}  // namespace pagoda
