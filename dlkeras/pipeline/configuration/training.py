"""The configuration of the search, the transfer and the training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dlkeras.pipeline.configuration.data import ComponentConfig
from dlkeras.pipeline.configuration.key_fields import InKeyOf, NotInKey, T

# The search as a whole depends on it, and no trial by itself.
OfTheSearch = Annotated[T, InKeyOf("Hyperparameters")]
# The training depends on it, and no trial of the search.
OfTheTraining = Annotated[T, InKeyOf("Model", "CrossValidation")]


# In the names of what is better the smaller it is.
SMALLER = (
    "loss", "error", "entropy", "divergence", "hinge", "poisson", "cosh", "false_",
)  # fmt: skip


class TunerConfig(ComponentConfig):
    """The search for hyperparameters: how, over what, and by how many processes."""

    enabled: bool = True
    """search for hyperparameters before training (--no-tuner skips it)"""
    algorithm: OfTheSearch[Literal["random", "bayesian", "hyperband"]] = "random"
    """how the next trial is chosen"""
    space: OfTheSearch[dict[str, str]] = Field(
        default={"learning_rate": "on", "augmentation_strength": "on"}
    )
    """what is varied, as NAME=on, NAME=off, NAME=LOW:HIGH or NAME=VALUE,VALUE; NAME is
    a field of the trainer, such as dropout, activation or optimizer"""
    max_trials: OfTheSearch[int] = Field(default=3, ge=1)
    """number of trials (hyperband: at most so many)"""
    epochs: int = Field(default=2, ge=1)
    """most epochs of each trial"""
    patience: int | None = Field(default=None, ge=1)
    """end a trial after so many epochs without a lower validation loss"""
    factor: OfTheSearch[int] = Field(default=3, ge=2)
    """hyperband: one trial in so many enters the next round"""
    workers: NotInKey[int] = Field(default=0, ge=0)
    """number of processes that run trials at the same time; 0 is this one alone"""
    deadline: NotInKey[float] = Field(default=3600.0, gt=0)
    """seconds within which some worker must end an epoch or a trial"""
    min_learning_rate: float = Field(default=5e-4, gt=0)
    """lower end of the learning rates tried (sampled in the logarithm)"""
    max_learning_rate: float = Field(default=4e-3, gt=0)
    """upper end of the learning rates tried"""
    min_augmentation_strength: float = Field(default=0.6, ge=0, le=2)
    """lower end of the factor on the changes of the augmentation"""
    max_augmentation_strength: float = Field(default=1.2, ge=0, le=2)
    """upper end of the factor on the changes of the augmentation"""

    @model_validator(mode="after")
    def _order_the_ranges(self) -> "TunerConfig":
        for name in ("learning_rate", "augmentation_strength"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ValueError(
                    f"min_{name} must be at most max_{name}. Received: {low} > {high}"
                )
        return self


class TransferConfig(ComponentConfig):
    """Which trained network you start from, and which of its layers learn."""

    source: NotInKey[str | None] = None  # its content is
    """start from lenet5:mnist (an architecture and its weights, by name or file),
    a .keras file, models:/name@alias, or keras.applications:MobileNetV2"""
    freeze_until: str | None = None
    """freeze up to this stage or layer, share (0.5) or number (12) of layers"""
    train_batch_normalization: bool = False
    """let the statistics and scales of batch normalisations learn, too"""
    learning_rate_decay: float = Field(default=0.5, gt=0, le=1)
    """factor of the learning rate from one stage to the one before"""
    distance_penalty: float = Field(default=0.0, ge=0)
    """L2-SP: strength of the pull towards the source's weights"""


class TrainerConfig(ComponentConfig):
    """The network and how it is trained."""

    architecture: str = "lenet5"
    """name of an architecture of dlkeras.architectures"""
    network: str | None = Field(default=None, pattern=r"^[^\s:/]+:[^\s:/]+$")
    """MODULE:FUNCTION that builds a network of your own, in place of architecture; from
    a script: main(CONFIG, network=function)"""
    network_args: dict[str, Any] = Field(default={})
    """arguments of the function that builds the network, as NAME=VALUE; each of them is
    a flag by itself, too"""
    epochs: int = Field(default=40, ge=1)
    """most epochs to train"""
    batch_size: int = Field(default=32, ge=1)
    """images in a training step"""
    learning_rate: float = Field(default=2e-3, gt=0)
    """initial learning rate of Adam, where no tuner chooses one"""
    learning_rate_schedule: Literal["cosine", "one_cycle", "constant", "plateau"] = (
        "cosine"
    )
    """how the learning rate changes after that: cosine falls to 0 at the last epoch,
    one_cycle rises to it before, in the first 0.3 of the steps, plateau falls when the
    validation loss no longer does"""
    warmup_epochs: float = Field(default=0.0, ge=0)
    """cosine: epochs in which the learning rate rises from 0 at first"""
    plateau_factor: float = Field(default=0.3, gt=0, lt=1)
    """factor on the learning rate where the schedule is plateau"""
    plateau_patience: int = Field(default=3, ge=1)
    """epochs without a lower validation loss before that"""
    optimizer: str = "adam"
    """what follows the gradients, by Keras's name (sgd with Nesterov momentum 0.9), or
    MODULE:NAME of your own"""
    weight_decay: float | None = Field(default=None, ge=0)
    """Keras's decoupled weight decay (default: the optimizer's own)"""
    clipnorm: float | None = Field(default=None, gt=0)
    """largest norm of the gradient of a weight; a greater one is made as small"""
    gradient_accumulation_steps: int | None = Field(default=None, ge=2)
    """training steps whose mean gradient makes one update"""
    ema_momentum: float | None = Field(default=None, gt=0, lt=1)
    """Keras's use_ema: validate and keep an exponential average of the weights, which
    holds on to so much of itself at every step, such as 0.99 (default: no average)"""
    loss: str | None = None
    """what training makes small, by Keras's name or MODULE:NAME of your own; focal is
    Keras's categorical_focal_crossentropy (default: cross-entropy)"""
    metrics: tuple[str, ...] = ()
    """what is measured beside the accuracy, by Keras's names or MODULE:NAME"""
    objective: str = "val_loss"
    """the metric by which training stops, keeps an epoch and a search chooses; with
    val_macro_f1 or val_balanced_accuracy that is measured, too"""
    mode: Literal["auto", "min", "max"] = "auto"
    """whether a smaller or a greater objective is better; auto: smaller of a loss, an
    error, an entropy, a divergence"""
    callbacks: OfTheTraining[tuple[str, ...]] = ()
    """callbacks of your own that the training has, as MODULE:NAME"""
    augmentation: str | None = None
    """MODULE:FUNCTION of your own that changes a training image: it takes the image,
    (height, width, channels) as the network gets it, and a seed of two integers"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of each label that goes to all classes alike"""
    class_weight: Literal["none", "balanced"] = "none"
    """balanced: an example weighs the more, the fewer its class has"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """share of units dropped before the output (default: the architecture's own)"""
    width_multiplier: float | None = Field(default=None, gt=0)
    """factor on the numbers of maps and units (default: the architecture's own)"""
    activation: str | None = None
    """Keras's name of the activation (default: the architecture's own)"""
    kernel_initializer: str | None = None
    """Keras's name of the initialiser (default: the architecture's own)"""
    frozen_layers: int = Field(default=0, ge=0)
    """number of layers with weights, from the images on, that are not trained"""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] | None = None
    """number format of the computation (default: KERAS_FLOATX, else float32)"""
    augmentation_strength: float = Field(default=1.0, ge=0, le=2)
    """factor on the changes of the augmentation, where no tuner chooses one"""
    early_stopping_patience: OfTheTraining[int] = Field(default=12, ge=1)
    """stop after this many epochs without a lower validation loss"""
    folds: Annotated[int, InKeyOf("CrossValidation")] = Field(default=1, ge=1)
    """k of the k-fold cross-validation of the training split, beside the training: mean
    and interval of k trainings, each measured on what it was not shown (1: none)"""
    keep_best: OfTheTraining[int] = Field(default=1, ge=1)
    """number of epochs whose networks the artifact holds, under best/ where there are
    several; judged and pushed is the best"""
    keep_checkpoints: NotInKey[int] = Field(default=2, ge=2)
    """number of checkpoints (one is written every epoch) kept while training"""
    save_freq: NotInKey[int | None] = Field(default=None, ge=1)
    """write a checkpoint every so many steps within an epoch, too"""
    distribution: OfTheTraining[
        Literal["none", "mirrored", "multi_worker", "data_parallel"]
    ] = "none"
    """the devices that share every batch: none is one of them, mirrored all of this
    machine, multi_worker those of the machines that TF_CONFIG names, data_parallel the
    same on the JAX backend"""
    sharding: OfTheTraining[Literal["example", "file"]] = "example"
    """what several machines share: by example each reads all shard files and takes its
    part of the batches of one machine, by file it opens its own shard files alone"""
    memory_growth: NotInKey[bool] = False
    """take a GPU's memory as it is needed, not all of it at once: others may use it"""
    monitor: OfTheTraining[bool] = True
    """measure gradients and activations, and say what is wrong with a training"""
    gradient_frequency: OfTheTraining[int] = Field(default=10, ge=1)
    """training steps between two measurements of the gradients"""
    activation_frequency: OfTheTraining[int] = Field(default=1, ge=1)
    """epochs between two measurements of the activations"""
    on_finding: OfTheTraining[Literal["warn", "stop"]] = "warn"
    """what a finding of severity error does: it is told, or it ends the run"""
    transfer: TransferConfig = TransferConfig()
    """where the first weights come from, and what of the network learns"""

    @model_validator(mode="before")
    @classmethod
    def _call_it_by_its_function(cls, values: Any) -> Any:
        """Your own network is called what its function is."""
        if not isinstance(values, Mapping):
            return values
        # What comes through here is no longer JSON, where a list may be a tuple.
        values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        if isinstance(values.get("network"), str):
            values["architecture"] = values["network"].rpartition(":")[2]
        return values

    @property
    def direction(self) -> Literal["min", "max"]:
        """Which objective is better."""
        if self.mode != "auto":
            return self.mode
        name = self.objective.lower()
        return "min" if any(word in name for word in SMALLER) else "max"

    @model_validator(mode="after")
    def _folds_of_one_machine(self) -> "TrainerConfig":
        if self.folds > 1 and self.distribution in ("multi_worker", "data_parallel"):
            raise ValueError(
                "folds are trained by one machine: expected distribution none or "
                f"mirrored. Received: {self.distribution}"
            )
        return self

    @model_validator(mode="after")
    def _warm_up_before_a_cosine(self) -> "TrainerConfig":
        if self.warmup_epochs and self.learning_rate_schedule != "cosine":
            raise ValueError(
                "warmup_epochs needs learning_rate_schedule=cosine; one_cycle rises by "
                f"itself. Received: {self.learning_rate_schedule}"
            )
        return self
