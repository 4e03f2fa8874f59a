"""What can be asked: the paths, and what is done for each. Who may ask, and how much, is guard.py's."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from inksweep.errors import InputError
from inksweep.reading import doubt
from inksweep.serve import bodies, documentation, schemas
from inksweep.serve.limits import Limits, Traffic
from inksweep.serve.memory import Pixels
from inksweep.serve.metrics import Metrics
from inksweep.serve.served import Served

log = logging.getLogger(__name__)

SURE = doubt.MIN_CONFIDENCE
# A body that is longer is taken apart in a thread, so that the others need not wait for it.
LONG_BYTES = 128 * 1024
ABOUT = (
    "Reads handwritten digits: a picture in, its number out; or arrays of pixels in, probabilities out. "
    "Nothing that is sent is kept."
)
Winner = Annotated[str | None, Query(description="Name of a winner; default: the first of /v1/winners.")]


@dataclass(frozen=True)
class Room:
    """What requests are answered with."""

    served: Mapping[str, Served]
    # Reads pictures, a thread a processor core.
    threads: Executor
    # Of all pictures that they read at the same time.
    pixels: Pixels
    traffic: Traffic
    limits: Limits
    metrics: Metrics

    def winner(self, name: str | None) -> Served:
        """Return a winner by name, or the default; HTTPException if there is none of that name."""
        if name is None:
            return next(iter(self.served.values()))
        if name not in self.served:
            raise HTTPException(
                404, f"winner={name[:80]!r}: there is no such winner (there are: {', '.join(self.served)})"
            )
        return self.served[name]

    async def in_thread(self, work: Callable[[], Any], request: Request) -> Any:
        """Return what `work` returns, called in a thread; not at all if the client goes away before it begins."""
        future = asyncio.get_running_loop().run_in_executor(self.threads, work)
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({future, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise HTTPException(400, "the client went away")
            return future.result()
        finally:
            future.cancel()
            gone.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def app(room: Room, version: str, *, with_key: bool) -> FastAPI:
    """Return the app.

    Args:
        room: what requests are answered with.
        version: of inksweep.
        with_key: whether the guard asks for an API key; the description says so.
    """
    made = FastAPI(title="inksweep", version=version, description=ABOUT, docs_url=None, redoc_url=None)
    _readings(made, room)
    _states(made, room)
    made.add_exception_handler(HTTPException, _refused)
    made.add_exception_handler(RequestValidationError, _invalid)
    made.add_exception_handler(InputError, _unusable)
    made.add_exception_handler(ClientDisconnect, _went_away)
    made.add_exception_handler(Exception, _failed)
    documentation.add(made, with_key=with_key)
    return made


def _readings(made: FastAPI, room: Room) -> None:
    size = room.winner(None).reader.size

    @made.post(
        "/v1/read",
        summary="Read a picture",
        tags=["read"],
        response_model=schemas.ReadPicture,
        openapi_extra=schemas.picture_body(),
        responses=schemas.refusals(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def read(
        request: Request,
        winner: Winner = None,
        top: Annotated[int, Query(ge=1, le=100, description="Classes named for a digit, its own among them.")] = 3,
        pixels: Annotated[bool, Query(description="With what the network saw of each digit.")] = False,
        min_confidence: Annotated[float, Query(ge=0, le=1, description="A digit less sure than this is `?`.")] = SURE,
    ) -> Response:
        """Return the text in a picture, and for each digit its box, how sure it is, and what else it may be."""
        reader = room.winner(winner).reader
        content, name = await bodies.picture(request)

        def work() -> bytes:
            count = bodies.pixels_of(content, name, room.limits.pixels)
            with room.pixels.of(count), room.traffic.asking():
                reading = reader.read(content, name=name, top=top, min_confidence=min_confidence)
            return bodies.as_json(reading.as_json(pixels=pixels))

        return _json(await room.in_thread(work, request))

    @made.post(
        "/v1/digits",
        summary="Classify arrays of pixels",
        tags=["read"],
        response_model=schemas.Classified,
        openapi_extra=schemas.digits_body(size, room.limits.digits),
        responses=schemas.refusals(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def digits(request: Request, winner: Winner = None) -> Response:
        """Return what each array shows; many in one request cost less than many requests."""
        return await classified(room, request)


async def classified(room: Room, request: Request) -> Response:
    """Answer a request to /v1/digits."""
    served = room.winner(request.query_params.get("winner"))
    body = await request.body()

    def taken_apart() -> Any:
        return bodies.digits(body, served.reader.size, room.limits.digits)

    if len(body) <= LONG_BYTES:
        with room.traffic.asking():
            probabilities = await served.batcher.answer_soon(taken_apart())
        return _json(bodies.encoded(served.reader.classes, probabilities))
    pixels = await asyncio.to_thread(taken_apart)
    with room.traffic.asking():
        probabilities = await served.batcher.answer_soon(pixels)
    return _json(await asyncio.to_thread(bodies.encoded, served.reader.classes, probabilities))


def direct(room: Room) -> ASGIApp:
    """Return what answers POST /v1/digits as the app does, without FastAPI's share of the time of one digit: half."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await classified(room, request)
        except HTTPException as error:
            response = await _refused(request, error)
        except ClientDisconnect as error:
            response = await _went_away(request, error)
        except Exception as error:
            log.exception("POST /v1/digits")
            response = await _failed(request, error)
        await response(scope, receive, send)

    return answer


def _states(made: FastAPI, room: Room) -> None:
    winners = bodies.as_json({"winners": [served.about for served in room.served.values()]})

    @made.get(
        "/v1/winners", summary="Which winners are served", tags=["read"],
        response_model=schemas.Winners, responses=schemas.refusals(403),
    )  # fmt: skip
    async def all_winners() -> Response:
        """Return their names and classes; the first is the default."""
        return _json(winners)

    @made.get("/healthz", summary="Is the process alive", tags=["state"], response_model=schemas.State)
    async def healthz() -> Response:
        """Return 200 while the process answers."""
        return _json(b'{"status":"ok"}')

    @made.get(
        "/readyz", summary="Can it read", tags=["state"],
        response_model=schemas.State, responses=schemas.refusals(503),
    )  # fmt: skip
    async def readyz() -> Response:
        """Return 200 if every winner answers."""
        if silent := [served.name for served in room.served.values() if not served.batcher.is_alive]:
            raise HTTPException(503, f"does not answer: {', '.join(silent)}", {"Retry-After": "1"})
        return _json(b'{"status":"ready"}')

    for path, answer in (("/healthz", healthz), ("/readyz", readyz)):  # as some that watch servers ask
        made.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)

    @made.get(
        "/metrics", summary="Counts and times, for Prometheus", tags=["state"],
        response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def metrics() -> Response:
        """Return them in Prometheus' text format."""
        return Response(room.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


def _error(status: int, line: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json(bodies.as_json({"error": " ".join(line.split())}), status, headers)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail), error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _error(422, f"{first['loc'][-1]}={str(first.get('input'))[:80]}: {first['msg']}")


async def _unusable(_: Request, error: Exception) -> Response:
    return _error(422, str(error))


async def _went_away(_: Request, __: Exception) -> Response:
    return _error(400, "the client went away before the request was whole")  # nobody gets it


async def _failed(_: Request, __: Exception) -> Response:
    return _error(500, "a fault of the server's; its log says more")
