"""Ports of this machine's loopback that lead into another network namespace.

Usage: relay.py NAMESPACE ADDRESS:PORT...    (NAMESPACE: such as /proc/PID/ns/net)

Listens on one free port of 127.0.0.1 for each address, then enters the namespace, where it connects to the addresses:
a socket stays in the namespace that it was made in. Prints the ports, in order, as one JSON line.
"""

import asyncio
import ctypes
import json
import os
import socket
import sys

CLONE_NEWNET = 0x40000000


async def copy(reader, writer):
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()  # the other direction ends too: its peer is gone


async def relay(address, port, reader, writer):
    try:
        inner_reader, inner_writer = await asyncio.open_connection(address, port)
    except OSError:
        writer.transport.abort()  # refused there, so cut off here
        return
    try:
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
    finally:
        inner_writer.close()
        writer.close()


async def serve(listeners):
    servers = []
    for listener, (address, port) in listeners:
        handler = lambda r, w, a=address, p=port: relay(a, p, r, w)
        servers.append(await asyncio.start_server(handler, sock=listener))
    print(json.dumps([listener.getsockname()[1] for listener, _ in listeners]), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(namespace, targets):
    listeners = []
    for target in targets:
        address, port = target.rsplit(":", 1)
        listeners.append((socket.create_server(("127.0.0.1", 0), backlog=512), (address, int(port))))
    descriptor = os.open(namespace, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(descriptor)
    asyncio.run(serve(listeners))


main(sys.argv[1], sys.argv[2:])
