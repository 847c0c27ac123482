"""The wheel carries the program that CMake has built (build/release/pagoda, or $PAGODA_BIN) and the demo model."""

import os
import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
BINARY = pathlib.Path(os.environ.get("PAGODA_BIN") or HERE.parent / "build" / "release" / "pagoda")


class BuildWithProgram(build_py):
    def run(self):
        super().run()
        target = pathlib.Path(self.build_lib) / "pagoda" / "bin" / "pagoda"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BINARY, target)
        target.chmod(0o755)
        # Where the program looks for it, seen from its own place.
        model = target.parent.parent / "share" / "pagoda" / "models" / "demo"
        shutil.copytree(HERE.parent / "models" / "demo", model, dirs_exist_ok=True)


class WheelOfThisMachine(bdist_wheel):
    """Of any Python, but of one platform."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": BuildWithProgram, "bdist_wheel": WheelOfThisMachine})
