"""A server as one writes it first: FastAPI checks the body, and each request is one forward of the classifier.

`python plain_server.py WINNER PORT`: the winner's ONNX file by ONNX Runtime if it is there, or its model.pt by torch.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    """Pictures: lists of rows of pixels."""

    pixels: list[list[list[int]]]


def classifier(winner: Path) -> Callable[[np.ndarray], np.ndarray]:
    if (file := winner / "model.onnx").is_file():
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return lambda pixels: session.run(["probabilities"], {"pixels": pixels})[0]
    import torch

    import inksweep

    model = inksweep.load(winner)

    def answer(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(pixels)).numpy()

    return answer


def main() -> None:
    answer = classifier(Path(sys.argv[1]))
    app = FastAPI()

    @app.post("/v1/digits")
    def digits(body: Body) -> dict:
        probabilities = answer(np.array(body.pixels, np.uint8))
        return {
            "digits": [
                {"digit": str(row.argmax()), "confidence": float(row.max()), "probabilities": row.tolist()}
                for row in probabilities
            ]
        }

    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
