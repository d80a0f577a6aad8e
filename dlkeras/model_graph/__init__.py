"""What a model is made of: its calls and tensors, and what its pixels see."""

from dlkeras.model_graph.calls import Call as Call
from dlkeras.model_graph.calls import Scope as Scope
from dlkeras.model_graph.graph import Graph as Graph
from dlkeras.model_graph.graph import opened as opened
from dlkeras.model_graph.graph import read as read
from dlkeras.model_graph.receptive_fields import Box as Box
from dlkeras.model_graph.receptive_fields import ReceptiveFields as ReceptiveFields
