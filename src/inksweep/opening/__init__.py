"""A saved model opened to be used: by torch where that is wanted and there, by ONNX Runtime without it."""
