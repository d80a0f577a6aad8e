"""Reads a model as a graph of calls and tensors, and finds receptive fields."""

from dlkeras.model_graph.calls import Call as Call
from dlkeras.model_graph.calls import Scope as Scope
from dlkeras.model_graph.graph import Graph as Graph
from dlkeras.model_graph.graph import opened as opened
from dlkeras.model_graph.graph import read as read
from dlkeras.model_graph.receptive_fields import Box as Box
from dlkeras.model_graph.receptive_fields import ReceptiveFields as ReceptiveFields
