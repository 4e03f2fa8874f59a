"""A saved model opened to be used: by torch where that is wanted and there, by ONNX Runtime without it."""

# What reading a picture needs of the extra `read`, as it is imported; what runs the model is another matter.
READING = ("scipy", "PIL")
