"""Sources of examples: TFDS data sets, folders, manifests and NumPy archives."""

from dlkeras.pipeline.examples.sources.opening import fingerprint as fingerprint
from dlkeras.pipeline.examples.sources.opening import open_source as open_source
from dlkeras.pipeline.examples.sources.source import Problem as Problem
from dlkeras.pipeline.examples.sources.source import Source as Source
from dlkeras.pipeline.examples.sources.source import SourceExample as SourceExample
