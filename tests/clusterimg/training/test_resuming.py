"""A training that was stopped goes on as if it had not been; nothing is overwritten unasked."""

from __future__ import annotations

import shutil

import pytest

import icas
from icas.cli.console import Console
from icas.clusterimg.training.settings import TrainSettings

pytestmark = pytest.mark.deep
SMALL = {"size": 32, "dims": 8, "epochs": 3, "batch_size": 8}


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


class Stop(BaseException):
    """What a Ctrl+C does to a training, at a moment that a test chooses."""


class StoppingConsole(Console):
    """Ends the run after the line of its first epochs."""

    def detail(self, text):
        if text.startswith("epoch 2"):
            raise Stop


def stopped_after_two(boxes, **options):
    from icas.clusterimg.training.train import train

    with pytest.raises(Stop):
        train(boxes, TrainSettings(**{**SMALL, "epochs": 6, **options}), StoppingConsole())


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(torch, train, boxes, tmp_path):
    out = tmp_path / "stopped.pt"
    whole = train(boxes, out=tmp_path / "whole.pt", epochs=6)
    stopped_after_two(boxes, out=out)
    assert (tmp_path / "stopped_checkpoint.pt").exists()
    assert not out.exists()
    with pytest.raises(icas.IcasError, match="use resume to continue it"):
        train(boxes, out=out, epochs=6)
    resumed = train(boxes, out=out, epochs=6, resume=True)
    assert_same_weights(torch, tmp_path / "whole.pt", out)
    assert [one.train for one in resumed.curve] == [one.train for one in whole.curve]
    assert not (tmp_path / "stopped_checkpoint.pt").exists()


def test_a_training_that_is_done_is_not_done_again(train, boxes, tmp_path):
    first = train(boxes, out=tmp_path / "m.pt")
    before = (tmp_path / "m.pt").read_bytes()
    assert train(boxes, out=tmp_path / "m.pt", resume=True).curve == first.curve
    assert (tmp_path / "m.pt").read_bytes() == before
    with pytest.raises(icas.UsageError, match="epochs was 3, now 4"):
        train(boxes, out=tmp_path / "m.pt", resume=True, epochs=4)


def test_a_resume_with_nothing_there_begins(train, boxes, tmp_path, capsys):
    from icas.clusterimg.training.train import train as run

    settings = TrainSettings(**SMALL, out=tmp_path / "m.pt", resume=True)
    run(boxes, settings, Console(results=True))
    assert "m_checkpoint.pt: training starts from the beginning" in capsys.readouterr().out
    assert (tmp_path / "m.pt").exists()


def test_a_resume_of_another_training_names_what_differs(train, boxes, tmp_path):
    out = tmp_path / "m.pt"
    stopped_after_two(boxes, out=out)
    for changed, words in (
        ({"seed": 1}, "seed was 0, now 1"),
        ({"loss": "mae"}, "loss was mse, now mae"),
        ({"batch_size": 9}, "batch_size was 8, now 9"),
    ):
        with pytest.raises(icas.UsageError, match=words):
            train(boxes, **{"out": out, "epochs": 6, "resume": True, **changed})
    shutil.copy(boxes / "box-000.png", boxes / "new.png")
    with pytest.raises(icas.UsageError, match=r"images differ .30 before, 31 now"):
        train(boxes, out=out, epochs=6, resume=True)
    (tmp_path / "m_checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(icas.UsageError, match=r"cannot read weights from .*m_checkpoint\.pt"):
        train(boxes, out=out, epochs=6, resume=True)
    assert train(boxes, out=out, overwrite=True).images == 31


def test_nothing_is_overwritten_unasked(train, boxes, tmp_path):
    out = tmp_path / "m.pt"
    out.write_bytes(b"precious")
    with pytest.raises(icas.ConflictError, match="use overwrite to replace it"):
        train(boxes, out=out)
    out.unlink()
    (tmp_path / "m_loss.csv").write_bytes(b"precious")
    with pytest.raises(icas.ConflictError, match=r"m_loss\.csv already exists"):
        train(boxes, out=out)
    assert (tmp_path / "m_loss.csv").read_bytes() == b"precious"
    train(boxes, out=out, overwrite=True)
    assert weights_of(out)


def test_numbers_that_are_not_finite_end_the_training_with_the_best_weights(
    torch, train, boxes, tmp_path
):
    out, checkpoint = tmp_path / "m.pt", tmp_path / "m_checkpoint.pt"
    stopped_after_two(boxes, out=out)
    held = torch.load(checkpoint, weights_only=True)
    held["network"] = {name: value * float("nan") for name, value in held["network"].items()}
    torch.save(held, checkpoint)
    with pytest.raises(
        icas.IcasError, match=r"in epoch 3, training stopped .* weights of epoch 2"
    ) as told:
        train(boxes, out=out, epochs=6, resume=True)
    assert told.value.exit_code == 1
    assert all(torch.isfinite(value).all() for value in weights_of(out).values())
    assert not checkpoint.exists()
