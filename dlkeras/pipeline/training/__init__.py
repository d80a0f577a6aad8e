"""What a training needs beside Keras: network, search, checkpoints, monitors."""
