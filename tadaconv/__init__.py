"""TAdaConv, the temporally-adaptive convolution (TAda!, ICLR 2022), and the networks built from it.

from tadaconv import TAdaConv2d, RouteFuncMLP       # the operator and its router, for your own network
from tadaconv import create_model, load_weights     # TAda2D and its baselines
"""

import runpy
import sys
from pathlib import Path

from tadaconv.fingerprint import weights_sha256
from tadaconv.inference import optimize_for_inference
from tadaconv.network import VideoNetwork
from tadaconv.operators import TAdaConv2d, TAdaConv3d
from tadaconv.operators_v2 import TAdaConv2dV2
from tadaconv.registry import create_model, list_models
from tadaconv.router import RouteFuncMLP
from tadaconv.router_v2 import RouteFuncTransformer
from tadaconv.weights import LoadReport, load_weights

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

__all__ = [
    "LoadReport",
    "RouteFuncMLP",
    "RouteFuncTransformer",
    "TAdaConv2d",
    "TAdaConv2dV2",
    "TAdaConv3d",
    "VideoNetwork",
    "create_model",
    "list_models",
    "load_weights",
    "optimize_for_inference",
    "weights_sha256",
]
