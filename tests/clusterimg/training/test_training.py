"""Training on small pictures for real: it learns, it repeats itself, it goes on, it refuses."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import icas
from icas.clusterimg.training.report import Epoch, best_of, is_over, learning_rate_at
from icas.clusterimg.training.settings import TrainSettings
from icas.io.reading import write_image

pytestmark = pytest.mark.deep
SMALL = {"size": 32, "dims": 8, "epochs": 3, "batch_size": 8}
SQUEEZENET = "squeezenet1_0_deepcompressed_fp16.pth"


@pytest.fixture
def train(one_thread):
    """`icas.train` with small settings unless told otherwise."""

    return lambda src, **options: icas.train(src, **{**SMALL, **options})


def weights_of(path):
    from icas.clusterimg.networks.model_files import read_model

    return read_model(path)[1]


def assert_same_weights(torch, one, other):
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_a_network_is_trained_and_nothing_else_is_left(torch, train, boxes, loss):
    from icas.clusterimg.networks.model_files import load_autoencoder

    report = train(boxes, loss=loss, epochs=12, batch_size=4)
    names = ["boxes", "boxes_model.pt", "boxes_model_loss.csv", "boxes_model_loss.png"]
    assert left_behind(boxes.parent) == names
    assert report.out == boxes.parent / "boxes_model.pt"
    assert report.images == 30
    assert report.best.judged < report.curve[0].judged / 2
    network, settings = load_autoencoder(report.out)
    assert settings["network"]["size"] == 32
    assert settings["training"]["origin"]["settings"]["loss"] == loss
    assert network.embed(torch.zeros(2, 3, 32, 32)).shape == (2, 8)


@pytest.mark.slow
def test_codes_of_coil20_tell_its_objects_apart(torch, train, data, tmp_path):
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    from icas.clusterimg.networks.model_files import load_autoencoder
    from icas.io.reading import read_image, resize

    folder = data / "coil20"
    usual = TrainSettings()
    report = train(
        folder / "images",
        out=tmp_path / "m.pt",
        size=64,
        dims=usual.dims,
        batch_size=usual.batch_size,
        epochs=10,
    )
    assert report.curve[-1].train < report.curve[0].train / 5
    assert report.best.judged < report.curve[0].judged / 5
    with (folder / "labels.csv").open(newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    images = [resize(read_image(folder / "images" / file), (64, 64)) for file in labels]
    network, _ = load_autoencoder(report.out)
    with torch.no_grad():
        codes = network.embed(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255)
    found = KMeans(len(set(labels.values())), n_init=10, random_state=0).fit_predict(codes.numpy())
    assert adjusted_rand_score(list(labels.values()), found) >= 0.5


def test_the_curve_is_written_as_it_is_reported(train, boxes):
    from icas.io.reading import read_image

    report = train(boxes)
    with (boxes.parent / "boxes_model_loss.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for row, epoch in zip(rows, report.curve, strict=True):
        assert float(row["train"]) == pytest.approx(epoch.train, rel=1e-8)
        assert float(row["validation"]) == pytest.approx(epoch.validation, rel=1e-8)
        assert float(row["learning_rate"]) == pytest.approx(epoch.learning_rate, rel=1e-5)
    picture = read_image(boxes.parent / "boxes_model_loss.png")
    assert (picture != 255).any()


def test_the_loss_of_an_epoch_is_that_of_all_its_images(torch, train, boxes):
    """With steps too small to change anything, the mean over uneven batches is a plain mean."""
    from icas.clusterimg.networks.autoencoder import make_autoencoder
    from icas.io.find import find_images
    from icas.io.reading import read_image

    report = train(boxes, learning_rate=1e-9, epochs=1, validation=0.0, batch_size=7)
    images = np.stack([read_image(path) for path in find_images(boxes)])
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        wanted = ((make_autoencoder(32, 8)(x) - x) ** 2).mean()
    assert report.curve[0].train == pytest.approx(float(wanted), rel=1e-4)
    assert report.curve[0].validation is None


def test_the_weights_kept_are_those_of_the_best_epoch(torch, train, boxes):
    from icas.clusterimg.networks.model_files import load_autoencoder
    from icas.clusterimg.training.loop import split_rows
    from icas.io.find import find_images
    from icas.io.reading import read_image

    report = train(boxes, validation=0.5, epochs=8, learning_rate=0.1)
    rows = split_rows(30, 0.5, 0).validation
    images = np.stack([read_image(path) for path in find_images(boxes)])[rows]
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    network, _ = load_autoencoder(report.out)
    assert float(((network(x) - x) ** 2).mean()) == pytest.approx(report.best.judged, rel=1e-4)
    assert report.best.judged == min(epoch.judged for epoch in report.curve)


def test_the_same_seed_gives_the_same_weights_and_chance_is_left_alone(
    torch, train, boxes, tmp_path
):
    outs = [tmp_path / f"{name}.pt" for name in ("a", "b", "c")]
    for out, seed in zip(outs, (7, 7, 8), strict=True):
        before = torch.get_rng_state()
        train(boxes, out=out, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
    assert_same_weights(torch, outs[0], outs[1])
    with pytest.raises(AssertionError):
        assert_same_weights(torch, outs[0], outs[2])


def test_pixels_on_disk_give_the_same_weights(torch, train, boxes, tmp_path, monkeypatch):
    from icas.clusterimg.training import train as training

    train(boxes, out=tmp_path / "a.pt")
    on_disk = training.opened_pixels

    def with_little_memory(*arguments, **options):
        return on_disk(*arguments, **options, budget=100)

    monkeypatch.setattr(training, "opened_pixels", with_little_memory)
    train(boxes, out=tmp_path / "b.pt")
    assert_same_weights(torch, tmp_path / "a.pt", tmp_path / "b.pt")
    assert not [name for name in left_behind(tmp_path) if name.startswith((".", "tmp"))]


def test_perceptual_losses_train(train, boxes, data):
    weights = data / "weights" / SQUEEZENET
    report = train(
        boxes,
        loss="perceptual",
        loss_model="squeezenet1_0",
        loss_weights=weights,
        epochs=8,
        batch_size=4,
    )
    assert 0 < report.curve[-1].train < report.curve[0].train * 0.9
    assert report.best.judged < report.curve[0].judged


def test_a_vgg19_of_random_weights_serves_when_asked_for_by_name(train, boxes):
    report = train(boxes, loss="perceptual", loss_weights="random", epochs=2)
    assert 0 < report.curve[-1].judged < report.curve[0].judged


def test_a_loss_without_end_in_the_first_epoch_writes_nothing(torch, train, boxes, tmp_path, data):
    held = torch.load(data / "weights" / SQUEEZENET, weights_only=True)
    torch.save({name: value.float() * 1e30 for name, value in held.items()}, tmp_path / "w.pth")
    with pytest.raises(icas.IcasError, match="in epoch 1, nothing was written"):
        train(
            boxes,
            out=tmp_path / "m.pt",
            loss="perceptual",
            loss_model="squeezenet1_0",
            loss_weights=tmp_path / "w.pth",
        )
    assert left_behind(tmp_path) == ["boxes", "w.pth"]


def test_too_little_to_learn_from_is_told(train, make_pictures, tmp_path):
    empty, one, same = (tmp_path / name for name in ("empty", "one", "same"))
    empty.mkdir()
    with pytest.raises(icas.IcasError, match="no images in"):
        train(empty)
    with pytest.raises(icas.IcasError, match="one image in"):
        train(make_pictures(one, 1))
    same.mkdir()
    for number in range(4):
        write_image(same / f"{number}.png", np.full((20 + number, 20, 3), 90, np.uint8))
    with pytest.raises(icas.IcasError, match=r"all 4 images in .* are identical at 32x32"):
        train(same)
    (empty / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(icas.IcasError, match="could be read"):
        train(empty)


def test_two_images_are_enough(train, make_pictures, tmp_path):
    assert train(make_pictures(tmp_path / "two", 2)).curve[0].validation is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 48}, "power of two"),
        ({"size": 16}, "power of two"),
        ({"loss": "ssim"}, "choose from mse, mae, perceptual"),
        ({"device": "gpu"}, "choose from auto, cpu"),
        ({"out": "m.onnx"}, "choose a suffix"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
        ({"loss_weights": "random"}, "require loss perceptual"),
        ({"loss_layers": ","}, "a comma-separated list of layers"),
        ({"speed": 3}, "unknown keyword speed"),
        ({"out": "no/such/folder/m.pt"}, "no folder"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(train, boxes, options, words):
    with pytest.raises(icas.UsageError, match=words) as told:
        train(boxes, **options)
    assert "\n" not in str(told.value)


def test_a_result_inside_the_source_is_refused(train, boxes):
    with pytest.raises(icas.UsageError, match="is in the source folder"):
        train(boxes, out=boxes / "m.pt")


def test_a_training_ends_early_and_no_sooner(torch):
    def curve(*losses):
        return [Epoch(number, 1.0, loss, 0.1, 1.0) for number, loss in enumerate(losses, 1)]

    assert not is_over(curve(), 5, 2)
    assert not is_over(curve(3, 2, 2.5), 5, 2)
    assert is_over(curve(3, 2, 2.5, 2.0), 5, 2)
    assert is_over(curve(3, 2, 1, 0.5, 0.4), 5, 2)
    assert best_of(curve(3, 2, 2.5, 2.0)).epoch == 2


def test_the_step_size_rises_and_falls_within_its_limits(torch):
    rates = [learning_rate_at(step, 50, 10, 0.2) for step in range(50)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert max(rates) == 0.2
    assert min(rates) > 0
