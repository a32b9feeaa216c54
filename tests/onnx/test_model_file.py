"""What is read of ONNX files, beside the package onnx; damaged files."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from icas import UsageError
from icas.onnx.model_file import ModelFile, with_metadata
from icas.onnx.network import Network
from icas.onnx.stages import find_stages, input_side


def test_the_parts_are_those_that_onnx_reads(onnx, classifier):
    model, expected = ModelFile.read(classifier), onnx.load(classifier)
    assert [(node.op, node.inputs, node.outputs) for node in model.nodes] == [
        (node.op_type, tuple(node.input), tuple(node.output)) for node in expected.graph.node
    ]
    assert model.constants == {tensor.name for tensor in expected.graph.initializer}
    assert [(tensor.name, tensor.shape) for tensor in model.inputs] == [
        ("images", (None, 3, None, None))
    ]
    assert [(tensor.name, tensor.shape) for tensor in model.outputs] == [("scores", (None, 1000))]
    assert model.metadata == {"made": "für Tests"}


def test_inner_tensors_become_outputs_and_metadata_is_added(onnx, classifier):
    model = ModelFile.read(classifier)
    data = with_metadata(model.with_outputs(["stage_1", "scores"]), {"icas": "{}"})
    read = onnx.load_from_string(data)
    onnx.checker.check_model(read)
    assert [output.name for output in read.graph.output] == ["scores", "stage_1"]
    assert {prop.key: prop.value for prop in read.metadata_props}["icas"] == "{}"


def test_the_outputs_are_those_of_onnxs_reference(onnx, classifier):
    from onnx.reference import ReferenceEvaluator

    model = ModelFile.read(classifier)
    names = ["stage_2", "scores", "stage_1"]
    network = Network(model, names)
    reference = ReferenceEvaluator(onnx.load_from_string(model.with_outputs(names)))
    for size in ((2, 3, 20, 30), (1, 3, 9, 9)):
        images = np.random.default_rng(1).normal(size=size).astype(np.float32)
        expected = reference.run(names, {"images": images})
        for found, wanted in zip(network(images=images), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_last_two_stages_of_a_classifier_give_its_features(classifier):
    model = ModelFile.read(classifier)
    assert [stage.name for stage in find_stages(model)] == ["stage_1", "stage_2"]
    assert input_side(model) is None


def test_input_that_does_not_fit_is_one_line(classifier):
    network = Network(ModelFile.read(classifier))
    with pytest.raises(UsageError, match=r"classifier\.onnx: .* anyx3xanyxany, not of 1x5x8x8"):
        network(images=np.zeros((1, 5, 8, 8), np.float32))


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x09", bytes(100), b"\xff" * 50])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(UsageError, match="ONNX"):
        ModelFile.read(tmp_path / "file.onnx")


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the network .*no such file"):
        ModelFile.read(tmp_path / "no.onnx")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_are_refused_or_run(classifier, tmp_path, data):
    content = bytearray(classifier.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(UsageError):
        find_stages(ModelFile.read(path))
