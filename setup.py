"""The compiled modules of the gateway; everything else about the project is in pyproject.toml.

Each ``gateway/_NAME.pyx`` becomes ``gateway._NAME``. ``make build`` compiles them in place.
With GATEWAY_SANITIZE=1 in the environment (and ``build_ext --force``) they carry AddressSanitizer and UBSan;
Python then has to be started with ``LD_PRELOAD=$(gcc -print-file-name=libasan.so)``.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools import setup

# Not the stack: greenlets copy it away and back, and AddressSanitizer's marks on it stay where they were.
SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "--param", "asan-stack=0"]
SANITIZE *= os.environ.get("GATEWAY_SANITIZE") == "1"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,  # the input is hostile; switched off for a single loop only, with the proof beside it
    "wraparound": False,
    "auto_pickle": False,
    "embedsignature": True,
}


def extension(source: Path) -> Extension:
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        extra_compile_args=["-O2", "-g", *SANITIZE],
        extra_link_args=SANITIZE,
    )


os.chdir(Path(__file__).parent)
setup(
    ext_modules=cythonize(
        [extension(source) for source in sorted(Path("gateway").glob("_*.pyx"))],
        compiler_directives=DIRECTIVES,
        quiet=True,
    )
)
