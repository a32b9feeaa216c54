"""A network comes back from its file bit by bit; anything else is told in one line."""

from __future__ import annotations

import json

import pytest

import icas

pytestmark = pytest.mark.deep


@pytest.fixture
def files(torch):
    from icas.clusterimg.networks import model_files

    return model_files


@pytest.fixture
def network(torch):
    from icas.clusterimg.networks.autoencoder import make_autoencoder

    return make_autoencoder(32, 5, width=8, seed=1)


def refused(call, *arguments) -> str:
    with pytest.raises(icas.UsageError) as told:
        call(*arguments)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.safetensors"])
def test_a_network_comes_back(torch, files, network, tmp_path, name):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    files.write_model(tmp_path / name, network, {"more": [1, "ü"]})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    loaded, settings = files.load_autoencoder(tmp_path / name)
    assert settings["more"] == [1, "ü"]
    assert settings["network"] == {"kind": "autoencoder", "size": 32, "dims": 5, "width": 8}
    assert not loaded.training
    images = torch.rand((3, 3, 32, 32))
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))
    state = files.read_state_dict(tmp_path / name)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_what_is_no_network_is_told(torch, files, network, tmp_path):
    path = tmp_path / "m.pt"
    assert "no such file" in refused(files.read_model, path)
    assert "not a regular file" in refused(files.read_model, tmp_path)
    for content in (b"", b"PK\x03\x04", b"no weights\n", b"\x80\x02}q."):
        path.write_bytes(content)
        assert str(path) in refused(files.load_autoencoder, path)
    files.write_model(path, network, {})
    path.write_bytes(path.read_bytes()[:-500])
    assert "truncated" in refused(files.load_autoencoder, path)
    torch.save({"icas": 3, "state_dict": {}}, path)
    assert "not a network of clusterimg train" in refused(files.load_autoencoder, path)
    torch.save([1, 2], path)
    assert "not a network of clusterimg train" in refused(files.load_autoencoder, path)
    torch.save(network.state_dict(), path)
    assert "not a network of clusterimg train" in refused(files.load_autoencoder, path)


@pytest.mark.parametrize("cut", [0, 4, 200, -100])
def test_a_damaged_safetensors_file_is_told(files, network, tmp_path, cut):
    pytest.importorskip("safetensors")
    path = tmp_path / "m.safetensors"
    files.write_model(path, network, {})
    path.write_bytes(path.read_bytes()[:cut])
    refused(files.load_autoencoder, path)
    refused(files.read_state_dict, path)


def test_nothing_in_a_file_is_executed(torch, files, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"icas": "{}", "state_dict": Evil()}, tmp_path / "evil.pt")
    for read in (files.load_autoencoder, files.read_state_dict):
        assert "cannot read weights" in refused(read, tmp_path / "evil.pt")
    assert not (tmp_path / "made").exists()


def test_weights_of_another_size_than_told_are_named(torch, files, network, tmp_path):
    files.write_model(tmp_path / "m.pt", network, {})
    held = torch.load(tmp_path / "m.pt", weights_only=True)
    for key, value in (("size", 64), ("dims", 9), ("width", 16)):
        told = json.loads(held["icas"])
        told["network"][key] = value
        torch.save({**held, "icas": json.dumps(told)}, tmp_path / "other.pt")
        assert "does not match an autoencoder" in refused(
            files.load_autoencoder, tmp_path / "other.pt"
        )
    told["network"]["size"] = 48
    torch.save({**held, "icas": json.dumps(told)}, tmp_path / "other.pt")
    assert "power of two" in refused(files.load_autoencoder, tmp_path / "other.pt")


@pytest.mark.parametrize("level", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_any_make_are_loaded(torch, files, network, tmp_path, level, prefix):
    from icas.clusterimg.networks.autoencoder import make_autoencoder

    state = {prefix + name: value.half() for name, value in network.state_dict().items()}
    torch.save({level: state, "epoch": 3} if level else state, tmp_path / "w.pth")
    other = make_autoencoder(32, 5, width=8, seed=2)
    files.load_weights(other, tmp_path / "w.pth", "it")
    for name, value in network.state_dict().items():
        assert other.state_dict()[name].dtype == torch.float32
        assert torch.equal(other.state_dict()[name], value.half().float())


def test_weights_that_do_not_fit_are_named(torch, files, network, tmp_path):
    state = dict(network.state_dict())
    del state["decoder.0.bias"]
    state["head.weight"] = torch.zeros(3)
    state["decoder.0.weight"] = torch.zeros(2, 5)
    torch.save(state, tmp_path / "w.pth")
    line = refused(files.load_weights, network, tmp_path / "w.pth", "the net")
    for words in ("the net: 3", "decoder.0.bias is missing", "head.weight is not in", "2x5"):
        assert words in line
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    assert "no named weights" in refused(files.read_state_dict, tmp_path / "w.pth")


def test_published_weights_are_read(files, data):
    from torchvision.models import mobilenet_v2

    weights = data / "weights"
    files.load_weights(mobilenet_v2(), weights / "mobilenet_v2_dequantized_fp16.pth", "it")
    assert "conv1.weight" in files.read_state_dict(weights / "resnet20-12fca82f.th")


def test_a_folder_that_is_not_there_is_told(files, network, tmp_path):
    with pytest.raises(icas.IcasError, match="cannot write"):
        files.write_model(tmp_path / "none" / "m.pt", network, {})
