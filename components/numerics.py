"""The environment variables that change numeric results, for the cache, resuming and containers.

They affect the kernels, the number of threads and the precision of TensorFlow and its libraries,
and so change the last bits of the weights.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_NUMERIC = re.compile(
    r"(TF|ONEDNN|DNNL|XLA|OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|CUDA|CUDNN|CUBLAS|NCCL|HIP"
    r"|ROCR|MIOPEN|JAX|EIGEN|KERAS|LD_PRELOAD|GLIBC_TUNABLES)(_\w+)?|NVIDIA_TF32_OVERRIDE"
)
# Exceptions: variables for printing, those of Terraform, the addresses of workers (their number is
# recorded elsewhere), and those that this project or a library sets on import.
_OTHER = re.compile(
    r"TF_CPP_\w+|TF_CLI_\w+|TF_CONFIG|TF_USE_LEGACY_KERAS|KERAS_BACKEND|KMP_DUPLICATE_LIB_OK"
    r"|KMP_INIT_AT_FORK|KMP_SETTINGS|(ONEDNN|DNNL|MKL)_VERBOSE|OMP_DISPLAY_\w+|NCCL_DEBUG\w*"
)


def is_numeric(name: str) -> bool:
    """Return True if an environment variable of this name can change numbers."""
    return bool(_NUMERIC.fullmatch(name)) and not _OTHER.fullmatch(name)


def numeric_variables(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The numeric variables that are set, by name.

    Args:
        variables: Environment variables; None for those of this process.
    """
    found = os.environ if variables is None else variables
    return {name: value for name, value in sorted(found.items()) if is_numeric(name)}
