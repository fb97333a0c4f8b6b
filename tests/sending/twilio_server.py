"""A server that behaves as data/twilio.md says Twilio does, as a program of its own: for tests, chaos and benchmarks.

It takes messages, tells of them (one, by recipient, by day, in pages), calls back with retries, and misbehaves on demand. Its
second
port controls it: `twilio_control.py` starts it and speaks to that. Everything that it took is counted, by attempt and by number.

    python -m tests.sending.twilio_server --port 0 --control-port 0 [--tls-certificate F --tls-key F]

It prints one line of JSON with its ports as soon as it listens.
"""

import argparse
import asyncio
import dataclasses
import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import uvloop

from tests.sending.twilio_state import API, Answer, Behaviour, Fault, Twilio, error

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AUTHORIZATION: Final = re.compile(rb"\r\nauthorization: *([^\r]*)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One client's connection: requests in, one after the other, and an answer to each."""

    def __init__(
        self,
        all_of_them: set["Connection"],
        take: Callable[["Connection", "Request"], None],
        count: Callable[[], None],
    ) -> None:
        self._count = count
        self._all = all_of_them
        self._take = take
        self._buffer = b""
        self._is_busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._all.add(self)
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._all.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if self._is_busy or end < 0:
            return
        head = self._buffer[:end]
        match = _LENGTH.search(head)
        whole = end + 4 + (int(match[1]) if match else 0)
        if len(self._buffer) < whole:
            return
        body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
        method, target, _ = head[: head.find(b"\r\n")].decode().split(" ")
        path, _, query = target.partition("?")
        self._is_busy = True
        self._take(self, Request(method, path, query, head, body))

    def reply(self, answer: Answer) -> None:
        """Answer the request that came last."""
        status, document, headers = answer
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head.encode() + body)
        self._is_busy = False
        self._next()

    def cut(self) -> None:
        """End it at once, by a reset."""
        if self._transport is not None:
            self._transport.abort()


@dataclasses.dataclass(slots=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: str
    head: bytes
    body: bytes


class Server:
    """Both ports, and the way from a request to its answer."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.twilio = Twilio()
        self._api = API(self.twilio)
        self._port = port
        self._tls = tls
        self._connections: set[Connection] = set()
        self._listening: asyncio.Server | None = None

    async def listen(self) -> int:
        """Listen; after the first time on the same port again. Gives the port."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            lambda: Connection(self._connections, self._take, self._count),
            "127.0.0.1",
            self._port,
            ssl=self._tls,
            backlog=1024,
        )
        self._port = self._listening.sockets[0].getsockname()[1]
        return self._port

    def _count(self) -> None:
        self.twilio.connections += 1

    def stop_listening(self) -> None:
        """Refuse connections, and cut those that are there."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self.cut()

    def cut(self) -> None:
        """Cut all connections."""
        for connection in list(self._connections):
            connection.cut()

    def _take(self, connection: Connection, request: Request) -> None:
        twilio = self.twilio
        twilio.requests += 1
        authorization = _AUTHORIZATION.search(request.head)
        if not self._api.is_allowed(authorization[1].decode() if authorization else ""):
            twilio.refused["20003"] += 1
            connection.reply(error(401, 20003))
        elif request.method == "GET":
            connection.reply(self._api.get(request.path, request.query))
        elif self._api.is_creation(request.path):
            self._create(connection, dict(parse_qsl(request.body.decode())))
        else:
            connection.reply(error(404, 20404))

    def _create(self, connection: Connection, fields: dict[str, str]) -> None:
        twilio = self.twilio
        fault = twilio.take_fault(fields.get("To", ""))
        if twilio.running >= twilio.behaviour.most_requests:
            twilio.refused["20429"] += 1
            connection.reply(error(429, 20429, {"Twilio-Concurrent-Requests": str(twilio.running)}))
            return
        delay = twilio.behaviour.answer_after + (fault.seconds if fault else 0.0)
        if delay == 0.0:
            self._finish(connection, fields, fault)
            return
        twilio.running += 1
        twilio.most_running = max(twilio.most_running, twilio.running)

        def finish() -> None:
            twilio.running -= 1
            self._finish(connection, fields, fault)

        asyncio.get_running_loop().call_later(delay, finish)

    def _finish(self, connection: Connection, fields: dict[str, str], fault: Fault | None) -> None:
        twilio = self.twilio
        refusal = self._api.refusal(fields)
        answer = refusal
        if refusal is None and (fault is None or fault.creates or fault.then == "answer"):
            answer = 201, twilio.document(twilio.create(fields)), {}
        elif refusal is not None:
            twilio.refused[str(refusal[1]["code"])] += 1
        match fault.then if fault is not None else "answer":
            case "hang":
                pass
            case "cut":
                connection.cut()
            case "unreadable":
                connection.reply((201, b"<html>It works!</html>", {}))
            case "error":
                connection.reply(twilio.misbehave(cast(Fault, fault)))
            case _:
                connection.reply(cast(Answer, answer))


class Control:
    """The second port: what a test asks, in JSON."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def answer(self, request: Request) -> Any:
        """Carry out one call."""
        twilio = self._server.twilio
        asked = json.loads(request.body or b"{}")
        match request.path:
            case "/record":
                return twilio.record()
            case "/messages":
                return [
                    twilio.document(message)
                    | {
                        "created": message.created,
                        "attempt": message.attempt,
                        "callback": message.callback,
                        "options": message.options,
                    }
                    for message in twilio.messages.values()
                ]
            case "/behaviour":
                twilio.behaviour = dataclasses.replace(twilio.behaviour, **asked)
            case "/faults":
                twilio.faults = [Fault(**fault) for fault in asked]
            case "/move":
                twilio.move(twilio.messages[asked["sid"]], asked["status"], asked.get("code"))
            case "/forget":
                twilio.messages.pop(asked["sid"])
            case "/cut":
                self._server.cut()
            case "/stop":
                self._server.stop_listening()
            case "/listen":
                await self._server.listen()
            case "/reset":
                twilio.forget(Behaviour())
            case _:
                return {"error": "no such call"}
        return {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One call of a connection of its own."""
        head = await reader.readuntil(b"\r\n\r\n")
        match = _LENGTH.search(head)
        body = await reader.readexactly(int(match[1]) if match else 0)
        path = head.split(b" ", 2)[1].decode()
        answer = json.dumps(await self.answer(Request("POST", path, "", head, body))).encode()
        writer.write(
            b"HTTP/1.1 200 -\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
        )
        await writer.drain()
        writer.close()


async def _serve(arguments: argparse.Namespace) -> None:
    tls = None
    if arguments.tls_certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
    server = Server(arguments.port, tls)
    port = await server.listen()
    control = await asyncio.start_server(
        Control(server).serve, "127.0.0.1", arguments.control_port, limit=64 * 2**20
    )
    print(json.dumps({"port": port, "control_port": control.sockets[0].getsockname()[1]}), flush=True)
    async with control:
        await control.serve_forever()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--tls-key", type=Path)
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    _main()
