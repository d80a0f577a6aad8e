"""Training on several devices and machines, by the engines that exist, through `fit`.

- `mirrored`: all devices of this machine (`tf.distribute.MirroredStrategy`);
- `multi_worker`: all devices of the machines that `TF_CONFIG` names
  (`tf.distribute.MultiWorkerMirroredStrategy`);
- `data_parallel`: the same on the JAX backend (`keras.distribution.DataParallel`), in a
  process of its own for each machine (`jax_training.py`).

This is the only file of the package that speaks to these engines.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dlkeras.pipeline.machines.cluster import Cluster as Cluster
from dlkeras.pipeline.machines.cluster import Kind as Kind
from dlkeras.pipeline.machines.cluster import cluster as cluster
from dlkeras.pipeline.machines.cluster import cluster_of as cluster_of
from dlkeras.pipeline.machines.meeting import listening, meet
from dlkeras.pipeline.machines.multi_worker_fit import patch_keras_20585
from dlkeras.pipeline.machines.worker_watch import native_wait, watch
from dlkeras.pipeline.store.errors import InputError, WorkerLostError, reason
from dlkeras.private_names import private

T = TypeVar("T")
# Within so many seconds the survivors of a process that has died must know.
HEARTBEAT_SECONDS = 15
# Machines that have met start their engines within so many seconds.
ENGINE_SECONDS = 120.0

_presence = contextlib.ExitStack()
_engines: dict[Kind, Any] = {}


def open_chief_port(here: Cluster) -> None:
    """Let the other machines see that the chief is there, until its engine starts.

    Raises:
        InputError: another process listens at the chief's address in `TF_CONFIG`.
    """
    if len(here.workers) > 1 and "multi_worker" not in _engines:
        _presence.enter_context(listening(here.workers[here.index]))


def close_chief_port() -> None:
    """Leave the chief's address to its engine."""
    _presence.close()


@contextlib.contextmanager
def chief_port_closed() -> Iterator[None]:
    """Free the chief's address at the latest when a run ends."""
    try:
        yield
    finally:
        close_chief_port()


def start_together(say: Callable[[str], None], is_left: Callable[[], bool]) -> bool:
    """Start the engine of `multi_worker` when all machines are there.

    Call it before TensorFlow has computed anything.

    Args:
        say: is told whom this machine waits for.
        is_left: whether there is still something to train.

    Returns:
        Whether it was started; False where nothing was left to train meanwhile.
    """
    if "multi_worker" in _engines:  # of an earlier run of this process
        return True
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  # the meeting is short

    machines = cluster()
    met = meet(machines, say, is_left)
    if met and len(machines.workers) > 1:
        say(
            f"all {len(machines.workers)} machines are there; their engine starts "
            f"within {ENGINE_SECONDS:.0f} s, or this process ends"
        )
    if met:
        _engines["multi_worker"] = _multi_worker()
    return met


def strategy(kind: Kind) -> Any:
    """The engine of TensorFlow under whose `scope()` a model is built.

    Args:
        kind: "none", "mirrored" or "multi_worker"; the last must be asked for before
            TensorFlow has computed anything.

    Returns:
        A `tf.distribute.Strategy`, the same every time.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    if kind == "multi_worker" and kind not in _engines:
        start_together(lambda line: None, lambda: True)
    if kind == "mirrored" and kind not in _engines:
        _engines[kind] = tf.distribute.MirroredStrategy()
    return _engines.get(kind) or tf.distribute.get_strategy()


def _multi_worker() -> Any:
    from dlkeras.pipeline.tensorflow_import import tf

    patch_keras_20585()
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=60.0)
    with (
        _told("multi_worker"),
        native_wait(ENGINE_SECONDS),  # for all of them
    ):
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def scope(kind: Kind) -> contextlib.AbstractContextManager[Any]:
    """Where a model of this kind is built and trained."""
    own = kind in ("none", "data_parallel")
    return contextlib.nullcontext() if own else strategy(kind).scope()


def local_devices(kind: Kind) -> int:
    """Number of devices of this process that share a batch."""
    if kind == "none":
        return 1
    if kind == "data_parallel":
        import jax

        return jax.local_device_count()
    return strategy(kind).num_replicas_in_sync // len(cluster_of(kind).workers)


def check_batches(kind: Kind, examples: int, batch_size: int) -> None:
    """Refuse batches that the devices cannot share.

    Args:
        kind: how the devices are to work together.
        examples: number of examples of an epoch.
        batch_size: number of examples of a step, of all devices.

    Raises:
        InputError: a step would leave a device without an example.

    Example:
    >>> check_batches("none", 1257, 32)
    """
    if kind == "none":
        return
    devices = local_devices(kind) * len(cluster_of(kind).workers)
    last = examples % batch_size
    # JAX cuts every batch into equal parts, TensorFlow also the last one into unequal.
    unequal = last % devices if kind == "data_parallel" else 0 < last < devices
    if batch_size % devices or unequal:
        raise InputError(
            "--trainer.batch-size: expected batches that the devices can share, the "
            f"last of an epoch, too; received {batch_size} and, at the end of "
            f"{examples} examples, {last}, for {devices} devices"
        )


def distributed(kind: Kind, batches: Any) -> Any:
    """Hand each device of this machine its part of every batch of this machine.

    Args:
        kind: how the devices work together.
        batches: a `tf.data.Dataset` of this machine's part of every batch.

    Returns:
        What `fit` takes.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    if kind != "multi_worker":
        return batches
    engine = strategy(kind)
    local = engine.num_replicas_in_sync // len(cluster().workers)

    def parts(*batch: Any) -> Any:
        return tf.data.Dataset.range(local).map(
            lambda part: tuple(values[part::local] for values in batch)
        )

    # Made by a function, it is not cut once more by the number of devices.
    return engine.distribute_datasets_from_function(
        lambda context: batches if local == 1 else batches.flat_map(parts)
    )


def validation(kind: Kind, batches: Any, steps: int) -> dict[str, Any]:
    """What `fit` takes to validate on: every machine, all of it.

    Args:
        kind: how the devices work together.
        batches: a `tf.data.Dataset`.
        steps: number of its batches; Keras would count those of a machine's device.
    """
    if kind == "data_parallel":
        from dlkeras.pipeline.tensorflow_import import tf

        # Every example once for each device: the means are those of one.
        devices = local_devices(kind)
        everything = batches.map(
            lambda *batch: tuple(tf.repeat(values, devices, axis=0) for values in batch)
        )
        return {"validation_data": everything}
    if kind != "multi_worker":
        return {"validation_data": batches}
    everything = distributed(kind, batches.repeat())
    return {"validation_data": everything, "validation_steps": steps}


@contextlib.contextmanager
def lost_workers(kind: Kind = "multi_worker") -> Iterator[None]:
    """Say in one line that another worker has ended.

    Args:
        kind: where it is not "multi_worker", nothing is done.

    Raises:
        WorkerLostError: a collective operation failed, as it does within seconds of
            another worker's death. End this process by `worker_watch.end_process`.
    """
    with _told(kind), _watched(kind):
        yield


@contextlib.contextmanager
def _told(kind: Kind) -> Iterator[None]:
    """Say in one line what an engine raises where a worker does not answer."""
    from dlkeras.pipeline.tensorflow_import import tf

    lost: tuple[type[Exception], ...] = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    if kind == "data_parallel":
        import jax

        lost = (jax.errors.JaxRuntimeError,)
    try:
        yield
    except lost as error:
        if not _others(kind):
            raise
        raise worker_lost(kind, type(error).__name__) from error


def _others(kind: Kind) -> list[str]:
    """The addresses of the other machines of a training."""
    here = cluster_of(kind)
    return [w for i, w in enumerate(here.workers) if i != here.index]


def _watched(kind: Kind) -> contextlib.AbstractContextManager[None]:
    """Fail TensorFlow's collective operations when another worker's process has ended.

    The engine fails them, too, when it misses heartbeats, some ten seconds later.
    """
    if kind != "multi_worker" or not _others(kind):
        return contextlib.nullcontext()

    def abort(address: str) -> None:
        from dlkeras.pipeline.tensorflow_import import tf

        context = private("tensorflow.python.eager.context.context")
        if context is not None:
            context().abort_collective_ops(
                tf.errors.UNAVAILABLE, f"nothing listens at {address}"
            )

    return watch(_others(kind), abort)


def worker_lost(kind: Kind, reason: str) -> WorkerLostError:
    """What to say where another worker does not answer any more."""
    return WorkerLostError(
        f"expected an answer of the other workers {', '.join(_others(kind))}; one has "
        "ended. Start all of them again: training continues at the last checkpoint "
        f"({reason})"
    )


def data_parallel(address: str, processes: int, index: int) -> Any:
    """Spread every batch over the devices of several processes, on the JAX backend.

    Call it before anything is computed; models built afterwards train in parallel
    through `fit`, each process with its own part of every batch.

    Args:
        address: HOST:PORT of process 0.
        processes: how many there are.
        index: which of them this one is, from 0.

    Returns:
        The `keras.distribution.DataParallel` that is now Keras's.

    Raises:
        InputError: Keras runs on another backend.
    """
    import keras

    if keras.backend.backend() != "jax":
        raise InputError(
            "data_parallel: expected KERAS_BACKEND=jax; received "
            f"{keras.backend.backend()}; on TensorFlow use multi_worker"
        )
    initialize_rng = private("keras.src.backend.jax.distribution_lib.initialize_rng")
    if processes > 1 and initialize_rng is None:
        keras.distribution.initialize(address, processes, index)
    elif processes > 1:
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # What keras.distribution.initialize does, which cannot be told of a deadline.
        jax.distributed.initialize(
            address,
            processes,
            index,
            initialization_timeout=120,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
        initialize_rng()
    found = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(found)
    return found


def join_data_parallel() -> None:
    """Take this process's place among those of `TF_CONFIG`, on the JAX backend.

    Raises:
        InputError: Keras runs on another backend.
        WorkerLostError: the others do not come.
    """
    here = cluster_of("data_parallel")
    try:
        data_parallel(here.workers[0], len(here.workers), here.index)
    except RuntimeError as error:
        raise worker_lost("data_parallel", reason(error)[:200]) from error
    from dlkeras.pipeline.tensorflow_import import tf

    tf.config.set_visible_devices([], "GPU")  # it reads images; the rest is JAX's


def alone(kind: Kind, network: Any) -> Any:
    """A network that this process can use without the others."""
    if kind != "data_parallel":
        return network
    import keras

    keras.distribution.set_distribution(None)
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy
