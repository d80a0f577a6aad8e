"""Mends `fit` under MultiWorkerMirroredStrategy where Keras breaks it (keras#20585)."""

import inspect
from typing import Any

from dlkeras.private_names import private

_TRAINER = "keras.src.backend.tensorflow.trainer"
# What keras#20585 looks like; once Keras has other code there, nothing is changed.
_BROKEN_BUILD = "self.distribute_strategy.reduce("
_BROKEN_REDUCE = 'strategy.reduce("MEAN", v, axis=0)'


def needs_mending() -> bool:
    """Whether this Keras breaks `fit` under MultiWorkerMirroredStrategy (keras#20585).

    The code itself is looked at: a version number would not know of a back-port.
    """
    trainer = private(_TRAINER)
    if trainer is None:
        return False
    build = inspect.getsource(trainer.TensorFlowTrainer._maybe_symbolic_build)
    reduce = inspect.getsource(trainer.reduce_per_replica)
    return _BROKEN_BUILD in build and _BROKEN_REDUCE in reduce


def patch_keras_20585() -> bool:
    """Let `fit` run under MultiWorkerMirroredStrategy where Keras does not.

    Keras reduces the first batch over the workers only to learn its shape, which fails
    where batches differ in length, and takes the mean of scalar metrics along an axis
    that they do not have.

    Returns:
        Whether anything was changed: False where Keras is mended already.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    if not needs_mending():
        return False
    trainer = private(_TRAINER)
    reduce_before = trainer.reduce_per_replica

    def build_from_local_batch(
        self: Any, iterator: Any = None, data_batch: Any = None
    ) -> None:
        if self._distribute_strategy is None:
            return
        if iterator is not None:
            for _, _, steps in iterator:
                data_batch = tf.nest.map_structure(
                    lambda x: self.distribute_strategy.experimental_local_results(x)[0],
                    next(steps),
                )
                break
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def reduce_scalars_too(values: Any, strategy: Any, reduction: str) -> Any:
        several = getattr(strategy.extended, "_in_multi_worker_mode", lambda: False)()
        if not several or reduction not in ("auto", "mean"):
            return reduce_before(values, strategy, reduction)
        return tf.nest.map_structure(
            lambda value: strategy.reduce("MEAN", value, axis=None), values
        )

    trainer.TensorFlowTrainer._maybe_symbolic_build = build_from_local_batch
    trainer.reduce_per_replica = reduce_scalars_too
    return True
