"""A checkpoint becomes the model that it was saved from; anything else is reported in one line."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

import icas
from icas.segmentimg.sam import embedding
from icas.segmentimg.sam.architecture import (
    TINY_VIT_UNUSED,
    build_tiny_vit,
    build_vit,
    decoder_shape,
    encoder_shape,
    timm_name,
)
from icas.segmentimg.sam.checkpoints import (
    LoadedSam,
    load_sam,
    move_to_device,
    read_checkpoint,
    shapes_of,
)
from icas.segmentimg.sam.embedding import load_shared

SIZES = [
    {},
    {"image_size": 64, "patch": 16, "width": 32, "depth": 2, "heads": 4, "window": 14},
    {"image_size": 256, "patch": 16, "width": 48, "depth": 3, "heads": 3, "window": 5},
    {"image_size": 64, "patch": 8, "width": 32, "depth": 2, "heads": 2, "window": 0},
    {"image_size": 64, "patch": 8, "width": 32, "depth": 2, "heads": 1, "window": 8},
]


def one_line(excinfo) -> str:
    text = str(excinfo.value)
    assert "\n" not in text
    return text


def as_saved(torch, sam, path):
    torch.save(sam.state_dict(), path)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_a_model_of_any_size_comes_back_from_its_file(torch, make_sam, tmp_path, size):
    sam = make_sam(3, **size)
    ours = load_sam(as_saved(torch, sam, tmp_path / "any.pth"), device="cpu")
    assert not ours.training
    side = sam.image_encoder.img_size
    assert ours.image_encoder.img_size == side
    picture = torch.randn((1, 3, side, side))
    with torch.no_grad():
        assert torch.equal(ours.image_encoder(picture), sam.image_encoder(picture))
        assert torch.equal(ours.preprocess(picture), sam.preprocess(picture))
    for name, value in sam.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)


def test_the_published_models_are_known_by_their_shapes(torch):
    from segment_anything import sam_model_registry

    for name in ("vit_b", "vit_l", "vit_h"):
        with torch.device("meta"):
            sam = sam_model_registry[name]()
        shapes = shapes_of(sam.state_dict())
        found = encoder_shape(shapes)
        assert found.name == name
        with torch.device("meta"):
            ours = build_vit(found, decoder_shape(shapes))
        assert shapes_of(ours.state_dict()) == shapes
        assert repr(ours) == repr(sam)
        for one, other in zip(ours.image_encoder.blocks, sam.image_encoder.blocks, strict=True):
            assert one.window_size == other.window_size
            assert one.attn.num_heads == other.attn.num_heads
            assert one.norm1.eps == other.norm1.eps


def test_weights_one_level_down_and_of_half_precision_do_too(torch, reference, tmp_path):
    state = {f"module.{key}": value.half() for key, value in reference.state_dict().items()}
    path = tmp_path / "trained.pth"
    torch.save({"model": state, "epoch": 3}, path)
    ours = load_sam(path, device="cpu")
    for name, value in reference.state_dict().items():
        assert ours.state_dict()[name].dtype == torch.float32
        assert torch.equal(ours.state_dict()[name], value.half().float())


@pytest.fixture(scope="module")
def mobile_keys(data):
    reported = json.loads((data / "weights" / "mobile_sam_keys.json").read_text())
    return {name: tuple(shape) for name, (shape, _) in reported.items()}


def mobile_state(torch, keys):
    generator = torch.Generator().manual_seed(1)

    def value(name, shape):
        if name.endswith("num_batches_tracked"):
            return torch.zeros(shape, dtype=torch.long)
        return torch.rand(shape, generator=generator) * 0.1 + 0.01

    return {name: value(name, shape) for name, shape in keys.items()}


def test_mobile_sam_has_exactly_those_names_and_shapes(torch, mobile_keys):
    pytest.importorskip("timm")
    shapes = shapes_of(build_tiny_vit(decoder_shape(mobile_keys)).state_dict())
    used = mobile_keys.keys() - TINY_VIT_UNUSED.keys()
    assert {timm_name(name): mobile_keys[name] for name in used} == shapes
    assert len(shapes) == len(used)
    assert {name: mobile_keys[name] for name in TINY_VIT_UNUSED} == dict(TINY_VIT_UNUSED)
    assert len(mobile_keys) == 439


def test_a_mobile_sam_checkpoint_is_loaded_and_encodes(torch, mobile_keys, tmp_path):
    pytest.importorskip("timm")
    state = mobile_state(torch, mobile_keys)
    path = tmp_path / "mobile_sam.pt"
    torch.save(state, path)
    assert read_checkpoint(path)[0] == "vit_t"
    sam = load_sam(path, "vit_t", "cpu")
    for name, value in state.items():
        if name not in TINY_VIT_UNUSED:
            assert torch.equal(sam.state_dict()[timm_name(name)], value)
    with torch.no_grad():
        features = sam.image_encoder(torch.zeros((1, 3, 1024, 1024)))
    assert features.shape == (1, 256, 64, 64)
    del state["image_encoder.neck.3.bias"]
    torch.save(state, path)
    with pytest.raises(icas.UsageError, match=r"neck\.3\.bias is missing"):
        load_sam(path, device="cpu")


def test_mobile_sam_without_timm_names_the_extra(torch, mobile_keys, tmp_path, monkeypatch):
    path = tmp_path / "mobile_sam.pt"
    torch.save(mobile_state(torch, mobile_keys), path)
    without(monkeypatch, "timm")
    with pytest.raises(icas.MissingExtraError) as error:
        load_sam(path, device="cpu")
    assert "timm: pip install 'icas[sam]'" in one_line(error)


def without(monkeypatch, missing):
    import importlib.util

    find = importlib.util.find_spec

    def find_other(name, *rest):
        return None if name == missing else find(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", find_other)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "some.pth"
    path.write_bytes(b"x")
    without(monkeypatch, "torch")
    with pytest.raises(icas.MissingExtraError) as error:
        read_checkpoint(path)
    assert one_line(error) == (
        "method 'sam' needs torch and torchvision and segment-anything: pip install 'icas[sam]'"
    )


@pytest.mark.parametrize("path", [None, ""])
def test_no_checkpoint_says_where_to_get_one(path):
    with pytest.raises(icas.UsageError) as error:
        read_checkpoint(path)
    assert "sam_checkpoint FILE" in one_line(error)
    assert "'segmentimg weights get mobile_sam'" in one_line(error)


def test_a_file_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(icas.UsageError, match="no such file") as error:
        load_sam(tmp_path / "none.pth")
    one_line(error)
    with pytest.raises(icas.UsageError, match="a folder"):
        load_sam(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no weights at all\n", b"\x80\x02}q."])
def test_no_torch_file_is_reported(torch, tmp_path, content):
    path = tmp_path / "wrong.pth"
    path.write_bytes(content)
    with pytest.raises(icas.UsageError) as error:
        read_checkpoint(path)
    assert str(path) in one_line(error)


def test_a_file_cut_short_is_reported(torch, checkpoint, tmp_path):
    path = tmp_path / "short.pth"
    path.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(icas.UsageError, match="truncated") as error:
        read_checkpoint(path)
    one_line(error)


def test_nothing_in_a_file_is_executed(torch, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"image_encoder.x": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(icas.UsageError, match="is not a checkpoint"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("held", [[1, 2], {"a": 3}, {}, {"model": {}}])
def test_a_file_without_weights_is_reported(torch, tmp_path, held):
    torch.save(held, tmp_path / "other.pth")
    with pytest.raises(icas.UsageError, match=r"other\.pth") as error:
        read_checkpoint(tmp_path / "other.pth")
    one_line(error)


def test_a_checkpoint_of_something_else_is_reported_with_its_names(torch, data):
    with pytest.raises(icas.UsageError, match="not a Segment Anything checkpoint") as error:
        read_checkpoint(data / "weights" / "resnet20-12fca82f.th")
    assert "conv1.weight" in one_line(error)


def test_one_that_is_built_otherwise_is_reported(torch, reference, tmp_path):
    state = dict(reference.state_dict())
    path = tmp_path / "other.pth"
    torch.save({k: v for k, v in state.items() if "rel_pos" not in k}, path)
    with pytest.raises(icas.UsageError, match="rel_pos_h") as error:
        read_checkpoint(path)
    one_line(error)
    state["mask_decoder.hf_token.weight"] = torch.zeros(1, 64)
    del state["image_encoder.blocks.1.attn.proj.bias"]
    state["prompt_encoder.no_mask_embed.weight"] = torch.zeros(1, 32)
    torch.save(state, path)
    with pytest.raises(icas.UsageError, match="in 3 tensors") as error:
        load_sam(path, device="cpu")
    for words in (
        "hf_token.weight is unexpected",
        "proj.bias is missing",
        "(1, 32), expected (1, 64)",
    ):
        assert words in one_line(error)


def test_the_wrong_model_type_is_reported(torch, checkpoint, tmp_path):
    with pytest.raises(icas.UsageError, match=r"sam_model vit_h: .*leave out sam_model"):
        read_checkpoint(checkpoint, "vit_h")
    with pytest.raises(icas.UsageError, match="sam_model vit_x: choose from vit_b, vit_l"):
        read_checkpoint(checkpoint, "vit_x")


def test_a_model_too_large_for_the_gpu_goes_to_the_cpu_with_a_line(torch, caplog):
    class Large:
        def to(self, device):
            if device != "cpu":
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return self

    large = Large()
    with caplog.at_level(logging.WARNING):
        assert move_to_device(large, "cuda") is large
    assert [one.getMessage() for one in caplog.records] == [
        "out of GPU memory: Segment Anything continues on the CPU, which is slower"
    ]


def test_work_too_large_for_the_gpu_is_done_again_on_the_cpu(torch, caplog):
    model = LoadedSam("on the gpu", "x", lambda: "on the cpu")

    def work(sam):
        if sam == "on the gpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return sam

    with caplog.at_level(logging.WARNING):
        assert model.run(work) == "on the cpu"
        assert model.run(lambda sam: sam, alone=True) == "on the cpu"
    assert len(caplog.records) == 1


def test_too_little_memory_altogether_is_reported(torch):
    def work(sam):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    with pytest.raises(icas.IcasError, match="points_per_batch"):
        LoadedSam("model", "x", lambda: "model").run(work)
    with pytest.raises(RuntimeError, match="other"):
        LoadedSam("model", "x", lambda: "model").run(lambda sam: _raise(RuntimeError("other")))


def _raise(error):
    raise error


def test_a_model_is_loaded_once(torch, make_sam, reference, checkpoint, tmp_path):
    first = load_shared(checkpoint, device="cpu")
    assert load_shared(str(checkpoint), device="cpu") is first
    other = as_saved(torch, make_sam(9), tmp_path / "other.pth")
    second = load_shared(other, device="cpu")
    assert second is not first
    assert second.identity != first.identity
    assert embedding._load.cache_info().currsize == 1
    as_saved(torch, reference, other)
    assert load_shared(other, device="cpu") is not second  # the file has changed
    assert np.isfinite(first.run(lambda sam: sam.pixel_mean.numpy())).all()
