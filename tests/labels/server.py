"""A server on loopback that answers like OpenAI's, and misbehaves on request."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from radscale_lib.labels.rules import RuleReader
from radscale_lib.labels.states import NAMES


def honest(body):
    """A completion by the rules, with evidence."""
    asked = json.loads(body["messages"][1]["content"])
    text = asked["report"]
    reader = RuleReader(list(asked["labels"]))
    said = {
        label: {"state": NAMES[r.state], "evidence": text[max(r.start, 0) : max(r.end, 0)]}
        for label, r in zip(reader.labels, reader.read(text), strict=True)
    }
    return completion(json.dumps(said))


def completion(content, **more):
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"} | more
    return json.dumps({"choices": [choice]}).encode()


@contextmanager
def serve(answer):
    """Serve `answer(number, body) -> bytes | (status, headers, bytes) | "hang" | "drip"`.

    Yields:
        Its address, and the list of bodies that it got.
    """
    got, lock = [], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(got)
                got.append({"path": self.path, "body": body, "headers": dict(self.headers)})
            said = answer(number, body)
            if said == "hang":
                time.sleep(1.0)
                self.close_connection = True
                return
            if said == "drip":
                self.close_connection = True
                with suppress(OSError):  # for minutes, but for a client that hangs up
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
                    for _ in range(9999):
                        self.wfile.write(b" ")
                        time.sleep(0.03)
                return
            status, headers, content = said if isinstance(said, tuple) else (200, {}, said)
            cut = content == b"cut"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(100 if cut else len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = cut

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", got
    finally:
        server.shutdown()
        server.server_close()
