"""The one thing that pyproject.toml cannot say: a dependency that lies in this repository."""

from pathlib import Path

from setuptools import setup

FBGEMM = (Path(__file__).parent / "benchmarks" / "fbgemm-gpu").resolve().as_uri()

# All fixed: TorchRec and FBGEMM fit one version of torch each (1.9 does not load with
# 2.13).
setup(
    extras_require={
        "scale": ["torch==2.13.0", "torchrec==1.8.0", f"fbgemm-gpu @ {FBGEMM}"]
    }
)
