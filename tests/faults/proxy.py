# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that misbehaves as told: one link per (agent, member). The links run in a process of
their own (this file as a program), so that neither the tests' Python nor each other slows them.

    proxies = Proxies()
    link = proxies.link(member.port)      # link.url is what the agent gets as an endpoint
    link.drop()                           # half-open: bytes vanish, connections stay
    link.drop("to_member")                # only what the agent sends; or "to_agent"
    link.freeze("to_agent")               # bytes wait instead of vanishing
    link.delay(0.2)                       # each chunk later by so much
    link.reset()                          # RST to both ends of what is open; new ones pass
    link.refuse()                         # reset, and new ones are refused
    link.heal()                           # connections that lost bytes are reset, the others go on
    proxies.close()
"""
import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading

BOTH = ("to_member", "to_agent")


class Proxies:
    """The process and its links. Thread-safe."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)
        self.lock = threading.Lock()
        self.links = []

    def link(self, port):
        answer = self.ask({"do": "link", "to": port})
        self.links.append(Link(self, answer["port"], port))
        return self.links[-1]

    def ask(self, command):
        with self.lock:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the proxy process has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"proxy: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process.stdout.close()


class Link:
    """One listening port in front of one member."""

    def __init__(self, proxies, port, member_port):
        self.proxies = proxies
        self.port = port
        self.member_port = member_port
        self.url = f"http://127.0.0.1:{port}"

    def drop(self, direction="both"):
        self._set("drop", direction)

    def freeze(self, direction="both"):
        self._set("freeze", direction)

    def delay(self, seconds, direction="both"):
        self._set("pass", direction, seconds)

    def reset(self):
        self.proxies.ask({"do": "reset", "port": self.port})

    def refuse(self):
        self.proxies.ask({"do": "refuse", "port": self.port})

    def heal(self):
        self.proxies.ask({"do": "heal", "port": self.port})

    def open_connections(self):
        return self.proxies.ask({"do": "count", "port": self.port})["open"]

    def _set(self, mode, direction, seconds=0.0):
        ways = BOTH if direction == "both" else (direction,)
        self.proxies.ask({"do": "set", "port": self.port, "mode": mode, "ways": ways, "seconds": seconds})


class Pipe:
    """One direction of one connection, in the proxy's process."""

    def __init__(self, way, reader, writer):
        self.way = way
        self.reader = reader
        self.writer = writer
        self.lost = False

    async def run(self, server):
        loop = asyncio.get_running_loop()
        queue = asyncio.Queue(256)
        sender = asyncio.create_task(self.send(server, queue))
        sender.add_done_callback(self.sent)
        try:
            while True:
                await server.may_read(self.way)
                data = await self.reader.read(65536)
                # It may have been frozen or cut while we waited for these bytes.
                await server.may_read(self.way)
                if server.modes[self.way] == "drop":
                    self.lost = True
                    if not data:
                        await asyncio.Event().wait()  # the end is lost like everything else
                    continue
                await queue.put((loop.time() + server.seconds[self.way], data))
                if not data:
                    break
            await sender
        finally:
            sender.cancel()

    def sent(self, sender):
        if not sender.cancelled() and sender.exception() is not None:
            self.writer.transport.abort()  # the other direction ends with it

    async def send(self, server, queue):
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await server.may_read(self.way)
            if server.modes[self.way] == "drop":
                self.lost = True
                continue
            if not data:
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                return
            self.writer.write(data)
            await self.writer.drain()


class Server:
    """One link, in the proxy's process."""

    def __init__(self, to):
        self.to = to
        self.port = 0
        self.listener = None
        self.modes = dict.fromkeys(BOTH, "pass")
        self.seconds = dict.fromkeys(BOTH, 0.0)
        self.flowing = {way: asyncio.Event() for way in BOTH}
        for event in self.flowing.values():
            event.set()
        self.connections = {}  # task: (pipes, writers)

    async def may_read(self, way):
        await self.flowing[way].wait()

    async def listen(self):
        for _ in range(200):
            port = self.port or random.randrange(20000, 32000)
            try:
                self.listener = await asyncio.start_server(self.accept, "127.0.0.1", port, backlog=128)
                self.port = port
                return
            except OSError:
                if self.port:
                    raise
        raise OSError("no free port")

    async def accept(self, reader, writer):
        task = asyncio.current_task()
        writers = [writer]
        pipes = []
        self.connections[task] = (pipes, writers)
        try:
            member_reader, member_writer = await asyncio.open_connection("127.0.0.1", self.to)
            writers.append(member_writer)
            for one in writers:
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipes += [Pipe("to_member", reader, member_writer), Pipe("to_agent", member_reader, writer)]
            await asyncio.gather(*(pipe.run(self) for pipe in pipes))
            for one in writers:
                one.close()
        except (OSError, asyncio.CancelledError):
            abort(writers)
        finally:
            self.connections.pop(task, None)

    def set(self, mode, ways, seconds):
        for way in ways:
            self.modes[way] = mode
            self.seconds[way] = seconds
            if mode == "freeze":
                self.flowing[way].clear()
            else:
                self.flowing[way].set()

    def reset(self, chosen=lambda pipes: True):
        for task, (pipes, writers) in list(self.connections.items()):
            if chosen(pipes):
                abort(writers)
                task.cancel()

    async def refuse(self):
        if self.listener:
            self.listener.close()
            self.listener = None
        self.reset()

    async def heal(self):
        self.set("pass", BOTH, 0.0)
        self.reset(lambda pipes: any(pipe.lost for pipe in pipes))
        if self.listener is None:
            await self.listen()


def abort(writers):
    for writer in writers:
        sock = writer.get_extra_info("socket")
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        writer.transport.abort()


async def serve():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: None if isinstance(context.get("exception"), OSError)
                               else loop.default_exception_handler(context))
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    servers = {}
    while line := await commands.readline():
        command = json.loads(line)
        answer = {}
        try:
            if command["do"] == "link":
                server = Server(command["to"])
                await server.listen()
                servers[server.port] = server
                answer = {"port": server.port}
            else:
                server = servers[command["port"]]
                if command["do"] == "set":
                    server.set(command["mode"], command["ways"], command["seconds"])
                elif command["do"] == "reset":
                    server.reset()
                elif command["do"] == "refuse":
                    await server.refuse()
                elif command["do"] == "heal":
                    await server.heal()
                elif command["do"] == "count":
                    answer = {"open": len(server.connections)}
        except (OSError, KeyError) as error:
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for server in servers.values():
        server.reset()


if __name__ == "__main__":
    asyncio.run(serve())
