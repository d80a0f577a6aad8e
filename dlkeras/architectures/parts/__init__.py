"""What the builders share: stems and heads, side classifiers, arguments of Keras."""
