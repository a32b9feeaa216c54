"""Record what both commands and `import icas` do on fixed inputs, and compare two records.

``python benchmarks/behaviour.py record FILE.json`` before a refactoring, afterwards
``python benchmarks/behaviour.py compare FILE.json [OTHER.json]``, with the data sets in ICAS_DATA
(default ../shared/data beside the checkout). A record holds, for each step of each scenario, the
exit code and digests of the printed text, of every written file and of the folder tree; what varies
(PATTERNS, UNSTABLE) is left out. Commands run as ``python -m icas.clusterimg`` in the environment
of this process: PYTHONPATH selects the code. ``--keep DIR`` keeps the folders and the printed text.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import icas

Values = dict[str, Any]
TOP = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data").resolve()
NETWORK = DATA / "weights" / "mobilenet_v2_dequantized_fp16.pth"
SAM = DATA / "weights" / "mobile_sam_fp16.pt"
THRESHOLDS = {"ssim": 0.5, "minhash": 0.4, "imagehash": 0.7, "orb": 0.12, "tm": 0.93, "deep": 0.3}
DEEP = {"flags": f" --model mobilenet_v2 --weights {NETWORK}", "needs": " needs=torch"}
DEEP |= {"n": "30", "options": f', model="mobilenet_v2", weights="{NETWORK}"'}

TEXTS = ("/stdout", "/stderr", "/report.html", "/run.json#threshold_reason")
UNSTABLE = {"preview.png", "own_loss.csv", "own.pt", "unstable"}
"""Names of files that hold seconds, and the folder of --method edge: cv2.magnitude rounds by how
arrays are aligned in memory. (Superpixels of the algorithm lsc vary with threads.)"""

IN_TREE_ONLY = {"photos", "archive", "truth", "mixed", "result", "batches", "a", "b", "c", "d"}
INPUT_TIME, WRITTEN_NS = 1_600_000_000, 1_700_000_000 * 10**9
THREADS = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
PATTERNS = {
    r"\d+\.\d+ s\b": "# s",
    r"(milliseconds +)[\d.]+": r"\1#",
    r"edge: \d+ segments": "edge: # segments",  # see UNSTABLE
    r"\d+ segments(.*unstable)": r"# segments\1",
    r"<dd>[\d,]+ MB</dd>": "<dd># MB</dd>",
    r"icas \d+\.\d+\.\w+": "icas #",
    r"\b20\d\d-\d\d-\d\d(T[\d:+.]+)?": "<date>",
    r'"(icas|seconds|milliseconds|peak_memory_mb)": ([\d.]+|"[^"]*"|\{[^}]*\})': r'"\1": "#"',
    r'"(cached|computed)": \d+': r'"\1": "#"',
    r"(?m)^.*numba.*\n?": "",  # "compiling", where numba has nothing in its cache yet
}

# A scenario: [NAME] SET:COUNT[@START][>FOLDER]... [needs=MODULE], then a step a line. "py" steps
# are Python, in one process; the value of an expression is recorded. In "for A|B: STEP" the step
# runs with A, then with B in place of each %.
SCENARIOS = """
[demo]
clusterimg demo --dst demo
[merge] video-frames:60
for --keep-batches|--merge exact: clusterimg photos --method ssim --threshold 0.5 --batch-size 15 \
--dst "to %" %
clusterimg photos --method minhash --batch-size 7 --keep-batches --dst small -v
[linkage] copies:90
for single|complete|average: clusterimg photos --method ssim --threshold 0.4 --linkage % --dst %
for complete|average --merge exact: clusterimg photos --method tm --threshold 0.9 --batch-size 25 \
--dst "tm %" --linkage %
[candidates] video-frames:140
for orb --threshold 0.1|ssim --threshold 0.5|tm --threshold 0.9 --seed 3: clusterimg photos \
--batch-size 75 --candidates 4 --dst "by %" --method %
[reference] video-frames:30 video-frames:40@30>archive
clusterimg photos --method ssim --threshold 0.5 --reference archive --dst known
clusterimg photos --method imagehash --threshold auto --reference archive --dst auto --json
clusterimg undo known
[decisions] video-frames:40
clusterimg photos --method imagehash --threshold 0.7 --cache kept --dst sorted
for must-link 00000.jpg 00001.jpg|cannot-link 00004.jpg 00010.jpg --json|reject cluster_1|\
list --json: clusterimg decide sorted %
for again|parted --batch-size 12 --linkage average|sorted --resume --threshold 0.75: \
clusterimg photos --cache kept --method imagehash --threshold 0.7 --dst %
py file = sorted(Path("again/result/cluster_0").iterdir())[0]
py file.rename(file.parents[1] / "outliers" / file.name).name
for --learn|forget 1|list: clusterimg decide again %
for third|without --no-decisions: clusterimg photos --method imagehash --threshold 0.7 \
--cache kept --dst %
[recut] video-frames:40
clusterimg photos --method imagehash --threshold 0.55 --dst levels
for 0.8 --dry-run|0.8|0.6 --json: clusterimg photos --dst levels --resume --threshold %
for --dry-run -v||--at 0.75 --json: clusterimg split levels cluster_0 %
for 0.55|0.3: clusterimg photos --dst levels --resume --threshold %
clusterimg undo levels --json
[undo] faces-orl:40
clusterimg photos --method imagehash --threshold 0.8 --transfer move --dst moved
for --dry-run -v|: clusterimg undo moved %
clusterimg photos --method imagehash --threshold 0.8 --transfer hardlink --dst moved
for --overwrite|--resume: clusterimg photos --threshold 0.7 --transfer move --dst moved %
clusterimg undo moved
[stages] video-frames:45
clusterimg photos --method orb --threshold 0.1 --stage batch --batch-size 15 --dst parts
for merged|exact --merge exact --threshold 0.15 --linkage average: clusterimg parts --stage merge \
--dst %
clusterimg undo parts
[transfer] gtsrb-tracks:40
for none|copy|hardlink|symlink: clusterimg photos --method imagehash --threshold 0.8 \
--transfer % --dst % -v
for --dst dry --dry-run -v|--dst move -q: clusterimg photos --method imagehash --threshold 0.7 \
--transfer move %
[badinputs] badinputs/files:99 badinputs/names:99>photos/names
clusterimg photos --method imagehash --threshold 0.9 --recursive --dst sorted
clusterimg photos --method orb --threshold auto --isolate --max-pixels 1000000 --dst isolated
py icas.find_images("photos"), icas.find_images("photos", recursive=True)
py {file.name: attempt(icas.read_image, file) for file in sorted(Path("photos").iterdir())}
[options] copies:60
for --method imagehash --size 64x48 --hash-size 12|\
--method minhash --permutations 64 --grid 6 --corners 90 --seed 5|\
--method orb --keypoints 80 --match-bits 60 --tolerance 0.2 --sample 30 --jobs 1|\
--method orb --jobs 2|--method orb --jobs 2 --executor processes --no-cache|--no-report --json|\
--method tm --scale 0.3 --memory 200MB --scratch .: clusterimg photos --dst "with %" %
clusterimg cache clear
[evaluation] video-frames:60
for --method orb --out curve.csv|--labels labels.csv --plot curve.png|--method ssim --sample 20 \
--seed 2: clusterimg thresholds photos %
clusterimg photos --method orb
for photos_clustered --json|photos_clustered/clusters.csv: clusterimg evaluate --labels labels.csv %
for 5 --similar 0.5 --json|3 --similar 0.5,0.7,0.9 --sizes 100,900,19000: \
clusterimg estimate --images 20000 --batch-size 2500 --classes %
[deep] copies:40 needs=torch
for kmeans,hierarchy|gaussian,dbscan,hdbscan --batch-size 25: clusterimg photos --dst "with %" \
--method deep --model mobilenet_v2 --weights <network> --clusters 4,9 --cluster-model %
clusterimg train photos --out own.pt --epochs 2 --size 32 --dims 8
for links --threshold 0.9|models: clusterimg photos --method deep --weights own.pt --dst %
[python/results] video-frames:40
py report = icas.cluster("photos", method="imagehash", threshold=0.6, dst="sorted", jobs=1)
py report.files, report.labels, report.certificates, report.comparisons, report.members(0)
py report.summary(), print(report._repr_html_())
py report = icas.recut("sorted", 0.8)
py report.labels, report.certificates, icas.split("sorted", 0, at="weakest").labels
py decided = icas.decide("sorted", "must-link", "00000.jpg", "00001.jpg").decisions
py [(one.kind, one.how) for one in decided], icas.recut("sorted", 0.6).labels, icas.undo("sorted")
py icas.evaluate([0, 0, 1, -1], ["cup", "cup", "sky", "sky"]), icas.estimate(20_000, 5, 2_500, 0.5)
[wrong/clusterimg] copies:20 copies:0>empty
for |nowhere|empty|photos --method nosuch|photos --threshold 1.5|photos --threshold much|\
photos --batch-size 1|photos --no-such-flag|photos --candidates 5|photos --method tm --keypoints 5|\
photos --dst photos|undo photos|estimate --images 5 --classes 9 --batch-size 2 --similar 2|\
photos --threshold 0.7 --dst once|photos --threshold 0.7 --dst once|split once cluster_99|\
photos --threshold 0.1 --dst once --resume|evaluate once --labels nowhere.csv|\
decide once must-link 00000.jpg nosuch.jpg: clusterimg %
[wrong/segmentimg] seg-bsds500/images:1
for |nowhere|photos --method nosuch|photos --box 1,2,3,4|photos --method grabcut|photos --k 0|\
photos --method grabcut --box 9,9,9,9|photos --save nothing|photos --work-size 0|\
photos --palette nowhere.txt|photos --template-threshold 0.1|photos --method sam: \
segmentimg --no-gui %
segmentimg evaluate --images photos --truth nowhere
[wrong/python] copies:20
py black = np.zeros((8, 8, 3), np.uint8)
for cluster("nowhere")|cluster("photos", method="no")|cluster("photos", thresh=1)|segment([])|\
features("photos", method="tm", keypoints=3)|ImageClusterer(threshold=2).fit("photos")|\
segment(black, "no")|grabcut(black)|recut("photos", 0.5)|undo("photos")|read_image("labels.csv")|\
paint_templates(black, [])|evaluate([0], ["a", "b"])|estimate(5, 9, 2, 2)|labels_at(3, 0.5)|no: \
py icas.%
[segment/methods] seg-bsds500/images:2 seg-bsds500/gt_npz:2>truth
for superpixel|slickmeans|chanvese|felzenszwalb|quickshift|graph|kmeans --save segments,centres: \
segmentimg photos --no-gui --out "by %" --method %
segmentimg photos --no-gui --out unstable --method edge
segmentimg photos/104022.jpg --preview preview.png
for superpixel --json|graph --k 60: segmentimg evaluate --images photos --truth truth --method %
[segment/files] badinputs/files:30@32
for --jobs 2|--resume: segmentimg photos --no-gui --method graph --out cut --max-pixels 1000000 %
[segment/grabcut] seg-grabcut/images:2
for one --box 60,40,300,250 --point 150,120,1|two --box 60,40,200,150 --box 210,90,300,280|\
point --point 150,120,1 --point 5,5,0 --rounds 1 --save masks,coco: segmentimg photos --no-gui \
--method grabcut --out %
[segment/templates] tm-coins/images:1
py image = icas.read_image("photos/coins.png"); \
coins = dict(a=image[35:74, 22:67], b=image[39:74, 81:120])
py attention = np.hypot(*np.indices(coins["a"].shape[:2]) - 18)[..., None] < 17
py template = icas.make_template(coins["a"], attention=attention[..., 0])
py template, icas.paint_templates(image, [template, coins["b"]], 0.1)
py icas.paint_templates(image, list(coins.values()), None)
py pictures = {"two/a": coins["a"], "two/b": coins["b"], "one/a": coins["a"], \
"disc/a": attention.repeat(3, 2) * 255, "color/a": attention * [0, 170, 68]}
py for name in pictures: Path(name).parent.mkdir(exist_ok=True); \
Image.fromarray(pictures[name].astype(np.uint8)).save(f"{name}.png")
py Path("classes.txt").write_text("coin,#0000cc\\nother,#00aa44\\n")
segmentimg photos --no-gui --templates two --template-threshold 0.05 --palette classes.txt \
--save masks,labels,coco,labelme,segments,json --out painted
for |--resume: segmentimg photos --no-gui --templates two --portable-names --out best %
segmentimg photos --no-gui --templates one --attentions disc --segments color --masks disc
py formats = {"masks": "_mask_", "labels": "_labels.", "coco": "coco.", "labelme": "_labelme"}
py for name, part in formats.items(): Path(f"from-{name}").mkdir(); \
[shutil.copy(file, f"from-{name}") for file in Path("painted").glob(f"*{part}*")]
for masks|labels|coco|labelme: segmentimg photos --no-gui --templates one --palette classes.txt \
--save % --out from-%
[segment/sam] seg-bsds500/images:1 needs=segment_anything
py import torch; from segment_anything.modeling import *; torch.manual_seed(0)
py encoder = ImageEncoderViT(128, 8, embed_dim=32, depth=2, num_heads=2, out_chans=64, \
use_rel_pos=True, window_size=3, global_attn_indexes=(1,))
py decoder = MaskDecoder(transformer_dim=64, iou_head_depth=2, iou_head_hidden_dim=24, \
transformer=TwoWayTransformer(2, 64, num_heads=8, mlp_dim=48))
py state = Sam(encoder, PromptEncoder(64, (16, 16), (128, 128), 8), decoder).state_dict()
py torch.save({name: one + torch.randn(one.shape) / 9 for name, one in state.items()}, "tiny.pth")
for <sam> --box 60,40,200,150 --point 120,90,1 --out box|<sam> --sam-mode auto --out auto|tiny.pth \
--box 60,40,200,150 --out tiny-box|tiny.pth --pred-iou-thresh -10 --stability-score-thresh -1: \
segmentimg photos --no-gui --points-per-side 4 --cache kept --method sam --sam-checkpoint %
[segment/python] seg-bsds500/images:1
py image = icas.read_image("photos/104022.jpg")
for algorithm="slic"|algorithm="slico"|method="chanvese", init_level_set="disk"|\
method="quickshift", ratio=0.8, seed=3|method="graph", work_size=40_000|method="kmeans", k=20: \
py icas.segment(image, %)
for algorithm="lsc"|method="edge", smoother="nlmeans"|method="edge", keep_edges=True: \
py icas.segment(image, %).shape
py icas.segment(image[..., 0], "graph"), icas.segment(image.astype(np.uint16) * 256, "graph")
py vars(icas.kmeans_colors(image, 5)), icas.kmeans_colors(image, 5).picture
py labels = icas.segment(image, region_size=20); tree = icas.merge_tree(image, labels)
py tree, icas.labels_at(tree, 10), icas.labels_at(tree, 100)
py print(icas.show(image, (image, labels))._repr_html_())
py document = icas.PaintDocument(image, labels, colors=[(0, 0, 204)])
for fill(100, 100, (204, 0, 0))|fill(40, 200, (0, 170, 68))|cut((0, 10), (300, 300))|undo()|redo()|\
brush(200, 200, 9, (204, 0, 0), start=(150, 90))|stamp(labels < 40, (0, 170, 68))|undo()|undo()|\
unfill(40, 200)|fill_segments([5, 6, 7], (0, 170, 68))|class_map()|masks()|colors|labels|state(): \
py document.%
py again = icas.PaintDocument.restored(image, document.state())
for class_map()|undo()|take_over(document.class_map() % 2)|class_map()|reset()|painted: py again.%
py inside, outside = np.zeros((2, *image.shape[:2]), bool); \
inside[120:160, 180:240] = outside[:6] = outside[-6:] = True
for (60, 40, 400, 280)|[(60, 40, 200, 150), (210, 90, 300, 280)]|None, inside, outside|\
(60, 40, 300, 280), inside, rounds=1|None, probable_foreground=inside, background=outside: \
py icas.grabcut(image, %)
"""
METHOD_RUNS = """
[sets/{method}] video-frames:{n}>a copies:{n}>b faces-orl:{n}>c gtsrb-tracks:{n}>d{needs}
for a|b|c|d: clusterimg % --method {method}{flags} --threshold auto --dst %-auto
for a|b|c|d: clusterimg % --method {method}{flags} --threshold {number} --batch-size 20 --dst %-20
for a|d: clusterimg % --method {method}{flags} --batch-size 25 --merge exact --dst %-exact
[python/{method}] video-frames:{n}{needs}
py options = dict(method="{method}"{options}); files = icas.find_images("photos")
py features = icas.features(files, **options); images = [icas.read_image(file) for file in files]
py features.arrays, features.files, features.nbytes, icas.similarity_matrix(features)
py icas.links(features, threshold={number}), icas.similarity_matrix(files[:9], files[9:], **options)
py model = icas.ImageClusterer(threshold={number}, **options).fit(files)
py {{name: value for name, value in vars(model).items() if name.endswith("_")}}
py [icas.labels_at(model.forest_, {number} + more) for more in (0, 0.02, 0.1, 0.2)]
py icas.labels_at(model.forest_, {number} - 0.1)
for batch_size=12|batch_size=12, merge="exact"|linkage="complete"|linkage="average"|scale=0.5: \
py icas.ImageClusterer(threshold={number}, %, **options).fit_predict(images)
py model.set_params(threshold="auto").fit("photos").threshold_, model.labels_
"""


@dataclass(frozen=True)
class Scenario:
    """Steps that run one after the other in a folder of their own."""

    name: str
    inputs: tuple[str, ...]
    needs: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """A scenario as written above; consecutive lines of Python become one step."""
        header, *lines = text.strip().splitlines()
        name, _, words = header.partition("]")
        inputs, _, needs = words.partition("needs=")
        steps: list[str] = []
        for line in lines:
            found = re.fullmatch("for (.*?): (.*)", line)
            variants = found[1].split("|") if found else []
            steps += [found[2].replace("%", one) for one in variants] if found else [line]
        runs = groupby(enumerate(steps), lambda one: -1 if one[1].startswith("py ") else one[0])
        grouped = tuple("\n".join(step for _, step in run) for _, run in runs)
        return cls(name, tuple(inputs.split()), needs.strip(), grouped)


def all_scenarios(only: str) -> list[Scenario]:
    """Those whose name contains `only`."""
    text = SCENARIOS
    for method, number in THRESHOLDS.items():
        more = DEEP if method == "deep" else dict.fromkeys(DEEP, "") | {"n": "60"}
        text += METHOD_RUNS.format(method=method, number=number, **more)
    text = text.replace("<network>", str(NETWORK)).replace("<sam>", str(SAM))
    return [one for one in map(Scenario.parse, text.split("\n[")[1:]) if only in one.name]


def plain(value: Any) -> Any:
    """A value as JSON can hold it; arrays as digests."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {digest(np.ascontiguousarray(value).tobytes())}"
    if is_dataclass(value):
        return plain(vars(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if value is None or isinstance(value, (int, float, str)):
        return value
    return str(value) if isinstance(value, (Path, np.generic)) else type(value).__name__


def short(value: Any) -> str:
    """A value as JSON text where that is short, else a digest of it."""
    text = json.dumps(plain(value), sort_keys=True)
    return text if len(text) <= 48 else digest(text.encode())


def digest(data: bytes) -> str:
    return "#" + hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True)
class Folder:
    """The folder in which a scenario runs."""

    work: Path

    def copy_inputs(self, text: str) -> None:
        """Copy the files that ``SET:COUNT[@START][>FOLDER]`` names, all with fixed times."""
        words, _, folder = text.partition(">")
        name, _, numbers = words.partition(":")
        count, _, start = numbers.partition("@")
        images = DATA / name / "images" if (DATA / name / "images").is_dir() else DATA / name
        files = sorted(file for file in images.iterdir() if file.is_file())
        target = self.work / (folder or "photos")
        target.mkdir()
        for number, file in enumerate(files[int(start or 0) :][: int(count)]):
            shutil.copyfile(file, target / file.name)
            os.utime(target / file.name, (INPUT_TIME + number,) * 2)
        if (DATA / name / "labels.csv").exists():
            shutil.copyfile(DATA / name / "labels.csv", self.work / "labels.csv")
        os.utime(target, (INPUT_TIME, INPUT_TIME))

    def without_paths(self, data: bytes) -> bytes:
        for place in (self.work, self.work.parent, DATA):
            data = data.replace(os.fsencode(place), b"<folder>")
        return data

    def clean(self, data: bytes) -> str:
        """Text without what differs from run to run."""
        text = self.without_paths(data).decode("utf-8", "surrogateescape")
        for pattern, instead in PATTERNS.items():
            text = re.sub(pattern, instead, text)
        return text

    def content(self, path: Path) -> dict[str, str]:
        """Digests of what a written file holds: text, pixels, arrays, or fields of run.json."""
        data = path.read_bytes()
        if path.suffix == ".db" or UNSTABLE & set(path.parts):
            return {"": "not recorded"}
        if path.name == "run.json":
            return {f"#{key}": short(one) for key, one in json.loads(self.clean(data)).items()}
        if path.suffix == ".npz":
            arrays = np.load(path)  # no shapes: one array holds paths
            return {
                f"#{name}": digest(self.without_paths(arrays[name].tobytes())) for name in arrays
            }
        if path.suffix in (".json", ".html"):
            return {"": short(self.clean(data))}
        if path.suffix == ".png":
            return {"": short(np.asarray(Image.open(path)))}
        return {"": digest(self.without_paths(data))}

    def snapshot(self) -> Values:
        """A digest of every written file, and one of the tree: all names, links, times, inputs."""
        entries: Values = {}
        tree = []
        for path in sorted(self.work.rglob("*")):
            place, stat = path.relative_to(self.work), path.lstat()
            kind = "folder" if path.is_dir() else f"file, {stat.st_nlink} names"
            if path.is_symlink():
                kind = f"link to {path.readlink()}"
            elif path.is_file() and IN_TREE_ONLY & set(place.parts[:-1]):
                kind += digest(path.read_bytes())
            elif path.is_file():
                entries |= {f"{place}{key}": one for key, one in self.content(path).items()}
            when = stat.st_mtime_ns if stat.st_mtime_ns < WRITTEN_NS else "new"
            tree.append(f"{place} {kind} {when}")
        found = digest(self.without_paths(os.fsencode("\n".join(tree))))
        return {**entries, "tree": found}

    def run(self, step: str) -> Values:
        """Exit code, printed text and values of a command, or of lines of Python."""
        words = [sys.executable, str(Path(__file__).resolve()), "python", step]
        if not step.startswith("py "):
            program, *given = shlex.split(step)
            words = [sys.executable, "-m", f"icas.{program}", *given]
        top, code = self.work.parent, os.environ.get("PYTHONPATH", "").split(os.pathsep)
        own = {"PYTHONPATH": os.pathsep.join(str(Path(one).resolve()) for one in code if one)}
        own |= {"ICAS_CACHE": f"{top}/cache", "ICAS_DATA": str(DATA), "COLUMNS": "100"}
        env, nothing = {**THREADS, **os.environ, **own}, subprocess.DEVNULL
        done = subprocess.run(words, cwd=self.work, env=env, stdin=nothing, capture_output=True)
        values = top / "values.json"
        found = json.loads(values.read_text()) if values.exists() else {}
        values.unlink(missing_ok=True)
        out, err = self.clean(done.stdout), self.clean(done.stderr)
        with (top / "printed.txt").open("a", errors="surrogateescape") as log:
            log.write(f"$ {step}\n{out}{err}exit {done.returncode}\n\n")
        return {**found, "stdout": short(out), "stderr": short(err), "exit": done.returncode}

    def record(self, scenario: Scenario) -> Values:
        """What each step returns and prints, and the files that it changes."""
        self.work.mkdir(parents=True)
        for text in scenario.inputs:
            self.copy_inputs(text)
        before = self.snapshot()
        entries = {"0/tree": before["tree"]}
        for number, step in enumerate(scenario.steps, start=1):
            found, after = self.run(step), self.snapshot()
            found |= {name: one for name, one in after.items() if before.get(name) != one}
            entries |= {f"{number}/{name}": one for name, one in found.items()}
            before = after
        return entries


def run_python(step: str) -> Values:
    """The value of every expression, or the type of its exception, whose text is printed."""
    names = dict(globals())
    values: Values = {}
    for number, line in enumerate(step.removeprefix("py ").split("\npy ")):
        try:
            value = eval(compile(line, "<step>", "eval"), names)
        except SyntaxError:
            exec(line, names)
            continue
        except Exception as error:
            print(f"{line}: {error}")
            value = type(error).__name__
        named = value.items() if isinstance(value, dict) else [("", value)]
        values |= {f"{number} {line} {key}".strip(): short(one) for key, one in named}
    return values


def attempt(function: Any, *given: Any) -> Any:
    try:
        return function(*given)
    except icas.IcasError as error:
        return type(error).__name__


def record(only: str, keep: Path | None, file: Path | None = None) -> Values:
    """The entries of every scenario, by its name; `file` is written after each of them."""
    print(f"recording {Path(icas.__file__).parent}", flush=True)
    found: Values = {}
    with tempfile.TemporaryDirectory(prefix="icas-behaviour-") as folder:
        for scenario in all_scenarios(only):
            if scenario.needs and importlib.util.find_spec(scenario.needs) is None:
                print(f"skipped: {scenario.name} needs {scenario.needs}")
                continue
            start, before = time.perf_counter(), sum(os.times()[:4])
            work = (keep or Path(folder)).resolve() / scenario.name / "work"
            entries = Folder(work).record(scenario)
            exits = " ".join(str(one) for name, one in entries.items() if name.endswith("/exit"))
            seconds, used = time.perf_counter() - start, sum(os.times()[:4]) - before
            print(f"{seconds:6.1f} s ({used:.1f} of a core)  {scenario.name}: exit {exits}")
            found[scenario.name] = entries
            if file:
                file.write_text(json.dumps(found, indent=1))
    return found


def differences(old: Values, new: Values, results_only: bool) -> list[str]:
    """A line for every entry that differs; a scenario that only one record has is one line."""
    lines = [f"{name}: only in one record" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        for key in sorted(old[name].keys() | new[name].keys()):
            a, b = (one[name].get(key, "nothing") for one in (old, new))
            if a != b and not (results_only and key.endswith(TEXTS)):
                lines.append(f"{name}: {key}: {a} -> {b}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["record", "compare", "python"], nargs="?")
    parser.add_argument("files", nargs="*", help="one record; compare: or two")
    parser.add_argument("--only", default="", metavar="SUBSTR", help="scenarios that contain it")
    parser.add_argument("--list", action="store_true", help="names of the scenarios")
    parser.add_argument("--results-only", action="store_true", help="ignore text and report.html")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder for what is written")
    given = parser.parse_args()
    if given.list:
        print(*(one.name for one in all_scenarios(given.only)), sep="\n")
        return 0
    if not given.files or not DATA.is_dir():
        parser.error(f"an action and a file are needed, and the data sets at {DATA} (ICAS_DATA)")
    if given.action == "python":
        Path("../values.json").write_text(json.dumps(run_python(given.files[0])))
        return 0
    if given.action == "record":
        record(given.only, given.keep, Path(given.files[0]))
        return 0
    old, *later = (json.loads(Path(file).read_text()) for file in given.files)
    new = later[0] if later else record(given.only, given.keep)
    old, new = ({name: one[name] for name in one if given.only in name} for one in (old, new))
    lines = differences(old, new, given.results_only)
    print(*lines, f"{len(lines)} differences in {len(old)} scenarios", sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
