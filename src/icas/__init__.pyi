"""Public names of icas; `lazy_loader` reads where each is loaded from."""

from ._labels_at import labels_at as labels_at
from ._version import __version__ as __version__
from .clusterimg.api.ask import AskedPair as AskedPair, AskSession as AskSession, ask as ask
from .clusterimg.api.estimator import ImageClusterer as ImageClusterer
from .clusterimg.api.functions import (
    cluster as cluster,
    features as features,
    links as links,
    similarity_matrix as similarity_matrix,
    train as train,
)
from .clusterimg.api.label import LabelReport as LabelReport, label as label
from .clusterimg.api.pick_threshold import pick_threshold as pick_threshold
from .clusterimg.api.review import ReviewServer as ReviewServer, review as review
from .clusterimg.api.shards import cluster_shards as cluster_shards
from .clusterimg.data.featureset import FeatureSet as FeatureSet
from .clusterimg.editing.add import add as add
from .clusterimg.editing.constraints import (
    DecideReport as DecideReport,
    cannot_link as cannot_link,
    decide as decide,
    must_link as must_link,
    reject as reject,
)
from .clusterimg.editing.recut import recut as recut
from .clusterimg.editing.split import split as split
from .clusterimg.evaluation.cost_model import Estimate as Estimate, estimate as estimate
from .clusterimg.evaluation.scores import Evaluation as Evaluation, evaluate as evaluate
from .clusterimg.export.columns import to_parquet as to_parquet
from .clusterimg.export.export import export as export
from .clusterimg.export.report import ExportReport as ExportReport
from .clusterimg.graph.forest import Forest as Forest
from .clusterimg.quality.best import BestReport as BestReport, best as best
from .clusterimg.quality.check import quality as quality
from .clusterimg.quality.leaks import AuditReport as AuditReport, Leak as Leak, audit as audit
from .clusterimg.quality.report import QualityReport as QualityReport
from .clusterimg.results.report import ClusterReport as ClusterReport
from .clusterimg.shards.report import ShardReport as ShardReport
from .clusterimg.training.report import TrainReport as TrainReport
from .clusterimg.transfer.undo import Undone as Undone, undo as undo
from .common.errors import (
    ConflictError as ConflictError,
    IcasError as IcasError,
    MissingExtraError as MissingExtraError,
    UnreadableImageError as UnreadableImageError,
    UsageError as UsageError,
)
from .io.find import find_images as find_images
from .io.reading import read_image as read_image
from .notebook.show import show as show
from .segmentimg.datasets.export import (
    InstanceExport as InstanceExport,
    export_instances as export_instances,
)
from .segmentimg.datasets.importing import (
    InstanceImport as InstanceImport,
    import_instances as import_instances,
)
from .segmentimg.document.document import PaintDocument as PaintDocument
from .segmentimg.grabcut.api import grabcut as grabcut
from .segmentimg.labels.merge_tree import MergeTree as MergeTree, merge_tree as merge_tree
from .segmentimg.propagation_run.api import (
    Propagation as Propagation,
    propagate as propagate,
)
from .segmentimg.segmenters.kmeans import (
    KMeansColors as KMeansColors,
    kmeans_colors as kmeans_colors,
)
from .segmentimg.segmenters.segment import segment as segment
from .segmentimg.serving.paint import PaintServer as PaintServer, paint as paint
from .segmentimg.templates.paint import (
    TemplatePaint as TemplatePaint,
    paint_templates as paint_templates,
)
from .segmentimg.templates.templates import Template as Template, make_template as make_template
