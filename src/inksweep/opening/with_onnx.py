"""A classifier out of an ONNX file of ours, run by ONNX Runtime: pixels in, probabilities out. It needs no torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inksweep.errors import InputError, last_line, need_extra
from inksweep.opening import READING

if TYPE_CHECKING:
    from inksweep.reading.reader import Reader, Reading, Source

# Of the graph, as `inksweep export` writes it.
INPUT, OUTPUT = "pixels", "probabilities"


class OnnxModel:
    """A saved model: pixels in, probabilities out, and what reads pictures with it.

    Args:
        content: of the file.
        file: its path, for messages.
        threads: of one call.

    Raises:
        InputError: it is no ONNX file, or not one that `inksweep export` has written.
    """

    def __init__(self, content: bytes, file: Path, threads: int = 1) -> None:
        self._session = _session(content, file, threads)
        self.size, self.classes = _described(self._session, file)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the probabilities of the classes.

        Args:
            pixels: (n, size, size), uint8, or float from 0 to 255; background 0.

        Returns:
            float32 (n, classes); each row adds up to 1.
        """
        pixels = np.asarray(pixels)
        if pixels.ndim != 3 or pixels.shape[1:] != (self.size, self.size):
            raise InputError(f"pictures of shape {pixels.shape}: must be (n, {self.size}, {self.size})")
        if pixels.dtype != np.uint8:  # the file takes no other
            pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        if not len(pixels):
            return np.zeros((0, len(self.classes)), np.float32)
        probabilities: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(pixels)})[0]
        return probabilities

    @property
    def reader(self) -> "Reader":
        """What reads pictures with it."""
        from inksweep.reading.reader import Reader

        return Reader(self, self.classes, self.size)

    def read(self, source: "Source", **asked: Any) -> "Reading":
        """Read one picture; arguments, result and errors are those of `Reader.read`."""
        need_extra("inksweep.load(...).read", "read", READING)
        return self.reader.read(source, **asked)


def _session(content: bytes, file: Path, threads: int) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # it would print what it raises
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own
        raise InputError(f"{file}: cannot be opened as ONNX ({last_line(error)}); export it again") from None


def _described(session: Any, file: Path) -> tuple[int, list[str]]:
    """Return the size of the pictures and the names of the classes of a file of ours."""
    inputs = {each.name: each for each in session.get_inputs()}
    outputs = {each.name: each for each in session.get_outputs()}
    wrong = f"{file}: not a file of `inksweep export`"
    if set(inputs) != {INPUT} or OUTPUT not in outputs:
        raise InputError(f"{wrong}: it maps {', '.join(inputs)} to {', '.join(outputs)}, not {INPUT} to {OUTPUT}")
    kind, shape = inputs[INPUT].type, inputs[INPUT].shape
    if kind != "tensor(uint8)" or len(shape) != 3 or shape[1] != shape[2] or not isinstance(shape[1], int):
        raise InputError(f"{wrong}: {INPUT} is a {kind} of shape {shape}, not uint8 (n, size, size)")
    try:
        classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    except (KeyError, ValueError):
        classes = None
    count = outputs[OUTPUT].shape[-1]
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{wrong}: it has no names of classes")
    if len(classes) != count:
        raise InputError(f"{wrong}: it names {len(classes)} classes and answers {count}")
    return shape[1], classes
