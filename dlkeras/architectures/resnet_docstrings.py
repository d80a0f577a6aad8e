"""The docstrings of the ResNet builders, one for each depth."""

DOC = """Build ResNet-{depth}.

{intro}

The layers of stage s are `stage{{s}}_block1`, `stage{{s}}_block2`, ...

Args:
    input_shape: Height, width and channels of the images, at least
        {smallest} by {smallest}; height and width may be None.
    num_classes: Number of outputs; 0 for features without a head.
{version}
    shortcut: `"A"` (subsampled, padded with channels of zeros), `"B"` (projection
        where the shape changes) or `"C"` (projection everywhere){shortcuts}.{variants}
    include_preprocessing: `True` or `"imagenet"` standardises pixels of 0 to 255 by
        ImageNet's channels, `"symmetric"` brings them to -1 to 1, `"caffe"` turns red
        and blue round and takes off their means.
    pooling: `"avg"`, `"max"` or `None`, which is the average before a head.
    dropout: Share of the pooled features dropped while training; the paper has none.
    stochastic_depth: Probability of dropping the last block's branch while training;
        it grows linearly from the first block (Huang et al. 2016).
    width_multiplier: Factor of the numbers of filters.
    activation: Activation of all layers.
    normalization: `"batch"`, `"group"`, `"layer"` or `None`, with which the
        convolutions have biases.
    normalization_epsilon: Added to the variance.
    zero_gamma: Start each block as its shortcut (Goyal et al. 2017); not for v2.
    padding: Of the layers with a stride: `"symmetric"`, as the paper's own models and
        PyTorch's have it, or Keras's `"same"`.
    classifier_activation: Activation of the outputs; None gives logits.
    kernel_initializer: Of the convolutions; the paper's is He's.
    weight_decay: Of the kernels; the paper's is 0.0001.
    weights: Source of weights, as for `load_weights_from`{imagenet}.
    name: Name of the model.

Returns:
    A Functional model: `(batch, height, width, channels)` images to
    `(batch, num_classes)`.

Raises:
    ValueError: The input is too small for the strides, or an argument has a value that
        the network does not know.

Example:
    >>> from dlkeras.architectures import resnet{depth}
    >>> model = resnet{depth}(({smallest}, {smallest}, 3), 10, width_multiplier=0.125)
    >>> model.output.shape
    (None, 10)

Reference:
    {reference}
"""

IMAGENET = """Four stages of {kind} behind a 7x7 convolution and a 3x3 max pooling,
both of stride 2: He's table 1, whose conv2_x to conv5_x are `stage1` to `stage4` here.
{parameters}

The sources place the stride of a stage differently, and `version` says which is
built: "v1" is the paper, with the stride in the first 1x1 convolution of a bottleneck,
which is what gives the paper's multiply-adds; "v1.5" has it in the 3x3 convolution, as
PyTorch's models; "v2" is the pre-activation network of the second paper, with the
stride of "v1.5"."""

IMAGENET_VERSION = """    version: `"v1"`, `"v1.5"` or `"v2"`.
    layout: `"paper"`, or `"keras"` for v2 as `keras.applications` has it: the stride in
        a stage's last block, none in the last stage, and a bias in the first
        convolution."""

IMAGENET_SHORTCUTS = """; `"D"` is B behind an average
        pooling, without a stride (ResNet-D)"""

IMAGENET_VARIANTS = """
    stem: `"paper"`, a 7x7 convolution, or `"deep"`, three of 3x3 (ResNet-C and -D).
    groups: Groups of a bottleneck's 3x3 convolution (ResNeXt).
    width_per_group: Filters of a group in the first stage: 4 in ResNeXt 32x4d, 128 in
        a wide ResNet.
    reduction_ratio: Of squeeze-and-excitation in every block, 16 in SE-ResNet."""

IMAGENET_WEIGHTS = """, or `"imagenet"`: those of
        `keras.applications`, which Keras downloads (v1 wants
        `include_preprocessing="caffe"`; v2 `layout="keras"` and `"symmetric"`)"""

CIFAR_WEIGHTS = """, or `"cifar10-small"` for
        ResNet-20, which come with the package"""

CIFAR = """Three stages of {n} basic blocks with 16, 32 and 64 filters behind a 3x3
convolution: section 4.2 of the paper, with its shortcuts without parameters (A).
{parameters}"""

CIFAR_VERSION = """    version: `"v1"` or `"v2"`."""

REFERENCE = """He, Zhang, Ren and Sun (2016), "Deep residual learning for image
    recognition", {where}; He et al. (2016),
    "Identity mappings in deep residual networks"."""
