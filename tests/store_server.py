"""moto's server on loopback, as a store that counts requests and fails when it is told to."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "some-key-id",
    "AWS_SECRET_ACCESS_KEY": "a-secret-access-key",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "none",
    "AWS_SHARED_CREDENTIALS_FILE": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "bucket"


class Request(NamedTuple):
    """What came."""

    method: str
    path: str
    query: str

    @property
    def kind(self) -> str:
        """As stores charge it: `LIST` is a GET of a bucket."""
        is_list = self.method == "GET" and "list-type=2" in self.query
        return "LIST" if is_list else self.method


class StoreServer:
    """A WSGI application before moto's."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.url = ""
        self.requests: list[Request] = []
        self.fault: Callable[[Request], tuple[str, bytes] | None] = lambda request: None
        """Gives the status and the body of an answer that does not come from the store; a status that is
        empty breaks the connection."""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
        if not request.path.startswith("/moto-api"):
            self.requests.append(request)
            fault = self.fault(request)
            if fault is not None:
                status, body = fault
                if not status:
                    environ["werkzeug.socket"].shutdown(2)
                start(
                    status or "500 gone", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
                )
                return [body]
        answer: Iterable[bytes] = self._application(environ, start)
        return answer

    def kinds(self) -> Counter[str]:
        """How many requests of each kind have come."""
        return Counter(request.kind for request in self.requests)


@contextmanager
def running() -> Iterator[StoreServer]:
    """A store with one empty bucket."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    store = StoreServer(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True)
    store.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        urlopen(
            HttpRequest(f"{store.url}/moto-api/reset", method="POST")
        ).close()  # what it holds is the module's
        client(store).create_bucket(Bucket=BUCKET)
        store.requests.clear()
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def client(store: StoreServer) -> Any:
    """boto3's, for a look at what is there."""
    import boto3

    return boto3.client("s3", **_given(store))


def _given(store: StoreServer) -> dict[str, str]:
    return {
        "endpoint_url": store.url,
        "region_name": "us-east-1",
        "aws_access_key_id": "some-key-id",
        "aws_secret_access_key": "a-secret-access-key",
    }


def error(status: str, code: str, message: str) -> tuple[str, bytes]:
    """An answer as S3 gives it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, body.encode()


def age(part_of_name: str, seconds: float) -> None:
    """Let objects with this in their names be older."""
    from datetime import timedelta

    from moto.s3.models import s3_backends

    for backend in (each["aws"] for each in s3_backends.values() if "aws" in each):
        for bucket in backend.buckets.values():
            for name, key in bucket.keys.items():
                if part_of_name in name:
                    key.last_modified -= timedelta(seconds=seconds)
