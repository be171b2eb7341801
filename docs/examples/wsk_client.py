#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of wsk-xdp daemon in the Python standard library: it sends a datagram, and receives what comes.

    wsk_client.py [--socket PATH] [--bind ADDR:PORT] [--receive N] [DST:PORT TEXT]

It speaks the protocol of docs/protocol.md over one SOCK_SEQPACKET connection, with one socket at a time and one datagram
a message. Exit code 0; 1 when the daemon refuses, with the reason's name and number on standard error.
"""

import argparse
import ipaddress
import re
import socket
import struct
import sys

MAGIC = 0x584B5357
LARGEST = 131072
HELLO, OPEN, CLOSE, SEND, CREDIT = 1, 2, 8, 10, 11
REPLY, RECV, DEAD, ERROR = 0x8000, 0x4001, 0x4002, 0x40FF
RECEIVE = 1 << 1  # feature
IPV4, IPV6 = 2, 23
SOCKET = 1  # the client numbers its sockets itself


class Refused(Exception):
    """The daemon says no. The number of the reason never changes, the text is for people."""

    def __init__(self, status, reason, text):
        super().__init__(f"{text or 'refused'} (reason {reason}, status {status:#010x}; wsk-xdp explain {reason})")


def failure(status, body):
    reason, length = struct.unpack_from("<II", body)
    return Refused(status, reason, body[8 : 8 + length].decode())


def mapped(address):
    """16 bytes; an IPv4 address is v4-mapped."""
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def unmapped(raw):
    address = ipaddress.IPv6Address(raw)
    return address.ipv4_mapped or address


class Session:
    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.connect(path)
        self.sequence = 0
        self.received = []  # RECV messages that came while a reply was awaited
        name = b"wsk_client.py"
        body = struct.pack("<IHHQII32s", MAGIC, 1, 0, RECEIVE, LARGEST, 0, name)
        try:
            sequence = self.send(HELLO, 0, body)
        except (BrokenPipeError, ConnectionResetError):
            sequence = self.sequence  # it has closed its end: its reason is to be read
        answer = self.reply(sequence)
        magic, major = struct.unpack_from("<IH", answer)
        if magic != MAGIC or major != 1:
            raise ValueError("this is no daemon that speaks version 1")

    def send(self, kind, number, body, sequence=None):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        self.connection.send(struct.pack("<IIII", kind, sequence, number, 0) + body)
        return sequence

    def message(self):
        try:
            raw = self.connection.recv(LARGEST)
        except ConnectionResetError:  # stands in front of what was sent before the end
            raw = self.connection.recv(LARGEST)
        if not raw:
            raise EOFError("the daemon has closed the connection")
        kind, sequence, _, status = struct.unpack_from("<IIII", raw)
        return kind & 0xFFFF, sequence, status, raw[16:]

    def reply(self, sequence):
        """The body of the next reply to a request. Notifications that come before it are taken."""
        while True:
            kind, of, status, body = self.message()
            if kind == ERROR or kind == DEAD:
                raise failure(0xC00000B6, body)
            if kind == RECV:
                self.received.append(body)
            elif kind & REPLY and of == sequence:
                if status:
                    raise failure(status, body)
                return body

    def open(self, address, port):
        family = IPV4 if address.version == 4 else IPV6
        body = struct.pack("<HB13x16sIHH", family, 0, mapped(address), 0, port, 0)
        answer = self.reply(self.send(OPEN, SOCKET, body))
        raw, _, port = struct.unpack_from("<16sIH", answer)
        self.send(CREDIT, SOCKET, struct.pack("<I", 8), sequence=0)
        return unmapped(raw), port

    def send_datagram(self, address, port, payload, ttl=64, tos=0):
        entry = struct.pack(
            "<IIIHH16s16sIBBBBQ", 0, len(payload), 7, 0, port, mapped(address), bytes(16), 0, ttl, tos, 0, 0, 0
        )
        body = struct.pack("<II", 1, 0) + entry + payload + bytes(-len(payload) % 8)
        answer = self.reply(self.send(SEND, SOCKET, body))
        _, _, _, status, sent, reason = struct.unpack_from("<IIIIII", answer)
        if status:
            raise Refused(status, reason, "the datagram was not sent")
        return sent

    def receive(self):
        """Yields (source, port, TTL, TOS, payload) for ever."""
        while True:
            while not self.received:
                kind, _, _, body = self.message()
                if kind == RECV:
                    self.received.append(body)
                elif kind in (ERROR, DEAD):
                    raise failure(0xC00000B6, body)
            body = self.received.pop(0)
            self.send(CREDIT, SOCKET, struct.pack("<I", 1), sequence=0)
            (count,) = struct.unpack_from("<I", body)
            at = 8
            for _ in range(count):
                size, length = struct.unpack_from("<II", body, at)
                port, _, ttl, tos, _, kind = struct.unpack_from("<HHBBBB", body, at + 48)
                if kind == 0:
                    payload = body[at + 64 : at + 64 + length]
                    yield unmapped(body[at + 8 : at + 24]), port, ttl, tos, payload
                at += size

    def close(self):
        self.reply(self.send(CLOSE, SOCKET, b""))
        self.connection.close()


def endpoint(text):
    match = re.fullmatch(r"\[?([0-9a-fA-F:.]+?)\]?:(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDR:PORT")
    return ipaddress.ip_address(match[1]), int(match[2])


def main():
    parser = argparse.ArgumentParser(description="Send a datagram through wsk-xdp daemon, and receive.")
    parser.add_argument("--socket", default="/run/wsk-xdp/wsk.sock")
    parser.add_argument("--bind", type=endpoint)
    parser.add_argument("--receive", type=int, default=0, metavar="N", help="end after N datagrams that have come")
    parser.add_argument("--ttl", type=int, default=64)
    parser.add_argument("--tos", type=int, default=0)
    parser.add_argument("destination", nargs="?", type=endpoint)
    parser.add_argument("text", nargs="?", default="hello from Python")
    arguments = parser.parse_args()
    bind = arguments.bind
    if bind is None:
        version = arguments.destination[0].version if arguments.destination else 4
        bind = ipaddress.ip_address("0.0.0.0" if version == 4 else "::"), 0
    try:
        session = Session(arguments.socket)
        address, port = session.open(*bind)
        print(f"bound to {address} port {port}", flush=True)
        if arguments.destination:
            sent = session.send_datagram(*arguments.destination, arguments.text.encode(), arguments.ttl, arguments.tos)
            print(f"sent {sent} bytes", flush=True)
        datagrams = session.receive()
        for _ in range(arguments.receive):
            source, port, ttl, tos, payload = next(datagrams)
            print(f"received {payload!r} from {source} port {port} TTL {ttl} TOS {tos:#04x}", flush=True)
        session.close()
    except (Refused, EOFError, OSError, ValueError) as error:
        print(f"wsk_client.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
