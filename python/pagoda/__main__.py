"""The `pagoda` command of the wheel: `status` and `lint-config` are Python's, all else is the program's."""

from __future__ import annotations

import os
import sys

from pagoda import lint, status
from pagoda.engine import EngineError, find_binary


def main() -> int:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "status":
        return status.main(sys.argv[2:])
    if command == "lint-config":
        return lint.main(sys.argv[2:])
    try:
        binary = find_binary()
    except EngineError as error:
        print(f"pagoda: {error}", file=sys.stderr)
        return 2
    os.execv(binary, [binary, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
