"""Which TensorFlow operations give different bits on different x86-64 processors, and which networks use one."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from emotion.foundation.errors import UserError

_APPROXIMATED = "the processor's own approximation, which differs from make to make"
# Found by computing every operation of the networks on a real processor and on emulated ones of other makes.
UNPORTABLE: Mapping[str, str] = {
    "Rsqrt": _APPROXIMATED,
    "RsqrtGrad": _APPROXIMATED,
    "Reciprocal": _APPROXIMATED,
    "Inv": _APPROXIMATED,
    "_FusedConv2D": "merged with a FusedBatchNorm, it uses Rsqrt",  # with bias or activation alone it is portable
    "_FusedDepthwiseConv2dNative": "merged with a FusedBatchNorm, it uses Rsqrt",
    "XlaLaunch": "compiled for the processor it finds",
    "_XlaCompile": "compiled for the processor it finds",
}
_WITH_BATCH_NORM = ("_FusedConv2D", "_FusedDepthwiseConv2dNative")
_DIVISIONS = ("Div", "RealDiv")


def unportable_ops(nodes: Iterable[Any]) -> list[str]:
    """Name the operations that do not give the same bits everywhere, sorted.

    Args:
        nodes: NodeDefs of a graph, before or after TensorFlow's optimiser, which turns a division by Sqrt into Rsqrt.
    """
    nodes = list(nodes)
    kinds = {node.name: node.op for node in nodes}
    found = set()
    for node in nodes:
        if node.op in UNPORTABLE and (node.op not in _WITH_BATCH_NORM or _takes_batch_norm(node)):
            found.add(node.op)
        if node.op in _DIVISIONS and kinds.get(node.input[1].split(":")[0]) == "Sqrt":
            found.add("division by Sqrt")
    return sorted(found)


def check_portable(model: keras.Model, network: str, *, setting: str) -> None:
    """Raise UserError where a network cannot give the same bits on every x86-64 processor.

    Args:
        model: pixels -> logits.
        network: what the network is called in params.yaml.
        setting: the key that asks for it, such as `train.portable`.
    """
    nodes = [node for training in (False, True) for node in _nodes(model, training=training)]
    if found := unportable_ops(nodes):
        raise UserError(
            f"{setting}: true cannot hold for the network {network}: it computes with {', '.join(found)} "
            f"({UNPORTABLE.get(found[0], _APPROXIMATED)}); set {setting}: false, or choose another model.network"
        )


def _nodes(model: keras.Model, *, training: bool) -> list[Any]:
    pixels = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    graph = (
        tf.function(lambda batch: model(batch, training=training)).get_concrete_function(pixels).graph.as_graph_def()
    )
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def _takes_batch_norm(node: Any) -> bool:
    return b"FusedBatchNorm" in node.attr["fused_ops"].list.s
