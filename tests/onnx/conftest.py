"""Small ONNX files made by the package onnx."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


def _conv(helper, arrays, name, source, filters, channels, rng):
    weights = rng.normal(size=(filters, channels, 3, 3)).astype(np.float32)
    arrays.append((f"{name}_w", weights))
    return [
        helper.make_node("Conv", [source, f"{name}_w"], [f"{name}_c"], pads=[1] * 4),
        helper.make_node("Relu", [f"{name}_c"], [name]),
    ]


@pytest.fixture(scope="session")
def classifier(onnx, tmp_path_factory):
    """Two residual stages of 4 and 6 channels, and scores of 1000 classes; images of any size."""
    from onnx import TensorProto, helper, numpy_helper

    rng, arrays = np.random.default_rng(0), []
    nodes = _conv(helper, arrays, "first", "images", 4, 3, rng)
    nodes += _conv(helper, arrays, "inner", "first", 4, 4, rng)
    nodes += [helper.make_node("Add", ["first", "inner"], ["stage_1"])]
    nodes += _conv(helper, arrays, "stage_2", "stage_1", 6, 4, rng)
    arrays.append(("scores_w", rng.normal(size=(6, 1000)).astype(np.float32)))
    nodes += [
        helper.make_node("GlobalAveragePool", ["stage_2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "scores_w"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1000])],
        [numpy_helper.from_array(array, name) for name, array in arrays],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"made": "für Tests"})
    path = tmp_path_factory.mktemp("onnx") / "classifier.onnx"
    path.write_bytes(model.SerializeToString())
    return path
