"""TensorFlow and Keras, whose public modules are built when they are imported.

No type checker sees what is in them, so they are of any type here.
"""

from typing import Any

import keras as _keras
import tensorflow

tf: Any = tensorflow
keras: Any = _keras
