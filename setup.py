"""The extras, one of which pyproject.toml cannot name: it lies in this repository."""

from pathlib import Path

from setuptools import setup

FBGEMM = (Path(__file__).parent / "benchmarks" / "fbgemm-gpu").resolve().as_uri()

setup(
    extras_require={
        # The libraries that `make bench` and `make surprise` compare with. myFM imports
        # pkg_resources, which setuptools had up to version 81.
        "bench": [
            *("scikit-surprise==1.1.5", "implicit==0.7.3", "myfm==0.4.0"),
            "setuptools<82",
        ],
        # TorchRec and FBGEMM fit one version of torch; 1.9 does not load with 2.13.
        "scale": ["torch==2.13.0", "torchrec==1.8.0", f"fbgemm-gpu @ {FBGEMM}"],
    }
)
