"""An HTTP client for one address: no redirects, no proxy, and no report text in its errors."""

import http.client
import io
import json
import math
import os
import random
import socket
import ssl
import sys
import threading
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from radscale_lib.study.labels import Endpoint, is_inside, outside

KEY = "RADSCALE_ENDPOINT_KEY"
"""Environment variable with the server's key."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second attempt, and maximum wait."""
_AGAIN = frozenset({408, 409, 425, 429})
"""Temporary error statuses, besides those from 500 on."""
_OF_ONE_TEXT = frozenset({400, 413, 422})
"""Statuses that may concern a single text: too long, or stopped by a filter."""
_REMEDIES = {
    400: "the server refuses the request: does it know the model, and JSON schemas?",
    401: f"the server requires another key: set {KEY}",
    403: f"the server forbids it: is {KEY} the key of this model?",
    404: "no such page: does labels.endpoint.url end with the version, such as /v1, and does the "
    "server have this model?",
    413: "the server does not accept a request of this size: lower labels.endpoint.characters",
    422: "the server refuses the request: does it know the model, and JSON schemas?",
}
_LARGEST = 2**22
"""Maximum size of an answer, bytes."""


class EndpointError(RuntimeError):
    """A server that cannot be used; the message holds no report text."""


class RefusedError(EndpointError):
    """A request that the server refuses, whether all requests or only this one."""


class Server:
    """Client of a server's chat completions; thread-safe."""

    def __init__(self, endpoint: Endpoint, first_wait: float = FIRST_WAIT) -> None:
        """Look up the address.

        Raises:
            EndpointError: if it is outside the institution and texts may not leave, or is unknown.
        """
        self._endpoint, self._first_wait = endpoint, first_wait
        self._key = os.environ.get(KEY, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise EndpointError(f"{KEY}: contains characters that no key has: give only the key")
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
        except (OSError, UnicodeError):
            raise EndpointError(
                f"labels.endpoint.url: no address of {self.host} was found: is its name correct?"
            ) from None
        self.inside = all(is_inside(str(address[4][0])) for address in found)
        if not self.inside and not endpoint.texts_leave_institution:
            raise EndpointError(f"labels.endpoint.url: {outside(self.host)}")

    def complete(self, body: dict[str, Any]) -> Any:
        """The first choice of a completion; None if the answer has none.

        Raises:
            RefusedError: if the server refuses this request, or answers it with an error.
            EndpointError: if it refuses all requests, or fails in all attempts.
        """
        content = json.dumps(body).encode()
        why, refusing = "", False
        for attempt in range(self._endpoint.attempts):
            if self._error is not None:
                raise self._error
            wait, asked = min(self._first_wait * 2**attempt, LONGEST_WAIT), 0.0
            try:
                status, headers, answer = self._send(content)
            except (OSError, http.client.HTTPException) as error:
                self._close()
                why, refusing = _named(error), False
            else:
                if status == 200:
                    try:
                        return _first_choice(json.loads(answer))
                    except RefusedError as error:
                        why, refusing = str(error), True
                    except (ValueError, RecursionError):
                        why, refusing = "an answer that is no JSON", False
                elif status in _AGAIN or status >= 500:
                    why, refusing = f"HTTP {status}", False
                    asked = _asked_to_wait(headers)
                elif status in _OF_ONE_TEXT:
                    raise RefusedError(_refusal(self.host, status))
                else:
                    raise self.stop(_refusal(self.host, status))
            if attempt + 1 < self._endpoint.attempts:
                # Spread the attempts of several threads; the waits do not affect results.
                self._stopped.wait(max(asked, wait * (0.5 + random.random() / 2)))
        failed = (
            f"{self.host}: no answer in {self._endpoint.attempts} attempts, the last {why}: its "
            "answers are kept; start again when the server responds, or raise "
            "labels.endpoint.attempts or timeout"
        )
        raise RefusedError(failed) if refusing else self.stop(failed)

    def stop(self, why: str) -> EndpointError:
        """Stop all attempts; all threads raise the first error."""
        self._error = self._error or EndpointError(why)
        self._stopped.set()
        return self._error

    def _send(self, content: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
        deadline = time.monotonic() + self._endpoint.timeout
        connection = self._connection()
        # Not a class, as the type requires but http.client does not.
        connection.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]
        connection.sock.settimeout(_left(deadline))
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
                connection.close()  # the name's address has changed since it was looked up
                raise EndpointError(f"labels.endpoint.url: {outside(self.host)}")
            self._local.connection = connection
        return connection

    def _close(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


class _Raw(io.RawIOBase):
    """Reads a socket until a deadline: single bytes may be slow, but not the whole answer."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)  # keep a closed socket open until it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer) or 0

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that is complete before a deadline, or fails with `TimeoutError`."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp = io.BufferedReader(_Raw(sock, deadline))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def say_where(server: Server, endpoint: Endpoint, texts: int, labels: int) -> None:
    """Report what will be sent where, before sending."""
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
            "sent: if it is correct, set labels.endpoint.url to it"
        )
    remedy = _REMEDIES.get(status, "see the server's log")
    return f"{host}: HTTP {status}: {remedy}"


def _first_choice(answer: Any) -> Any:
    """The first choice of an answer.

    Raises:
        RefusedError: if it is an error.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    for each in (choice, answer if choice is None else None):
        if isinstance(each, dict) and (each.get("error") or each.get("finish_reason") == "error"):
            raise RefusedError("HTTP 200 with an error")
    return choice


def _asked_to_wait(headers: http.client.HTTPMessage) -> float:
    try:
        asked = float(headers.get("Retry-After", 0))
    except ValueError:  # a date
        return 0.0
    return 0.0 if math.isnan(asked) else min(max(asked, 0.0), LONGEST_WAIT)


def _named(error: Exception) -> str:
    """The type of an error; its text might contain an answer."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
