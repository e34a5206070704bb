"""The part of RFC 6455 that a client needs which sends and receives text."""

import base64
import hashlib
import os
import socket
import ssl
from http.client import parse_headers
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE = 60  # seconds; the server pings more often


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"refused with {status}: {body.decode()}")
        self.status = status


class Closed(Exception):
    def __init__(self, code, reason):
        super().__init__(f"closed with {code}: {reason}")
        self.code = code


class WebSocket:
    def __init__(self, url, headers, subprotocol):
        u = urlsplit(url)
        self.socket = socket.create_connection((u.hostname, u.port or (443 if u.scheme == "wss" else 80)), PATIENCE)
        if u.scheme == "wss":
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=u.hostname)
        nonce = base64.b64encode(os.urandom(16)).decode()
        headers = headers | {
            "Host": u.netloc, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": nonce,
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": subprotocol,
        }
        lines = [f"GET {u.path or '/'} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = self.socket.makefile("rb", buffering=0)  # without a buffer: what follows is a frame, and select must see it
        status = int(answer.readline().split()[1])
        header = parse_headers(answer)
        if status != 101:
            raise Refused(status, answer.read(int(header.get("Content-Length") or 0)))
        accept = hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if header["Sec-WebSocket-Accept"] != base64.b64encode(accept).decode():
            raise OSError("no websocket")
        self.came, self.message = b"", b""

    def fileno(self):
        return self.socket.fileno()

    def send(self, text):
        self.write(TEXT, text.encode())

    def write(self, opcode, data):
        size = len(data)
        if size < 126:
            length = bytes([128 | size])
        elif size < 1 << 16:
            length = bytes([128 | 126]) + size.to_bytes(2, "big")
        else:
            length = bytes([128 | 127]) + size.to_bytes(8, "big")
        mask = os.urandom(4)
        stream = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        self.socket.sendall(bytes([128 | opcode]) + length + mask + masked)

    def receive(self):
        """Reads once, and gives the text messages that are complete. Pings are answered."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise OSError("the connection is lost")
        if isinstance(self.socket, ssl.SSLSocket) and (more := self.socket.pending()):
            data += self.socket.recv(more)  # what TLS holds back, select doesn't see
        self.came += data
        while (frame := self.frame()) is not None:
            final, opcode, payload = frame
            if opcode == PING:
                self.write(PONG, payload)
            elif opcode == CLOSE:
                self.write(CLOSE, payload[:2])
                raise Closed(int.from_bytes(payload[:2], "big") if payload else 1005, payload[2:].decode())
            elif opcode in (TEXT, CONTINUATION):
                self.message += payload
                if final:
                    text, self.message = self.message.decode(), b""
                    yield text

    def frame(self):
        """Takes a frame from what came, if it is there as a whole."""
        if len(self.came) < 2:
            return None
        first, size, head = self.came[0], self.came[1], 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(self.came[2:head], "big")
        if len(self.came) < head + size:  # also where the length itself is cut
            return None
        payload, self.came = self.came[head : head + size], self.came[head + size :]
        return first & 128, first & 15, payload

    def close(self):
        self.write(CLOSE, (1000).to_bytes(2, "big"))
        self.socket.close()
