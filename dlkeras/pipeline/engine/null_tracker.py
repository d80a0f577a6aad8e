"""A tracker that tells nobody, for a run whose chief or whose next start tracks it."""

from typing import Any


class NullTracker:
    """The methods of a tracker that a run calls; none of them does anything."""

    search = ""

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        """Tell nobody."""

    log_dataset = log_epoch = log_figures = log_images = log_metrics = _nothing
    log_file = log_json = log_parameters = log_table = _nothing
    set_note = set_tags = _nothing
    trial_started = trial_epoch = trial_ended = end_open_trials = _nothing
    register = _nothing
