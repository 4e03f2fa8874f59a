"""Random changes to a batch of pictures during training.

Each class is a callable `(images, generator) -> images` on float pictures (n, 1, h, w) in 0..1, background 0.
"""
