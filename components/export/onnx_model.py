"""Export a model as ONNX, for onnxruntime and Transformers' ONNX runtimes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.forward import logits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "model.onnx"
_OPSET = 17
_LARGEST_FILE = 2**31  # protobuf's
_BYTES = 4  # of a float32


def check_installed() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        InputError: If one is missing.
    """
    missing = [name for name in ("tf2onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"not installed: {', '.join(missing)}",
            where="--format onnx",
            expected="the packages that write and verify ONNX",
            remedy="pip install 'kfp-finetune[onnx]'",
        )


def write(network: Classifier, names: Sequence[str], folder: Path) -> None:
    """Write a model as model.onnx.

    Its inputs are token ids by name, int64 as usual in ONNX, shape [batch, width]; its output is
    `logits`, float32, shape [batch, outputs].

    Args:
        network: The model.
        names: Its inputs: `input_ids`, `attention_mask`, maybe `token_type_ids`.
        folder: An existing folder.

    Raises:
        InputError: If the weights do not fit into one file.
    """
    size = sum(math.prod(weight.shape) for weight in network.weights) * _BYTES
    if size >= _LARGEST_FILE:
        raise InputError(
            f"the weights take {size / 1e9:.1f} GB",
            where="--format onnx",
            expected="less than 2.1 GB, the limit of an ONNX file",
            remedy="--format savedmodel, or --format pt",
        )
    logits = logits_of(network)

    def serve(*token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        features = {n: tf.cast(ids, tf.int32) for n, ids in zip(names, token_ids, strict=True)}
        return {"logits": logits(features)}

    signature = [tf.TensorSpec([None, None], tf.int64, name=name) for name in names]
    function = tf.function(serve, input_signature=signature).get_concrete_function()
    (folder / FILE).write_bytes(_converted(function).SerializeToString())


def _converted(function: Any) -> Any:
    """Convert a concrete function to an ONNX model.

    `tf2onnx.convert.from_function` does the same with all of its optimizers. One of them writes 0
    for a size that a reshape keeps; another then merges two reshapes in a row, where the 0 is a
    different size. onnxruntime does the work of the latter when it opens a model.
    """
    from tf2onnx import optimizer, tf_loader
    from tf2onnx.tfonnx import process_tf_graph

    inputs = [tensor.name for tensor in function.inputs if tensor.dtype != tf.resource]
    outputs = [tensor.name for tensor in function.outputs]
    frozen = tf_loader.from_function(function, inputs, outputs)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        converted = process_tf_graph(
            graph,
            opset=_OPSET,
            custom_op_handlers={"Erfc": (_erfc, []), "SelectV2": (_where, [])},
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename={
                **{name: name.removesuffix(":0") for name in inputs},
                outputs[0]: "logits",
            },
        )
        optimizers = {
            "optimize_transpose": optimizer.TransposeOptimizer,
            "fold_constants": optimizer.ConstFoldOptimizer,
            "merge_duplication": optimizer.MergeDuplicatedNodesOptimizer,
            "reshape_optimizer": optimizer.ReshapeOptimizer,
            "remove_identity": optimizer.IdentityOptimizer,
        }
        return optimizer.optimize_graph(converted, optimizers=optimizers).make_model("kfp-finetune")


def _erfc(graph: Any, node: Any, _name: str, _arguments: list[Any]) -> None:
    """Write erfc(x) as 1 - erf(x): TensorFlow's optimizer introduced it, and ONNX has no erfc."""
    one = graph.make_const(f"{node.name}_one", np.array(1, np.float32))
    erf = graph.make_node(
        "Erf",
        node.input,
        shapes=[graph.get_shape(node.input[0])],
        dtypes=[graph.get_dtype(node.input[0])],
    )
    _replace(graph, node, "Sub", [one.output[0], erf.output[0]])


def _where(graph: Any, node: Any, _name: str, _arguments: list[Any]) -> None:
    """Write Where; tf2onnx multiplies by 0 and 1, and 0 times a NaN is NaN."""
    _replace(graph, node, "Where", list(node.input))


def _replace(graph: Any, node: Any, kind: str, inputs: list[str]) -> None:
    """Replace a node by an ONNX operation."""
    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(node.name)
    graph.make_node(
        kind, inputs, name=node.name, outputs=node.output, shapes=[shape], dtypes=[dtype]
    )


def logits(folder: Path, features: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
    """The logits of an exported model in onnxruntime, float32, shape [batch, outputs]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
    given = {name: value.astype(np.int64) for name, value in features.items()}
    answer: NDArray[np.float32] = session.run(["logits"], given)[0]
    return answer
