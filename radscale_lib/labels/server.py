"""An HTTP client for one address that follows no redirect, uses no proxy, and repeats no text."""

import http.client
import json
import os
import random
import socket
import ssl
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

from radscale_lib.study.labels import Endpoint, is_inside, outside

KEY = "RADSCALE_ENDPOINT_KEY"
"""Environment variable with the server's key."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second attempt, and at most."""
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_REMEDIES = {
    400: "the server refuses the request: does it know the model, and JSON schemas?",
    401: f"the server wants another key: set {KEY}",
    403: f"the server forbids it: is {KEY} the key of this model?",
    404: "no such page: does labels.endpoint.url end with the version, as /v1, and has the server "
    "this model?",
    413: "the server takes no request of this size: lower labels.endpoint.characters",
    422: "the server refuses the request: does it know the model, and JSON schemas?",
}
_LARGEST = 2**22
"""Bytes of the largest answer that is read."""


class EndpointError(RuntimeError):
    """A server that cannot be used; the message holds no text of a report."""


class Server:
    """Chat completions of a server; safe to use by several threads."""

    def __init__(self, endpoint: Endpoint, first_wait: float = FIRST_WAIT) -> None:
        """Look up the address.

        Raises:
            EndpointError: if it is outside of the institution and texts may not leave it, or is
                unknown.
        """
        self._endpoint, self._first_wait = endpoint, first_wait
        self._key = os.environ.get(KEY, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise EndpointError(f"{KEY}: has characters that no key has: give the key alone")
        parts = urlsplit(endpoint.url)
        self._secure = parts.scheme == "https"
        self.host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = f"{parts.path}/chat/completions"
        self._local = threading.local()
        self._stopped = threading.Event()
        self._error: EndpointError | None = None
        try:
            found = socket.getaddrinfo(self.host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            raise EndpointError(
                f"labels.endpoint.url: no address of {self.host} is known: is its name right?"
            ) from None
        self.inside = all(is_inside(str(address[4][0])) for address in found)
        if not self.inside and not endpoint.texts_leave_institution:
            raise EndpointError(f"labels.endpoint.url: {outside(self.host)}")

    def complete(self, body: dict[str, Any]) -> Any:
        """The first choice of a completion; None if the answer has none.

        Raises:
            EndpointError: if the server refuses all requests, or fails in all attempts.
        """
        content = json.dumps(body).encode()
        why = ""
        for attempt in range(self._endpoint.attempts):
            if self._error is not None:
                raise self._error
            wait, asked = min(self._first_wait * 2**attempt, LONGEST_WAIT), 0.0
            try:
                status, headers, answer = self._send(content)
            except (OSError, http.client.HTTPException) as error:
                self._close()
                why = _named(error)
            else:
                if status == 200:
                    try:
                        return _first_choice(json.loads(answer))
                    except (ValueError, RecursionError):
                        why = "an answer that is no JSON"
                elif status in _AGAIN:
                    why = f"HTTP {status}"
                    asked = _asked_to_wait(headers)
                else:
                    raise self._stop(_refusal(self.host, status))
            if attempt + 1 < self._endpoint.attempts:
                # The attempts of several threads spread; which waits how long changes no result.
                self._stopped.wait(max(asked, wait * (0.5 + random.random() / 2)))
        raise self._stop(
            f"{self.host}: no answer in {self._endpoint.attempts} attempts, the last {why}: what "
            "was answered is kept; start again when the server is well, or raise "
            "labels.endpoint.attempts or timeout"
        )

    def _stop(self, why: str) -> EndpointError:
        """Let nobody try again; the first error is everybody's."""
        self._error = self._error or EndpointError(why)
        self._stopped.set()
        return self._error

    def _send(self, content: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._connection()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection.request("POST", self._path, content, headers)
        response = connection.getresponse()
        answer = response.read(_LARGEST + 1)
        if len(answer) > _LARGEST:
            raise http.client.HTTPException("an answer without end")
        if response.will_close:
            self._close()
        return response.status, response.headers, answer

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            timeout = self._endpoint.timeout
            if self._secure:
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(
                    self.host, self._port, timeout=timeout, context=context
                )
            else:
                connection = http.client.HTTPConnection(self.host, self._port, timeout=timeout)
            connection.connect()
            peer = str(connection.sock.getpeername()[0])
            if not self._endpoint.texts_leave_institution and not is_inside(peer):
                connection.close()  # the name has got another address since it was looked up
                raise EndpointError(f"labels.endpoint.url: {outside(self.host)}")
            self._local.connection = connection
        return connection

    def _close(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def say_where(server: Server, endpoint: Endpoint, texts: int, labels: int) -> None:
    """Say what will be sent where, before it is."""
    where = "of this machine or its private network" if server.inside else "OUTSIDE the institution"
    print(
        f"{texts:,} report texts go to {server.host}, {where}, for {labels} labels by "
        f"{endpoint.model}",
        file=sys.stderr,
        flush=True,
    )


def _refusal(host: str, status: int) -> str:
    if 300 <= status < 400:
        return (
            f"{host}: the server points to another address (HTTP {status}), to which no text is "
            "sent: give that as labels.endpoint.url"
        )
    return f"{host}: HTTP {status}: {_REMEDIES.get(status, 'look into the log of the server')}"


def _first_choice(answer: Any) -> Any:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return choices[0] if isinstance(choices, list) and choices else None


def _asked_to_wait(headers: http.client.HTTPMessage) -> float:
    try:
        return min(max(float(headers.get("Retry-After", 0)), 0.0), LONGEST_WAIT)
    except ValueError:  # a date
        return 0.0


def _named(error: Exception) -> str:
    """Kind of an error; its text might hold an answer."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
