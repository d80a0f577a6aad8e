"""The lecture's mathematics, runnable: cost surfaces, descents and the delta rule."""

from dlkeras.optimization.adaptive import LMSTheory as LMSTheory
from dlkeras.optimization.adaptive import lms_theory as lms_theory
from dlkeras.optimization.delta_rule import DeltaRule as DeltaRule
from dlkeras.optimization.delta_rule import DeltaRuleHistory as DeltaRuleHistory
from dlkeras.optimization.delta_rule import LocalGradients as LocalGradients
from dlkeras.optimization.delta_rule import error_energy as error_energy
from dlkeras.optimization.delta_rule import local_gradients as local_gradients
from dlkeras.optimization.descent import Descent as Descent
from dlkeras.optimization.descent import conjugate_gradient as conjugate_gradient
from dlkeras.optimization.descent import gauss_newton as gauss_newton
from dlkeras.optimization.descent import newton as newton
from dlkeras.optimization.descent import steepest_descent as steepest_descent
from dlkeras.optimization.least_squares import LeastSquares as LeastSquares
from dlkeras.optimization.least_squares import NeuronSurface as NeuronSurface
from dlkeras.optimization.line_search import armijo_line_search as armijo_line_search
from dlkeras.optimization.line_search import exact_line_search as exact_line_search
from dlkeras.optimization.line_search import wolfe_line_search as wolfe_line_search
from dlkeras.optimization.regime import Regime as Regime
from dlkeras.optimization.regime import best_step_size as best_step_size
from dlkeras.optimization.regime import convergence_rate as convergence_rate
from dlkeras.optimization.regime import damping_factors as damping_factors
from dlkeras.optimization.regime import regimes as regimes
from dlkeras.optimization.regime import time_constants as time_constants
from dlkeras.optimization.surface import QuadraticSurface as QuadraticSurface
from dlkeras.optimization.surface import Surface as Surface
