"""routes.py and guard.py: what each path answers, what is refused, and what every answer carries."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from inksweep.serve.access import Access
from inksweep.serve.house import House
from inksweep.serve.limits import MIB, Limits
from tests.serve.conftest import AT, NAMES, MakeClient, digits, drawing, first_pixel

KEY = "a-key-of-16-signs"


def line(answer: httpx.Response) -> str:
    """Return the one line of a refusal."""
    assert set(answer.json()) == {"error"}
    assert "\n" not in answer.json()["error"]
    return str(answer.json()["error"])


def test_a_picture_is_read_from_the_body_and_from_a_form(client: TestClient) -> None:
    raw = client.post("/v1/read", content=drawing())
    form = client.post("/v1/read", files={"picture": ("seven.png", drawing(), "image/png")})
    assert (raw.status_code, form.status_code) == (200, 200)
    assert raw.json()["picture"] == "picture"
    assert form.json()["picture"] == "seven.png"
    assert {**raw.json(), "picture": ""} == {**form.json(), "picture": ""}
    (digit,) = raw.json()["digits"]
    assert digit["digit"] == raw.json()["text"] == "0"  # its first pixel is black
    assert len(digit["others"]) == 2
    assert "pixels" not in digit


def test_what_is_asked_for_comes(client: TestClient) -> None:
    asked = {"pixels": "true", "top": 4, "min_confidence": 1}
    (digit,) = client.post("/v1/read", params=asked, content=drawing()).json()["digits"]
    assert np.array(digit["pixels"]).shape == (28, 28)
    assert digit["digit"] == "?"
    assert len(digit["others"]) == 4


def test_a_blank_picture_has_no_ink(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("L", (50, 50), 255).save(buffer, "PNG")
    answer = client.post("/v1/read", content=buffer.getvalue())
    assert (answer.status_code, answer.json()["text"], answer.json()["note"]) == (200, "", "no ink")


def test_many_digits_are_classified_in_their_order(client: TestClient) -> None:
    classes = [number % 10 for number in range(300)]  # long enough to be taken apart in a thread
    answer = client.post("/v1/digits", json={"pixels": digits(*classes)})
    assert [digit["digit"] for digit in answer.json()["digits"]] == [NAMES[each] for each in classes]
    first = client.post("/v1/digits", json={"pixels": digits(3)}).json()["digits"][0]
    assert first["confidence"] == pytest.approx(0.91)
    assert first["probabilities"][3] == pytest.approx(0.91)
    assert len(first["probabilities"]) == 10


def test_winners_are_named_and_chosen(make_client: MakeClient) -> None:
    client = make_client(names=("night", "other"))
    winners = client.get("/v1/winners").json()["winners"]
    assert winners == [{"name": name, "classes": NAMES, "size": 28} for name in ("night", "other")]
    for path, body in (("/v1/read", drawing()), ("/v1/digits", json.dumps({"pixels": digits(1)}).encode())):
        assert client.post(path, params={"winner": "other"}, content=body).status_code == 200
        answer = client.post(path, params={"winner": "third"}, content=body)
        assert answer.status_code == 404
        assert line(answer) == "winner='third': there is no such winner (there are: night, other)"


def test_the_states_of_the_server(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    for path in ("/", "/healthz", "/readyz"):
        assert client.head(path).status_code == 200


def test_metrics_count_requests_digits_and_batches(client: TestClient) -> None:
    client.post("/v1/digits", json={"pixels": digits(1, 2, 3)})
    client.post("/v1/digits", content=b"x")
    client.get("/nowhere/at/all")
    lines = client.get("/metrics").text.splitlines()
    assert 'inksweep_requests_total{path="/v1/digits",status="200"} 1.0' in lines
    assert 'inksweep_requests_total{path="/v1/digits",status="400"} 1.0' in lines
    assert 'inksweep_requests_total{path="other",status="404"} 1.0' in lines
    assert 'inksweep_digits_total{winner="night"} 3.0' in lines
    assert 'inksweep_batch_digits_bucket{le="4.0",winner="night"} 1.0' in lines
    assert "inksweep_requests_under_way 0.0" in lines
    assert "inksweep_bodies_bytes 0.0" in lines


@pytest.mark.parametrize(
    "body, status, expected",
    [
        (b"", 400, "there is no picture in the request (0 bytes)"),
        (b"hello", 422, "picture: "),
        (drawing()[:60], 422, "picture: "),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "SVG"),
    ],
)
def test_what_is_no_picture_is_one_line(client: TestClient, body: bytes, status: int, expected: str) -> None:
    answer = client.post("/v1/read", content=body)
    assert answer.status_code == status
    assert expected in line(answer)


def test_the_name_of_a_file_is_one_line_too(client: TestClient) -> None:
    answer = client.post("/v1/read", files={"picture": ("a\nb\x1b[31m.png", b"hello", "image/png")})
    assert answer.status_code == 422
    assert "\x1b" not in line(answer)


def test_a_form_without_the_field_or_without_an_end_is_400(client: TestClient) -> None:
    assert "`picture`" in line(client.post("/v1/read", files={"other": ("a.png", drawing())}))
    assert "`picture`" in line(client.post("/v1/read", data={"picture": "text"}, files={"other": b"x"}))
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for content in (b"no form", b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\nabc'):
        assert client.post("/v1/read", content=content, headers=kind).status_code == 400
    assert client.post("/v1/read", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400


@pytest.mark.parametrize("asked", [{"top": 0}, {"top": "x"}, {"min_confidence": 2}, {"pixels": "perhaps"}])
def test_a_value_that_cannot_be_used_is_named(client: TestClient, asked: dict[str, object]) -> None:
    answer = client.post("/v1/read", params=asked, content=drawing())  # type: ignore[arg-type]
    assert answer.status_code == 422
    ((key, value),) = asked.items()
    assert line(answer).startswith(f"{key}={value}: ")


def test_other_methods_and_paths_are_refused_as_json(client: TestClient) -> None:
    answer = client.get("/v1/read")
    assert (answer.status_code, answer.headers["allow"], line(answer)) == (405, "POST", "Method Not Allowed")
    assert client.get("/v1/digits").status_code == 405
    assert client.get("/../pyproject.toml").status_code == 404
    assert client.get("/%2e%2e/routes.py").status_code == 404


def test_a_fault_of_ours_tells_the_client_nothing(make_client: MakeClient) -> None:
    def broken(pixels: np.ndarray) -> np.ndarray:
        raise ArithmeticError("the secret reason")

    client = make_client(answer=broken)
    for path, body in (("/v1/read", drawing()), ("/v1/digits", json.dumps({"pixels": digits(1)}).encode())):
        answer = client.post(path, content=body)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert line(answer) == "a fault of the server's; its log says more"


# The guard


def test_a_body_that_is_too_long_is_refused_with_and_without_its_length(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(body_bytes=MIB))

    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * MIB

    for path in ("/v1/read", "/v1/digits"):
        for content in (b"x" * (MIB + 1), parts()):
            answer = client.post(path, content=content)
            assert answer.status_code == 413
            assert line(answer) == "the body is larger than 1 MiB"


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_unpacked(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(pixels=10_000))
    assert client.post("/v1/read", content=drawing(size=(100, 100))).status_code == 200
    answer = client.post("/v1/read", content=drawing(size=(101, 100)))
    assert answer.status_code == 413
    assert line(answer) == "picture: more than 0.01 million pixels; make it smaller"


def test_too_many_digits_are_refused(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(digits=2))
    assert client.post("/v1/digits", json={"pixels": digits(1, 2)}).status_code == 200
    assert client.post("/v1/digits", json={"pixels": digits(1, 2, 3)}).status_code == 413


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/read", content=drawing(), headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "Content-Encoding" in line(answer)


def test_requests_beyond_the_limit_are_refused_and_the_states_still_answered(make_client: MakeClient) -> None:
    goes_on, began = threading.Event(), threading.Event()

    def slow(pixels: np.ndarray) -> np.ndarray:
        began.set()
        assert goes_on.wait(10)
        return first_pixel(pixels)

    app = make_client(limits=Limits(requests=1), answer=slow).app

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
            first = asyncio.create_task(client.post("/v1/digits", json={"pixels": digits(4)}))
            await asyncio.to_thread(began.wait, 10)
            second = await client.post("/v1/digits", json={"pixels": digits(4)})
            assert second.status_code == 503
            assert int(second.headers["retry-after"]) >= 1
            assert "1 requests are under way" in line(second)
            assert (await client.get("/healthz")).status_code == 200
            goes_on.set()
            assert (await first).status_code == 200
            assert (await client.post("/v1/digits", json={"pixels": digits(4)})).status_code == 200

    asyncio.run(ask())


def test_all_bodies_together_are_bounded(make_client: MakeClient) -> None:
    limits = Limits(body_bytes=1000)
    app = make_client(limits=limits).app

    async def ask() -> list[int]:
        go_on = asyncio.Event()

        async def slowly() -> object:
            yield b"x" * 900
            await go_on.wait()
            yield b"x"

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
            tasks = [asyncio.create_task(client.post("/v1/read", content=slowly())) for _ in range(10)]
            await asyncio.sleep(0.3)
            go_on.set()
            return [answer.status_code for answer in await asyncio.gather(*tasks)]

    statuses = asyncio.run(ask())
    assert statuses.count(503) == 2  # eight of the largest bodies are held
    assert statuses.count(422) == 8


def test_what_takes_too_long_is_refused(make_client: MakeClient) -> None:
    goes_on = threading.Event()

    def slow(pixels: np.ndarray) -> np.ndarray:
        assert goes_on.wait(10)
        return first_pixel(pixels)

    app = make_client(limits=Limits(seconds=0.2), answer=slow).app

    async def never() -> object:
        yield b"x"
        await asyncio.sleep(5)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
            for path, body in (("/v1/digits", json.dumps({"pixels": digits(1)}).encode()), ("/v1/read", drawing())):
                answer = await client.post(path, content=body)
                assert answer.status_code == 503
                assert "longer than 0.2 seconds" in line(answer)
                assert "retry-after" in answer.headers
            began = time.monotonic()
            answer = await client.post("/v1/read", content=never())
            assert answer.status_code == 408
            assert time.monotonic() - began < 4
            goes_on.set()

    asyncio.run(ask())


def test_a_foreign_host_or_page_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"host": "localhost:9000"}).status_code == 200
    answer = client.post("/v1/read", content=drawing(), headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "origin" in line(answer)
    assert client.post("/v1/read", content=drawing(), headers={"origin": AT}).status_code == 200


def test_a_key_is_asked_for(make_client: MakeClient) -> None:
    client = make_client(Access(keys=(KEY.encode(),)))
    answer = client.post("/v1/read", content=drawing())
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer KEY" in line(answer)
    assert client.post("/v1/read", content=drawing(), headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    assert client.get("/").status_code == 200
    assert "bearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]


@pytest.mark.parametrize("path", ["/", "/docs", "/docs.css", "/openapi.json", "/healthz", "/v1/winners", "/nowhere"])
def test_every_answer_carries_the_headers_that_keep_a_browser_safe(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] in ("no-store", "no-cache")


# The page and the description


def test_the_page_and_its_files_are_served_with_their_types(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/page.css").headers["content-type"].startswith("text/css")
    again = client.get("/page.js", headers={"if-none-match": client.get("/page.js").headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/index.html").status_code == 404


def test_the_description_names_every_path_and_every_refusal(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/v1/read", "/v1/digits", "/v1/winners", "/healthz", "/readyz", "/metrics"}
    assert {"200", "400", "403", "404", "408", "413", "415", "422", "503"} <= set(
        described["paths"]["/v1/digits"]["post"]["responses"]
    )
    assert "HTTPValidationError" not in json.dumps(described)


def test_the_docs_need_no_script_and_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "/v1/read" in page
    assert "min_confidence" in page
    for word in ("<script", "<style", "style=", "http:", "https:", "onclick"):
        assert word not in page


def test_a_client_that_goes_away_does_not_disturb_the_others(make_client: MakeClient) -> None:
    app = make_client().app

    async def ask() -> None:
        messages = iter(
            [{"type": "http.request", "body": drawing()[:50], "more_body": True}, {"type": "http.disconnect"}]
        )

        async def receive() -> dict[str, object]:
            return next(messages)

        async def send(message: object) -> None:
            pass

        headers = [(b"host", b"127.0.0.1"), (b"content-length", b"500")]
        scope = {"type": "http", "method": "POST", "path": "/v1/read", "query_string": b"", "headers": headers}
        await app({**scope, "raw_path": b"/v1/read", "root_path": "", "scheme": "http"}, receive, send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
            assert (await client.post("/v1/read", content=drawing())).status_code == 200
            assert "inksweep_bodies_bytes 0.0" in (await client.get("/metrics")).text

    asyncio.run(ask())


def test_a_server_that_has_ended_is_not_ready() -> None:
    from inksweep.reading.reader import Reader

    house = House({"night": Reader(first_pixel, NAMES, 28)}, Access(), Limits())
    house.end()
    client = TestClient(house.app, base_url=AT, raise_server_exceptions=False)
    answer = client.get("/readyz")
    assert (answer.status_code, line(answer)) == (503, "does not answer: night")
