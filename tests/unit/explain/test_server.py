"""The server: what it answers, and what it refuses, always with a message."""

import json
import re
import threading
import time
from typing import Any

import pytest

from rot180 import explain
from rot180.explain import _server

pytest.importorskip("starlette", reason="serves the page")
testclient = pytest.importorskip("starlette.testclient", reason="needs httpx")


@pytest.fixture
def client() -> Any:
    return testclient.TestClient(explain.application(), base_url="http://127.0.0.1")


def test_the_data_are_those_of_the_explanation(client: Any) -> None:
    answer = client.get("/api/explain?input=5x5&kernel=3x3&stride=2&count_from=0")
    assert answer.status_code == 200
    found = explain.explain(input=(5, 5), kernel=(3, 3), stride=2, count_from=0)
    right = json.loads(json.dumps(explain.document(found, texts=False)))
    assert answer.json() == right


def test_numbers_are_taken_from_the_query(client: Any) -> None:
    x = ",".join(map(str, range(9)))
    told = client.get(f"/api/explain?X={x}&F=1,0,0,0.5").json()
    values = {tensor["name"]: tensor["values"] for tensor in told["tensors"]}
    assert values["X"] == list(range(9))
    assert values["O"] == [0 + 2, 1 + 2.5, 3 + 3.5, 4 + 4]


def test_numbers_that_do_not_fit_are_drawn_anew_if_asked(client: Any) -> None:
    told = client.get("/api/explain?input=4x4&X=1,2,3&F=9,9,9,9&fit=true").json()
    values = {tensor["name"]: tensor["values"] for tensor in told["tensors"]}
    assert values["F"] == [9, 9, 9, 9]
    assert len(values["X"]) == 16


NINE = ",".join(["1"] * 8)
BAD = [
    "input=-1x3", "input=0x0", "input=99999x99999", "input=1e9", "input=NaNx3",
    "input=", "stride=0", "stride=-1", "padding=wide", "dilation=2.5", "groups=3",
    "channels=0x1", "flip=maybe", "layer=hat", "layers=conv:x", "kernel=9x9",
    "bogus=1", "__proto__=1", "../../etc/passwd=1", "X=", "X=1,2", f"X={NINE},nan",
    f"X={NINE},inf", f"X={NINE},1e300", f"X={NINE},<script>", "X=%00", "O=1,2,3,4",
    "count_from=2", "count_from=%F0%9F%98%80", "fit=perhaps", "input=3x3&input=4x4",
    "input=32x32&kernel=16x16", "input=32x32&padding=16&kernel=4x4&dilation=16",
    "seed=-1", "seed=1.5", "seed=1e9", "seed=9999999999", "seed=\u0663",
    "values=random", "pass=dX", "input=3;kernel=2", "=",
]  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_bad_queries_are_answered_with_a_message(client: Any, query: str) -> None:
    answer = client.get(f"/api/explain?{query}")
    assert answer.status_code == 400
    (key,) = answer.json()
    assert key == "error"
    assert "Traceback" not in answer.text
    assert len(answer.text) < 1000


@pytest.mark.parametrize("query", BAD[:8])
def test_a_person_is_answered_in_plain_text(client: Any, query: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("explain: ")


LOOKS = [
    "pass=dZ", "pass=X", "cell=X11", "cell=dX99", "show=colours", "language=fr",
    "theme=pink", "pass=%3Cscript%3E", "view=1",
]  # fmt: skip


@pytest.mark.parametrize("query", LOOKS)
def test_a_page_that_cannot_look_so_is_refused(client: Any, query: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 400
    assert answer.text.startswith("explain: ")
    assert len(answer.text) < 1000


def test_how_the_page_looks_is_in_the_address(client: Any) -> None:
    answer = client.get("/?cell=dX22&show=letters&language=zh&theme=dark&seed=3")
    assert answer.status_code == 200
    data = json.loads(re.search(r'id="data">(.*?)</script>', answer.text)[1])
    assert data["view"] == {"pass": "dX", "cell": "dX22", "show": "letters",
                            "language": "zh", "theme": "dark"}  # fmt: skip
    assert data["document"]["seed"] == 3


HUGE = [
    "input=32x32&kernel=16x16", "input=32x32&channels=16x16&images=8",
    "layer=relu&input=32x32&channels=16&images=8",
    "layer=max_pool&input=32x32&kernel=32x32&padding=16&stride=1",
    "layer=network&input=32x32&channels=16x16&images=8&layers=conv,conv,conv,conv",
    "layer=conv_transpose&input=32x32&kernel=32x32&stride=16&dilation=16",
]  # fmt: skip


def test_what_is_too_large_is_refused_before_it_is_built(client: Any) -> None:
    """Each would take minutes and gigabytes; together they take next to nothing."""
    begin = time.process_time()
    for query in HUGE:
        answer = client.get(f"/api/explain?{query}")
        assert answer.status_code == 400, query
        assert "at most" in answer.json()["error"]
    assert time.process_time() - begin < 10


def test_one_long_answer_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered, leave = threading.Event(), threading.Event()
    plain = _server.read_explanation

    def slow(query: Any) -> Any:
        if query.get("stride") == "2":
            entered.set()
            assert leave.wait(10)
        return plain(query)

    monkeypatch.setattr(_server, "read_explanation", slow)
    with testclient.TestClient(
        explain.application(), base_url="http://127.0.0.1"
    ) as client:
        waiting = threading.Thread(
            target=client.get, args=("/api/explain?stride=2",), daemon=True
        )
        waiting.start()
        assert entered.wait(10)
        assert client.get("/api/explain").status_code == 200
        leave.set()
        waiting.join(10)


@pytest.mark.parametrize(
    "path", ["/nothing", "/api", "/api/explain/..%2f..%2fetc", "/page/page.js"]
)
def test_there_is_nothing_else(client: Any, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_it_is_only_read(client: Any, method: str) -> None:
    assert getattr(client, method)("/api/explain").status_code == 405


def test_a_long_query_is_refused(client: Any) -> None:
    answer = client.get(f"/api/explain?X={'1,' * 30_000}1")
    assert answer.status_code == 400
    assert "at most 40000 are read" in answer.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "rot180.evil.example", "10.0.0.1"])
def test_only_this_machine_s_names_are_answered(client: Any, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8180", "127.0.0.1:9"])
def test_a_port_in_the_host_does_not_matter(client: Any, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


def test_another_site_s_page_gets_nothing(client: Any) -> None:
    asked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors",
             "origin": "https://evil.example"}  # fmt: skip
    answer = client.get("/api/explain", headers=asked)
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]
    assert client.get("/favicon.ico", headers=asked).status_code == 403
    plain = client.get("/api/explain", headers={"origin": "https://evil.example"})
    assert [h for h in plain.headers if h.startswith("access-control")] == []


@pytest.mark.parametrize(
    "path", ["/", "/api/explain", "/?input=0x0", "/nothing", "/favicon.ico"]
)
def test_headers(client: Any, path: str) -> None:
    _assert_headers(client.get(path).headers)
    _assert_headers(client.get(path, headers={"host": "evil.example"}).headers)


def _assert_headers(headers: Any) -> None:
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_the_policy_lets_nothing_in(client: Any) -> None:
    policy = client.get("/").headers["content-security-policy"]
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == parts["base-uri"] == parts["form-action"] == "'none'"
    assert parts["frame-ancestors"] == "'none'"
    assert parts["connect-src"] == "'self'"
    assert parts["script-src"].startswith("'sha256-")
    assert "unsafe" not in policy


def test_a_fault_of_ours_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(_server, "read_explanation", broken)
    client = testclient.TestClient(
        explain.application(),
        base_url="http://127.0.0.1",
        raise_server_exceptions=False,
    )
    answer = client.get("/api/explain")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "please report it" in answer.json()["error"]
