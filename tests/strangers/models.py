"""Models that a stranger would bring: small, built in every way that Keras has."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

MODELS: dict[str, Callable[[], Any]] = {}


def stranger(build: Callable[[], Any]) -> Callable[[], Any]:
    """Enter a builder into `MODELS`; every model is drawn from the same seed."""

    def seeded() -> Any:
        keras.utils.set_random_seed(0)
        return build()

    MODELS[build.__name__] = seeded
    return seeded


# --- Sequential ---------------------------------------------------------------------


@stranger
def sequential():
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(6, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax", name="classes"),
        ],
        name="sequential_network",
    )


@stranger
def sequential_built_by_data():
    model = keras.Sequential(
        [
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    model(ops.ones((1, 16, 16, 1)))
    return model


@stranger
def sequential_of_sequentials():
    features = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, padding="same", name="a"),
            layers.MaxPooling2D(2, name="halve"),
            layers.Conv2D(8, 3, padding="same", name="b"),
        ],
        name="features",
    )
    head = keras.Sequential(
        [keras.Input((8, 8, 8)), layers.Flatten(), layers.Dense(4, name="out")],
        name="head",
    )
    return keras.Sequential([keras.Input((16, 16, 3)), features, head])


# --- Transfer models ----------------------------------------------------------------


def _base():
    """The first blocks of MobileNetV2; all of them take seconds in each test."""
    whole = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None
    )
    maps = whole.get_layer("block_3_project_BN").output
    return keras.Model(whole.inputs[0], maps, name="base")


@stranger
def transfer_guide():
    """As in Keras's guide "Transfer learning & fine-tuning"."""
    base = _base()
    base.trainable = False
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for layer in (layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)):
        x = layer(x)
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(1, name="head")(x), name="guide")


@stranger
def transfer_sequential():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.RandomFlip(),
            layers.Rescaling(1 / 255),
            _base(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


@stranger
def two_levels_deep():
    images = keras.Input((12, 12, 1))
    x = layers.Conv2D(2, 3, name="deep")(images)
    inner = keras.Model(images, layers.Conv2D(2, 3, name="deeper")(x), name="inner")
    images = keras.Input((12, 12, 1))
    x = layers.ReLU()(inner(images))
    middle = keras.Model(images, layers.Conv2D(3, 3, name="mid")(x), name="middle")
    images = keras.Input((12, 12, 1))
    x = layers.GlobalMaxPooling2D()(middle(images))
    return keras.Model(images, layers.Dense(2, name="last")(x))


# --- Graphs -------------------------------------------------------------------------


@stranger
def plain_operations():
    images = keras.Input((10, 10, 2))
    h = layers.Conv2D(2, 3, padding="same", name="conv")(images)
    h = ops.relu(h) + images
    h = layers.Conv2D(2, 3, padding="same", name="again")(h)
    return keras.Model(images, layers.Dense(3)(ops.mean(h, axis=(1, 2))))


@stranger
def shared_layer():
    images = keras.Input((12, 12, 2))
    conv = layers.Conv2D(2, 3, name="shared")
    x = conv(layers.ReLU(name="between")(conv(images)))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2, name="head")(x))


@stranger
def siamese():
    branch = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu", name="eye"),
            layers.Flatten(),
            layers.Dense(4, name="embedding"),
        ],
        name="branch",
    )
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1))
    apart = ops.abs(branch(left) - branch(right))
    return keras.Model([left, right], layers.Dense(1, "sigmoid", name="same")(apart))


@stranger
def two_inputs_two_outputs():
    images = keras.Input((8, 8, 3), name="image")
    facts = keras.Input((4,), name="facts")
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(images)
    x = layers.concatenate([layers.GlobalAveragePooling2D()(x), facts])
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    return keras.Model({"image": images, "facts": facts}, outputs)


@stranger
def unet():
    images = keras.Input((16, 16, 1))
    down = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(images)
    x = layers.MaxPooling2D(2)(down)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="bottom")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    x = layers.Concatenate()([down, x])
    return keras.Model(images, layers.Conv2D(1, 1, name="mask")(x))


@stranger
def upsampling():
    images = keras.Input((8, 8, 1))
    x = layers.UpSampling2D(2, name="twice")(images)
    return keras.Model(images, layers.Conv2D(1, 3, padding="same", name="smooth")(x))


@stranger
def squeeze_and_excitation():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(images)
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Dense(2, activation="relu", name="squeeze")(s)
    s = layers.Dense(4, activation="sigmoid", name="excite")(s)
    x = layers.Multiply(name="scaled")([x, s])
    return keras.Model(images, layers.Dense(2)(layers.Flatten()(x)))


@stranger
def dilated():
    images = keras.Input((16, 16, 1))
    x = layers.Conv2D(2, 3, dilation_rate=2, padding="same", name="dilated")(images)
    return keras.Model(images, layers.Conv2D(1, 3, padding="same", name="next")(x))


@stranger
def spatial_normalization():
    images = keras.Input((8, 8, 2))
    x = layers.Conv2D(2, 3, padding="same", name="conv")(images)
    x = layers.GroupNormalization(1, name="over_space")(x)
    return keras.Model(images, layers.Conv2D(1, 1, name="after")(x))


@stranger
def unknown_size():
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(images)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2)(x))


@stranger
def separable():
    images = keras.Input((12, 12, 4))
    x = layers.SeparableConv2D(6, 3, name="separable")(images)
    x = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x)
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(x)
    return keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x)))


# --- Subclassed ---------------------------------------------------------------------


@keras.saving.register_keras_serializable("strangers")
class HalvingBlock(layers.Layer):
    """Two 3x3 convolutions and a shortcut; the first halves the image."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.one = layers.Conv2D(filters, 3, strides=2, padding="same")
        self.two = layers.Conv2D(filters, 3, padding="same")
        self.side = layers.Conv2D(filters, 1, strides=2)

    def build(self, input_shape):
        self.one.build(input_shape)
        self.side.build(input_shape)
        self.two.build(self.one.compute_output_shape(input_shape))

    def call(self, inputs):
        return ops.relu(self.two(ops.relu(self.one(inputs))) + self.side(inputs))

    def compute_output_shape(self, input_shape):
        return self.one.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@stranger
def custom_blocks():
    images = x = keras.Input((32, 32, 3))
    for number, filters in enumerate((4, 6, 8), start=1):
        x = HalvingBlock(filters, name=f"block_{number}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(4, name="head")(x))


@keras.saving.register_keras_serializable("strangers")
class TwoConvolutions(layers.Layer):
    """Two 3x3 convolutions that keep the size: each pixel sees 5 x 5."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one = layers.Conv2D(2, 3, padding="same")
        self.two = layers.Conv2D(2, 3, padding="same")

    def build(self, input_shape):
        self.one.build(input_shape)
        self.two.build((*input_shape[:-1], 2))

    def call(self, inputs):
        return self.two(self.one(inputs))


@stranger
def block_of_two():
    images = keras.Input((12, 12, 1))
    return keras.Model(images, TwoConvolutions(name="block")(images))


class Subclassed(keras.Model):
    """A classifier that is a class: its layers are known, its graph is not."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.block = HalvingBlock(6, name="block")
        self.pool = layers.GlobalAveragePooling2D()
        self.drop = layers.Dropout(0.2)
        self.out = layers.Dense(3, activation="softmax", name="out")

    def call(self, inputs, training=None):
        x = ops.relu(self.norm(self.conv(inputs), training=training))
        x = self.pool(self.block(x))
        return self.out(self.drop(x, training=training))


@stranger
def subclassed():
    model = Subclassed(name="subclassed_network")
    model(ops.ones((2, 16, 16, 3)))
    return model


@stranger
def subclassed_inside_functional():
    images = keras.Input((16, 16, 3))
    x = Subclassed(name="backbone")(images)
    return keras.Model(images, layers.Dense(2, name="head")(x))


class FunctionalInside(keras.Model):
    """A subclassed model around a base, as many tutorials write it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.base = keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                layers.Conv2D(4, 3, strides=2, padding="same", name="conv1"),
                layers.Conv2D(6, 3, strides=2, padding="same", name="conv2"),
            ],
            name="base",
        )
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(2, name="head")

    def call(self, inputs):
        return self.head(self.pool(self.base(inputs)))


@stranger
def base_inside_subclassed():
    model = FunctionalInside(name="around_a_base")
    model(ops.ones((1, 16, 16, 3)))
    return model


class Opaque(layers.Layer):
    """A layer whose call reads values: nothing can be known but by computing."""

    def call(self, inputs):
        return inputs * float(ops.convert_to_numpy(inputs).mean())

    def compute_output_shape(self, input_shape):
        return input_shape


@stranger
def opaque_layer():
    images = keras.Input((6, 6, 1))
    x = layers.Conv2D(2, 3, name="conv")(images)
    model = keras.Model(images, Opaque(name="opaque")(x))
    model.compile(run_eagerly=True)  # as whoever writes such a layer finds out
    return model


# --- Not images ---------------------------------------------------------------------


@stranger
def text_lstm():
    words = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 6, mask_zero=True, name="words")(words)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(x)
    x = layers.GRU(4, name="gru")(x)
    return keras.Model(words, layers.Dense(2, name="head")(x))


@stranger
def transformer():
    tokens = keras.Input((6, 8))
    a = layers.MultiHeadAttention(2, 3, name="attention")(tokens, tokens)
    x = layers.LayerNormalization()(layers.Add()([tokens, a]))
    f = layers.Dense(16, activation="gelu", name="wide")(x)
    x = layers.Add()([x, layers.Dense(8, name="narrow")(f)])
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@stranger
def vision_transformer():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(images)
    x = layers.Reshape((16, 8))(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Reshape((4, 4, 8), name="maps")(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@stranger
def conv1d():
    signal = keras.Input((32, 2))
    x = layers.Conv1D(4, 5, strides=2, activation="relu", name="conv")(signal)
    x = layers.Conv1DTranspose(2, 3, strides=2, name="back")(x)
    return keras.Model(signal, layers.Dense(1)(layers.GlobalMaxPooling1D()(x)))


@stranger
def conv3d():
    volume = keras.Input((6, 8, 8, 1))
    x = layers.Conv3D(2, 3, name="conv")(volume)
    x = layers.AveragePooling3D(2)(x)
    return keras.Model(volume, layers.Dense(2)(layers.Flatten()(x)))


@stranger
def one_unit_sigmoid():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(1, activation="sigmoid", name="dog")(x))


@stranger
def regression():
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
    )


@stranger
def half_precision():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, dtype="mixed_float16", name="conv"),
            layers.GlobalAveragePooling2D(dtype="mixed_float16"),
            layers.Dense(2, dtype="float32", activation="softmax"),
        ]
    )


@stranger
def autoencoder():
    images = keras.Input((8, 8, 1))
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="code"),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((4, 4, 4)),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same", name="picture"),
        ],
        name="decoder",
    )
    return keras.Model(images, decoder(encoder(images)), name="autoencoder")


# --- From Keras's guides, and from what people report -------------------------------


@stranger
def video_of_images():
    """A TimeDistributed network of images, and a recurrence over its answers."""
    images = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, strides=2, activation="relu", name="eye"),
            layers.Flatten(),
        ],
        name="frame",
    )
    video = keras.Input((4, 8, 8, 1))
    x = layers.TimeDistributed(images, name="frames")(video)
    return keras.Model(video, layers.Dense(2, "softmax")(layers.LSTM(4)(x)))


@stranger
def next_frame():
    """ConvLSTM2D, as in the guide "Next-frame video prediction"."""
    video = keras.Input((3, 6, 6, 1))
    x = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, name="past")(
        video
    )
    return keras.Model(video, layers.Conv3D(1, 3, padding="same", name="next")(x))


@stranger
def masked_attention():
    """Padded words: a mask goes with the tensors into the attention."""
    words = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(20, 4, mask_zero=True, name="embedding")(words)
    x = layers.Attention(name="attention")([x, x])
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Masking()(x))
    return keras.Model(words, layers.Dense(2, activation="softmax", name="head")(x))


@stranger
def lambda_layers():
    """Functions as layers: what they do is known from their graph alone."""
    images = keras.Input((12, 12, 3))
    x = layers.Lambda(lambda x: x / 127.5 - 1, name="scaled")(images)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.Lambda(lambda x: ops.mean(x, (1, 2)), output_shape=(4,), name="mean")(x)
    return keras.Model(images, layers.Dense(3, activation="softmax", name="head")(x))


@stranger
def gan():
    """The second half of training a GAN: a frozen judge behind its generator."""
    judge = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.SpectralNormalization(
                layers.Conv2D(4, 3, strides=2, padding="same"), name="spectral"
            ),
            layers.LeakyReLU(0.2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1, name="real"),
        ],
        name="discriminator",
    )
    maker = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4 * 4 * 2),
            layers.Reshape((4, 4, 2)),
            layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"),
        ],
        name="generator",
    )
    judge.trainable = False
    noise = keras.Input((5,), name="noise")
    return keras.Model(noise, judge(maker(noise)), name="gan")


class Sampling(layers.Layer):
    """A normal deviate around a mean, as in the guide of variational autoencoders."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs, training=None):
        mean, log_variance = inputs
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


@stranger
def variational_encoder():
    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(images)
    x = layers.Flatten()(x)
    mean, spread = layers.Dense(2, name="mean")(x), layers.Dense(2, name="log_var")(x)
    z = Sampling(name="z")([mean, spread])
    return keras.Model(images, [mean, spread, z], name="encoder")


@stranger
def quantised():
    """Dense layers whose kernels are int8 now."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", name="wide"),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    for layer in model.layers:
        layer.quantize("int8")
    return model


@stranger
def rounded():
    """Activations of whole numbers, through which no gradient passes."""
    images = keras.Input((12, 12, 1))
    x = layers.Conv2D(3, 3, padding="same", name="conv")(images)
    x = layers.Conv2D(2, 3, padding="same", name="next")(ops.round(x * 4))
    return keras.Model(images, x)


@stranger
def low_rank():
    """LoRA: the kernel stays, a product of two thin ones learns."""
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(8, activation="relu", name="wide"),
            layers.Dense(3, name="classes"),
        ]
    )
    model.get_layer("wide").enable_lora(2)
    return model


@stranger
def preprocessed():
    """`preprocess_input` within the graph: channels are turned by `x[..., ::-1]`."""
    images = keras.Input((16, 16, 3))
    x = keras.applications.vgg16.preprocess_input(images)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(3, activation="softmax", name="head")(x))


@stranger
def bytes_in():
    """Images as they lie in a file: the model itself scales them."""
    images = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head")(x))


@stranger
def recommender():
    """Two embeddings and their product, as in the guide on collaborative filtering."""
    user = keras.Input((1,), dtype="int32", name="user")
    film = keras.Input((1,), dtype="int32", name="film")
    pair = [
        layers.Flatten()(layers.Embedding(20, 3, name=f"{of}s")(x))
        for of, x in (("user", user), ("film", film))
    ]
    return keras.Model([user, film], layers.Dot(1, name="likes")(pair))


@stranger
def stacked_cells():
    """A recurrence of two cells, built for one size of batch."""
    cells = [layers.LSTMCell(4), layers.GRUCell(3)]
    series = keras.Input(batch_shape=(2, 5, 2))
    return keras.Model(series, layers.RNN(cells, name="recurrence")(series))


@stranger
def identity():
    images = keras.Input((8, 8, 3))
    return keras.Model(images, images)


class Patches(layers.Layer):
    """Patches and their places, as in the guide "Image classification with ViT"."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.projection = layers.Dense(6)
        self.places = layers.Embedding(16, 6)

    def build(self, input_shape):
        self.projection.build((None, 16, 48))
        self.places.build((16,))

    def call(self, inputs):
        patches = ops.reshape(ops.image.extract_patches(inputs, 4), (-1, 16, 48))
        return self.projection(patches) + self.places(ops.arange(16))[None]


@stranger
def guide_to_vision_transformers():
    images = keras.Input((16, 16, 3))
    x = Patches(name="patches")(images)
    a = layers.MultiHeadAttention(2, 3, name="attention")(
        layers.LayerNormalization()(x), x
    )
    x = layers.Dense(6, activation="gelu", name="mlp")(layers.Add()([x, a]))
    return keras.Model(images, layers.Dense(3, name="head")(layers.Flatten()(x)))


class Named(keras.Model):
    """A subclassed model that takes and gives dictionaries."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(3, 3, name="conv")
        self.facts = layers.Dense(3, name="facts")
        self.out = layers.Dense(2, name="out")

    def call(self, inputs):
        x = ops.max(self.conv(inputs["image"]), axis=(1, 2))
        x = x + self.facts(inputs["facts"])
        return {"logits": self.out(x), "embedding": x}


@stranger
def dictionaries():
    model = Named(name="of_dictionaries")
    model({"image": ops.ones((2, 8, 8, 1)), "facts": ops.ones((2, 4))})
    return model


class Stack(keras.Model):
    """A subclassed model that goes through a list of blocks, each with a shortcut."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")
        self.blocks = [
            layers.SeparableConv2D(4, 3, padding="same", name=f"block_{n}")
            for n in range(3)
        ]
        self.head = layers.Dense(2, activation="softmax", name="head")

    def call(self, inputs):
        x = self.stem(inputs)
        for block in self.blocks:
            x = x + ops.gelu(block(x))
        return self.head(ops.max(x, axis=(1, 2)))


@stranger
def list_of_blocks():
    model = Stack(name="stack")
    model(ops.ones((1, 16, 16, 3)))
    return model


@stranger
def brain_floats():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, dtype="mixed_bfloat16", name="conv")(images)
    x = layers.GlobalAveragePooling2D(dtype="mixed_bfloat16")(x)
    x = layers.Dense(3, dtype="float32", activation="softmax", name="classes")(x)
    return keras.Model(images, x)


# --- Graphs that are hard to read: places that move, plain operations ---------------


@stranger
def cross_attention():
    asking, asked = keras.Input((5, 8), name="asking"), keras.Input((7, 6))
    wide = 4 if keras.backend.backend() == "jax" else 3  # Keras's limit on JAX
    x = layers.MultiHeadAttention(2, 4, value_dim=wide, name="cross")(asking, asked)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model([asking, asked], layers.Dense(2, name="head")(x))


@stranger
def grouped_queries():
    tokens = keras.Input((5, 8))
    x = layers.GroupQueryAttention(4, 4, 2, name="attention")(tokens, tokens)
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@stranger
def excited_by_operations():
    """A block of EfficientNet, with plain operations where Keras has layers."""
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="silu", name="conv")(images)
    s = ops.mean(x, axis=(1, 2), keepdims=True)
    s = layers.Conv2D(2, 1, activation="silu", name="squeeze")(s)
    x = x * layers.Conv2D(4, 1, activation="sigmoid", name="excite")(s)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head")(x))


@stranger
def dilated_depthwise():
    images = keras.Input((16, 16, 3))
    x = layers.DepthwiseConv2D(3, dilation_rate=3, padding="same", name="wide")(images)
    x = layers.SeparableConv2D(4, 3, dilation_rate=2, name="separable")(x)
    return keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x)))


@stranger
def causal():
    signal = keras.Input((20, 2))
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, name="past")(signal)
    x = layers.SeparableConv1D(3, 3, name="separable")(layers.ReLU()(x))
    x = layers.DepthwiseConv1D(3, strides=2, name="depthwise")(x)
    return keras.Model(signal, layers.Dense(1)(layers.Flatten()(x)))


@stranger
def space_to_depth():
    images = keras.Input((8, 8, 3))
    x = layers.Reshape((4, 2, 4, 2, 3))(images)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    x = layers.Reshape((4, 4, 12), name="deep")(x)
    x = layers.Conv2D(4, 1, name="one")(x)
    return keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@stranger
def slices_and_pads():
    images = keras.Input((12, 12, 2))
    x = ops.pad(images[:, 1::2, ::2, :], ((0, 0), (1, 1), (2, 0), (0, 0)))
    x = layers.Conv2D(3, 3, name="conv")(x)
    x = ops.flip(x, 2) + x
    return keras.Model(images, layers.Dense(2)(ops.max(x, (1, 2))))


@stranger
def swapped_axes():
    images = keras.Input((10, 8, 2))
    x = layers.Permute((2, 1, 3))(layers.Conv2D(2, (3, 1), name="rows")(images))
    return keras.Model(images, layers.Conv2D(1, (3, 1), name="columns")(x))


@stranger
def padded_and_cropped():
    images = keras.Input((14, 14, 1))
    x = layers.ZeroPadding2D(((0, 2), (1, 0)))(images)
    x = layers.Conv2D(2, 3, strides=2, name="conv")(x)
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    return keras.Model(images, layers.AveragePooling2D(2, name="mean")(x))


class OwnConvolution(layers.Layer):
    """A kernel of one's own, and the backend's convolution."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(3, 3, input_shape[-1], 4), name="kernel")

    def call(self, inputs):
        return ops.conv(inputs, self.kernel, 2, "valid")

    def compute_output_shape(self, input_shape):
        height, width = ((n - 3) // 2 + 1 for n in input_shape[1:3])
        return (input_shape[0], height, width, 4)


@stranger
def own_convolution():
    images = keras.Input((11, 11, 2))
    x = layers.UnitNormalization()(OwnConvolution(name="own")(images))
    return keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@stranger
def attended_places():
    """A softmax over all places weighs the maps, of plain operations."""
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(images)
    a = ops.reshape(layers.Conv2D(1, 1, name="where")(x), (-1, 36, 1))
    x = ops.sum(ops.reshape(x, (-1, 36, 4)) * ops.softmax(a, 1), 1)
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head")(x))


@stranger
def both_ways():
    series = keras.Input((6, 3))
    gru = layers.GRU(4, return_sequences=True)
    x = layers.Bidirectional(gru, merge_mode="sum", name="ways")(series)
    x = layers.SimpleRNN(3, name="simple")(x)
    return keras.Model(series, layers.Dense(1, activation="sigmoid", name="head")(x))


@stranger
def mixture_of_experts():
    """Four experts of one stem, weighed by a gate: notes stand close to each other."""
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="stem")(images)
    experts = [layers.Conv2D(4, 1, name=f"expert_{n}")(x) for n in range(4)]
    gate = layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")(x)
    gate = layers.Dense(4, activation="softmax", name="gate")(gate)
    x = ops.sum(ops.stack(experts, -1) * gate[:, None, None, None, :], -1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head")(x))


@stranger
def long_names():
    """Names of another alphabet, of emoji, and of many more letters than a line has."""
    images = keras.Input((8, 8, 3), name="🖼️ immagine")
    x = layers.Conv2D(4, 3, name="свёртка_" + "очень_" * 12)(images)
    x = layers.GlobalAveragePooling2D(name="平均")(x)
    return keras.Model(images, layers.Dense(3, "softmax", name="🐈🐕🦉")(x))


@stranger
def translation():
    """An encoder, whose states begin a decoder, as in the guide on seq2seq."""
    source = keras.Input((5, 3), name="source")
    target = keras.Input((4, 3), name="target")
    _, h, c = layers.LSTM(4, return_state=True, name="encoder")(source)
    decoder = layers.LSTM(4, return_sequences=True, name="decoder")
    y = decoder(target, initial_state=[h, c])
    y = layers.AdditiveAttention()([y, layers.Dense(4, name="keys")(source)])
    return keras.Model([source, target], layers.Dense(7, "softmax", name="words")(y))


# --- Names, kinds of numbers, and depths ---------------------------------------------


@stranger
def nested_three_deep():
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(4, 3, padding="same", name="conv")],
        name="inner",
    )
    middle = keras.Sequential(
        [keras.Input((16, 16, 3)), inner, layers.ReLU()], name="middle"
    )
    outer = keras.Sequential(
        [keras.Input((16, 16, 3)), middle, layers.MaxPooling2D()], name="outer"
    )
    images = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(outer(images))
    return keras.Model(images, layers.Dense(3, activation="softmax")(x))


@stranger
def right_to_left_and_emoji():
    images = keras.Input((16, 16, 3), name="صورة")
    x = layers.Conv2D(4, 3, name="התאמה_🐈")(images)
    x = layers.GlobalAveragePooling2D(name="平均プーリング")(x)
    head = layers.Dense(3, activation="softmax", name="فئات_👨‍👩‍👧")
    return keras.Model(images, head(x), name="نموذج_$5_to_$9")


@stranger
def policies_of_three_precisions():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, dtype="mixed_bfloat16", name="half")(images)
    x = layers.Conv2D(4, 3, dtype="float32", name="single")(x)
    x = layers.GlobalMaxPooling2D(dtype="float32")(x)
    return keras.Model(images, layers.Dense(3, "softmax", dtype="float32")(x))


@stranger
def two_hundred_classes():
    images = keras.Input((16, 16, 3))
    x = layers.Flatten()(layers.SeparableConv2D(8, 3, name="sep")(images))
    return keras.Model(images, layers.Dense(200, "softmax", name="classes")(x))


@stranger
def tall_strip():
    images = keras.Input((96, 6, 1))
    x = layers.Conv2D(4, (9, 3), strides=(3, 1), name="tall")(images)
    x = layers.GlobalAveragePooling2D()(layers.AveragePooling2D((2, 1))(x))
    return keras.Model(images, layers.Dense(2, activation="softmax")(x))


@stranger
def one_convolution_called_five_times():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 1, name="in")(images)
    again = layers.Conv2D(4, 3, padding="same", activation="tanh", name="again")
    norm = layers.BatchNormalization(name="norm")
    for _ in range(5):
        x = x + norm(again(x))
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(images, layers.Dense(3, activation="softmax")(x))


@stranger
def halves_by_operations():
    images = keras.Input((16, 16, 1))
    low = (images[:, ::2] + images[:, 1::2]) / 2
    high = (images[:, ::2] - images[:, 1::2]) / 2
    x = ops.flip(ops.concatenate([low, high], -1), 1)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="conv")(x))
    return keras.Model(images, layers.Dense(3)(x))


@stranger
def unet_of_volumes():
    volumes = keras.Input((8, 8, 8, 1))
    down = layers.Conv3D(2, 3, padding="same", name="down")(volumes)
    x = layers.Conv3D(2, 3, padding="same")(layers.MaxPooling3D()(down))
    x = layers.Concatenate()([down, layers.UpSampling3D()(x)])
    return keras.Model(volumes, layers.Conv3D(1, 1, name="mask")(x))


@stranger
def answers_by_name():
    images = keras.Input((16, 16, 3), name="photo")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    answers = {
        "species": layers.Dense(3, activation="softmax", name="species")(x),
        "age": layers.Dense(1, name="age")(x),
    }
    return keras.Model(images, answers)
