"""Why a network does not learn: rules look at model, data, labels and measurements."""

from dlkeras.diagnosis.checks import check_training as check_training
from dlkeras.diagnosis.finding import TrainingFinding as TrainingFinding
from dlkeras.diagnosis.measured import diagnose as diagnose
from dlkeras.diagnosis.report import Diagnosis as Diagnosis
