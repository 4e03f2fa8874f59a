"""The formats: a classifier as the bytes of a file, and such bytes as something that answers.

In each the batch may have any size, and pixels are uint8: what decoders of pictures give in every language. Pictures
that were scaled to 0..1, the usual mistake, are then refused by their type instead of being answered wrongly.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from inksweep.digits.classifier import Classifier
from inksweep.digits.export.check import Answer

INPUT, OUTPUT = "pixels", "probabilities"
# Where a file of torch.export keeps what the ONNX file has as metadata.
ABOUT = "inksweep.json"


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        name: what is typed.
        file: name of the file beside model.pt.
        engine: who runs it.
        packages: what it needs besides torch.
        write: a classifier -> the content of a file.
        read: such a content, and a number of threads -> what answers.
        opset: such a content -> the version of its operators, None where there is no such number.
    """

    name: str
    file: str
    engine: str
    packages: tuple[str, ...]
    write: Callable[[Classifier], bytes]
    read: Callable[[bytes, int], Answer]
    opset: Callable[[bytes], int | None]


def about(classifier: Classifier) -> dict[str, str]:
    """Return what the user of a file has to know, as the texts that ONNX keeps."""
    size, count = classifier.size, len(classifier.classes)
    return {
        "classes": json.dumps(classifier.classes, ensure_ascii=False),
        INPUT: f"uint8 (n, {size}, {size}), 0 to 255, background 0; scaling and normalisation are inside",
        OUTPUT: f"float32 (n, {count}), in the order of classes; each row adds up to 1",
        "temperature": f"{classifier.temperature:.6g}, already applied",
    }


def _example(classifier: Classifier) -> tuple[tuple[Tensor], tuple[dict[int, Any]]]:
    """Return pictures to trace with, and which of their dimensions may change."""
    pixels = torch.zeros(2, classifier.size, classifier.size, dtype=torch.uint8)
    return (pixels,), ({0: Dim("n")},)


def write_onnx(classifier: Classifier) -> bytes:
    """Return the classifier as one self-contained ONNX file."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    inputs, dynamic = _example(classifier)
    with _quiet("onnxscript", "onnx_ir"):
        program = torch.onnx.export(
            classifier,
            inputs,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
        assert program is not None  # it is with dynamo
        # The exporter notes for each node which line of which file on this machine it comes from.
        ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props.update(about(classifier))
    for value in (*program.model.graph.inputs, *program.model.graph.outputs):
        value.metadata_props.clear()
    content: bytes = program.model_proto.SerializeToString()
    return content


def read_onnx(content: bytes, threads: int) -> Answer:
    """Return what an ONNX file answers, run by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def answer(pixels: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: pixels.numpy()})[0])

    return answer


def onnx_opset(content: bytes) -> int:
    """Return the version of the standard operators that an ONNX file uses."""
    import onnx

    imported = onnx.load_model_from_string(content).opset_import
    return int(next(opset.version for opset in imported if opset.domain == ""))


def write_torch_export(classifier: Classifier) -> bytes:
    """Return the classifier as a file of `torch.export`."""
    inputs, dynamic = _example(classifier)
    program = torch.export.export(classifier, inputs, dynamic_shapes=dynamic)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines of files on this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={ABOUT: json.dumps(about(classifier), ensure_ascii=False)})
    return buffer.getvalue()


def read_torch_export(content: bytes, threads: int) -> Answer:
    """Return what a file of `torch.export` answers; torch's threads are those of the process."""
    program: Answer = torch.export.load(io.BytesIO(content)).module()
    return program


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep these loggers from telling their steps."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


FORMATS = {
    kind.name: kind
    for kind in (
        Format(
            "onnx",
            "model.onnx",
            "onnxruntime",
            ("onnx", "onnxscript", "onnxruntime"),
            write_onnx,
            read_onnx,
            onnx_opset,
        ),
        Format(
            "torch-export",
            "model.pt2",
            "torch.export",
            (),
            write_torch_export,
            read_torch_export,
            lambda content: None,
        ),
    )
}
