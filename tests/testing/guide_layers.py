"""Layers in the ways that Keras's guides show: nested, with losses, with endpoints."""

import keras
from keras import layers, ops


def registered(layer):
    return keras.saving.register_keras_serializable("guides")(layer)


@registered
class Linear(layers.Layer):
    """Weights in `build`: "Making new layers and models via subclassing"."""

    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b")

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@registered
class LinearOfKnownInput(layers.Layer):
    """Weights in the constructor, and Keras's own `get_config`."""

    def __init__(self, units=32, input_dim=32, **kwargs):
        super().__init__(**kwargs)
        self.w = self.add_weight(shape=(input_dim, units), name="w")
        self.b = self.add_weight(shape=(units,), initializer="zeros", name="b")

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b


@registered
class MLPBlock(layers.Layer):
    """Layers made in the constructor, built by Keras at the first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear_1 = Linear(5)
        self.linear_2 = Linear(4)
        self.linear_3 = Linear(1)

    def call(self, inputs):
        x = ops.relu(self.linear_1(inputs))
        x = ops.relu(self.linear_2(x))
        return self.linear_3(x)


@registered
class ActivityRegularization(layers.Layer):
    """A loss made in `call`."""

    def __init__(self, rate=1e-2, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(inputs))
        return inputs

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@registered
class OuterLayer(layers.Layer):
    """A loss within a layer within a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.activity = ActivityRegularization(1e-2)

    def call(self, inputs):
        return self.activity(inputs)


@registered
class OuterLayerWithKernelRegularizer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, kernel_regularizer=keras.regularizers.l2(1e-3))

    def call(self, inputs):
        return self.dense(inputs)


@registered
class CustomDropout(layers.Layer):
    """`training` in `call`."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs, training=None):
        if training:
            return keras.random.dropout(
                inputs, rate=self.rate, seed=self.seed_generator
            )
        return inputs

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@registered
class Sampling(layers.Layer):
    """The variational autoencoder's draw, which is random in use as well."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


@registered
class Encoder(layers.Layer):
    """Three outputs, one of them drawn."""

    def __init__(self, latent_dim=3, intermediate_dim=6, name="encoder", **kwargs):
        super().__init__(name=name, **kwargs)
        self.dense_proj = layers.Dense(intermediate_dim, activation="relu")
        self.dense_mean = layers.Dense(latent_dim)
        self.dense_log_var = layers.Dense(latent_dim)
        self.sampling = Sampling()

    def call(self, inputs):
        x = self.dense_proj(inputs)
        z_mean = self.dense_mean(x)
        z_log_var = self.dense_log_var(x)
        return z_mean, z_log_var, self.sampling((z_mean, z_log_var))


@registered
class Decoder(layers.Layer):
    def __init__(self, original_dim, intermediate_dim=6, name="decoder", **kwargs):
        super().__init__(name=name, **kwargs)
        self.dense_proj = layers.Dense(intermediate_dim, activation="relu")
        self.dense_output = layers.Dense(original_dim, activation="sigmoid")

    def call(self, inputs):
        return self.dense_output(self.dense_proj(inputs))


@registered
class VariationalAutoEncoder(keras.Model):
    """A subclassed model that adds its Kullback-Leibler loss."""

    def __init__(self, original_dim, latent_dim=3, name="autoencoder", **kwargs):
        super().__init__(name=name, **kwargs)
        self.original_dim = original_dim
        self.latent_dim = latent_dim
        self.encoder = Encoder(latent_dim=latent_dim)
        self.decoder = Decoder(original_dim)

    def call(self, inputs):
        z_mean, z_log_var, z = self.encoder(inputs)
        reconstructed = self.decoder(z)
        kl_loss = -0.5 * ops.mean(
            z_log_var - ops.square(z_mean) - ops.exp(z_log_var) + 1
        )
        self.add_loss(kl_loss)
        return reconstructed

    def get_config(self):
        return {
            **super().get_config(),
            "original_dim": self.original_dim,
            "latent_dim": self.latent_dim,
        }


@registered
class LogisticEndpoint(layers.Layer):
    """Loss and metric of a model's end: "Training with the built-in methods"."""

    def __init__(self, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, targets, logits, sample_weights=None):
        self.add_loss(self.loss_fn(targets, logits, sample_weights))
        return ops.softmax(logits)


@registered
class CustomModel(keras.Model):
    """Its own step of training: "Customizing what happens in `fit()`"."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        return super().train_step(data)


@registered
class Antirectifier(layers.Layer):
    """The example "Simple custom layer example: Antirectifier"."""

    def __init__(self, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        output_dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(output_dim * 2, output_dim),
            initializer=self.initializer,
            name="kernel",
            trainable=True,
        )

    def call(self, inputs):
        inputs = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        pos = ops.relu(inputs)
        neg = ops.relu(-inputs)
        return ops.matmul(ops.concatenate([pos, neg], axis=-1), self.kernel)

    def get_config(self):
        config = {"initializer": keras.initializers.serialize(self.initializer)}
        return {**super().get_config(), **config}


@registered
class TransformerBlock(layers.Layer):
    """The example "Text classification with Transformer"."""

    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs):
        attn_output = self.dropout1(self.att(inputs, inputs))
        out1 = self.layernorm1(inputs + attn_output)
        ffn_output = self.dropout2(self.ffn(out1))
        return self.layernorm2(out1 + ffn_output)


@registered
class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        positions = ops.arange(start=0, stop=ops.shape(x)[-1], step=1)
        return self.token_emb(x) + self.pos_emb(positions)


@registered
class TemporalSplit(layers.Layer):
    """Two halves of time and of the mask: "Understanding masking and padding"."""

    def call(self, inputs):
        return ops.split(inputs, 2, axis=1)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        return ops.split(mask, 2, axis=1)


@registered
class MyActivation(layers.Layer):
    """Passes the mask on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return ops.relu(inputs)


@registered
class TemporalSoftmax(layers.Layer):
    """Uses the mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            mask = ops.ones_like(inputs[..., 0])
        seen = ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        inputs_exp = ops.exp(inputs) * seen
        inputs_sum = ops.sum(inputs_exp * seen, axis=1, keepdims=True)
        return inputs_exp / inputs_sum


@registered
class ConvolutionalBlock(layers.Layer):
    """A residual block of Keras's convolutions: "Making new layers", end to end."""

    def __init__(self, filters=4, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 3, strides=2, padding="same")
        self.norm = layers.BatchNormalization()
        self.shortcut = layers.Conv2D(filters, 1, strides=2)

    def call(self, inputs, training=None):
        x = self.norm(self.conv(inputs), training=training)
        return ops.relu(x + self.shortcut(inputs))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@registered
class LayersInSequence(layers.Layer):
    """A `Sequential` within a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.features = keras.Sequential(
            [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
        )

    def call(self, inputs):
        return self.features(inputs)
