"""An IM system that knows of the push websocket what /asyncapi.json says, and of RFC 6455 what a client needs.

push.py ADDRESS SCENARIO KEY plays one scenario and ends with 0, or with 1 and what was wrong. Where a scenario needs
something done beside it, it prints "need WHAT" and waits for a line of JSON.
"""

import base64
import hashlib
import http.client
import itertools
import json
import os
import socket
import sys
import time

ADDRESS, SCENARIO, KEY = sys.argv[1:4]
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
numbers = itertools.count(1)


class Wrong(Exception):
    pass


class Refused(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, status, header, body):
        super().__init__(f"refused with {status}: {body!r}")
        self.status, self.header, self.body = status, header, body


class Closed(Exception):
    def __init__(self, code, reason):
        super().__init__(f"closed with {code}: {reason}")
        self.code, self.reason = code, reason


def say(*words):
    print(*words, flush=True)


def need(what):
    say("need", what)
    return json.loads(sys.stdin.readline())


def same(what, got, want):
    if got != want:
        raise Wrong(f"{what}: got {got!r}, want {want!r}")


def fetch(path):
    c = http.client.HTTPConnection(ADDRESS, timeout=30)
    c.request("GET", path)
    return json.loads(c.getresponse().read())


DOCUMENT = fetch("/asyncapi.json")
CLOSE_CODES = DOCUMENT["channels"]["push"]["x-close-codes"]
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def follows(schema, value, where):
    """Holds a value against the part of JSON Schema that the document uses."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "type" in schema:
        kind = TYPES[schema["type"]]
        if not isinstance(value, kind) or kind is int and isinstance(value, bool):
            raise Wrong(f"{where} is {value!r}, want {schema['type']}")
    if "const" in schema:
        same(where, value, schema["const"])
    if "enum" in schema and value not in schema["enum"]:
        raise Wrong(f"{where} is {value!r}, which the document doesn't list")
    if "minimum" in schema and value < schema["minimum"]:
        raise Wrong(f"{where} is {value!r}, want at least {schema['minimum']}")
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                raise Wrong(f"{where} lacks {name}")
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                follows(inner, value[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            follows(schema["items"], item, f"{where}[{i}]")


class Client:
    def __init__(self, key=KEY, subprotocol="callsign.v1", answers_pings=True, greeted=True):
        self.answers_pings, self.pings, self.pongs, self.batches = answers_pings, 0, [], itertools.count(1)
        host, port = ADDRESS.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.stream = self.socket.makefile("rb")
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /v1/push HTTP/1.1", f"Host: {ADDRESS}", "Connection: Upgrade", "Upgrade: websocket",
            f"Sec-WebSocket-Key: {nonce}", "Sec-WebSocket-Version: 13",
        ]
        lines += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
        lines += [f"Authorization: Bearer {key}"] if key else []
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(self.stream.readline().split()[1])
        header = http.client.parse_headers(self.stream)
        if status != 101:
            raise Refused(status, header, self.stream.read(int(header.get("Content-Length", 0))))
        want = hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        same("Sec-WebSocket-Accept", header["Sec-WebSocket-Accept"], base64.b64encode(want).decode())
        same("Sec-WebSocket-Protocol", header["Sec-WebSocket-Protocol"], "callsign.v1")
        if greeted:
            self.hello = self.frame("hello")
            self.next = self.hello["resume_from"] + 1

    def write(self, opcode, payload=b"", fin=True, reserved=0, masked=True):
        head = bytes([fin << 7 | reserved << 4 | opcode])
        size = len(payload)
        if size < 126:
            head += bytes([masked << 7 | size])
        elif size < 1 << 16:
            head += bytes([masked << 7 | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([masked << 7 | 127]) + size.to_bytes(8, "big")
        if masked:
            mask = os.urandom(4)
            head += mask
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.socket.sendall(head + payload)

    def text(self, value):
        self.write(TEXT, value.encode())

    def read(self, size):
        data = self.stream.read(size)
        if len(data) < size:
            raise Wrong("the connection ended without a close frame")
        return data

    def receive(self):
        """The next frame but for pings and pongs, held against the document."""
        while True:
            first, second = self.read(2)
            opcode, size = first & 15, second & 127
            if not first & 128 or first & 112 or second & 128:
                raise Wrong(f"the server sent a frame that begins with {first:#x} {second:#x}")
            if size > 125:
                size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
            payload = self.read(size)
            if opcode == PING:
                self.pings += 1
                if self.answers_pings:
                    self.write(PONG, payload)
                return PING
            if opcode == PONG:
                self.pongs.append(payload)
                return PONG
            if opcode == CLOSE:
                raise self.closed(payload)
            same("the opcode", opcode, TEXT)
            frame = json.loads(payload)
            say("saw", payload.decode())
            schema = DOCUMENT["components"]["schemas"].get(frame["op"])
            if schema is None:
                raise Wrong(f"the document doesn't know the op {frame['op']}")
            follows(schema, frame, frame["op"])
            return frame

    def closed(self, payload):
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        closed = Closed(code, payload[2:].decode())
        say("saw close", code, closed.reason)
        try:
            self.write(CLOSE, payload[:2])
        except OSError:
            pass  # it is gone already
        return closed

    def frame(self, op=None):
        while isinstance(frame := self.receive(), int):
            pass
        if op:
            same("op", frame["op"], op)
        return frame

    def send(self, *events, seq=None, **members):
        """Sends a batch and gives what its answer must repeat: its name, its last number and the events' ids."""
        batch = f"b{next(self.batches)}"
        if seq is None:
            seq = [self.next, self.next + len(events) - 1]
            self.next += len(events)
        self.text(json.dumps({"op": "events", "batch": batch, "seq": seq, "events": events, **members}))
        return batch, seq[1], [e.get("id") if isinstance(e, dict) else None for e in events]

    def acked(self, sent, up_to=None):
        batch, last, ids = sent
        ack = self.frame("ack")
        same("batch", ack["batch"], batch)
        same("up_to", ack["up_to"], up_to or last)
        same("ids", [r["id"] for r in ack["results"]], ids)
        same("credit", ack["credit"], self.hello["credit"])
        return [r["status"] for r in ack["results"]]

    def nacked(self, sent, code, retryable, blamed=""):
        nack = self.frame("nack")
        error = nack["error"]
        same("batch", nack["batch"], sent[0])
        same("code", error["code"], code)
        same("retryable", error["retryable"], retryable)
        same("the blamed event", error["id"], blamed)
        if code != "unavailable":
            self.next = sent[1] - len(sent[2]) + 1
        return error

    def push(self, *events):
        return self.acked(self.send(*events))

    def closes(self, *codes, before=()):
        """The close code, which the document must have. Frames of these ops may come before it."""
        try:
            while True:
                frame = self.frame()
                if frame["op"] not in before:
                    raise Wrong(f"got {frame}, want the connection to close with {codes}")
        except Closed as closed:
            if closed.code not in codes or str(closed.code) not in CLOSE_CODES:
                raise Wrong(f"{closed}; want one of {codes}") from None
            self.socket.close()
            return closed

    def leave(self):
        self.write(CLOSE, (1000).to_bytes(2, "big"))
        try:
            while True:
                self.receive()
        except Closed as closed:
            same("the answer to our close", closed.code, 1000)
        self.socket.close()


def event(account="known", text="On the road", kind="changed", **attributes):
    n = next(numbers)
    e = {"specversion": "1.0", "type": f"im.callsign.signature.{kind}", "source": "im", "id": f"e{n}", "subject": account, "accountversion": n}
    if text is not None:
        e["data"] = {"text": text}
    e |= attributes
    return {k: v for k, v in e.items() if v is not ...}  # ... leaves an attribute out


def refused(status, **how):
    try:
        Client(**how)
    except Refused as r:
        say("saw", r.status, r.header["Content-Type"], r.body.decode())
        same("status", r.status, status)
        same("Content-Type", r.header["Content-Type"], "application/problem+json")
        problem = json.loads(r.body)
        same("status in the body", problem["status"], status)
        if not isinstance(problem.get("code"), str) or not problem["code"]:
            raise Wrong(f"{problem} has no code")
        return r
    raise Wrong(f"connected, want {status}")


def hello():
    c = Client()
    same("hello", {k: v for k, v in c.hello.items() if k not in ("op", "session")}, need("limits") | {"resume_from": 0})
    c.write(PING, b"are you there")
    while not c.pongs:
        c.receive()
    same("the pong", c.pongs, [b"are you there"])
    c.leave()


def ack():
    c = Client()
    same("the first", c.push(first := event()), ["stored"])
    same("it again, with its number", c.acked(c.send(first, seq=[1, 1])), ["duplicate"])
    same("it again, as a new one", c.push(first), ["duplicate"])
    same("an older one", c.push(event(accountversion=0)), ["stale"])
    same("one by time, after versions", c.push(event(accountversion=..., time="2099-01-01T00:00:00Z")), ["stale"])
    same("of nobody", c.push(event("nobody")), ["unlinked"])
    same("too long", c.push(event(text="é" * 1024 + "x")), ["rejected"])
    same("as long as may be", c.push(event(text="é" * 1024)), ["stored"])
    same("version and epoch as strings", c.push(event(accountversion="1", accountepoch="1")), ["stored"])
    same("a greater version of an older epoch", c.push(event(accountversion=1 << 62)), ["stale"])
    same("the greatest version", c.push(event(accountversion=(1 << 63) - 1, accountepoch=1)), ["stored"])
    same("by time", c.push(event("timed", accountversion=..., time="2026-01-01T12:00:00+08:00")), ["stored"])
    same("by an earlier time", c.push(event("timed", accountversion=..., time="2026-01-01T03:59:59.999Z")), ["stale"])
    now = event("timeless", accountversion=...)
    same("without a time", c.push(now), ["stored"])
    same("it again without a time", c.acked(c.send(now, seq=[c.next - 1] * 2)), ["duplicate"])
    mixed = [event("nobody"), event(text="Mixed", accountepoch=2), event(accountversion=0), event(text="x" * 2049)]
    same("a batch", c.push(*mixed), ["unlinked", "stored", "stale", "rejected"])
    same("its text", need("text"), "Mixed")
    same("a snapshot", c.push(event(text="Seen", kind="snapshot", accountepoch=3)), ["stored"])
    same("its text", need("text"), "Seen")
    same("cleared", c.push(event(text=None, kind="cleared", accountepoch=4)), ["stored"])
    same("its text", need("text"), "")
    odd = event(text="Odd", accountepoch=5, datacontenttype="application/json", colour="blue")
    odd["data"] |= {"lang": "en-GB", "expires_at": "2099-01-01T00:00:00Z", "mood": 7}
    same("with what the document doesn't know", c.acked(c.send(odd, later={"x": [1]})), ["stored"])
    same("its text", need("text"), "Odd")
    same("an empty text", c.push(event(text="", accountepoch=6)), ["stored"])
    same("its text", need("text"), "")
    nameless = {"op": "events", "seq": [c.next, c.next], "events": [event(accountepoch=7)]}
    c.text(json.dumps(nameless))
    same("the batch of a frame without one", c.frame("ack")["batch"], "")
    c.leave()


def nack():
    c = Client()
    for bad in (
        event(specversion="0.3"), event(specversion=...), event(type="im.callsign.other"), event(type=...), event(source=...),
        event(source=""), event(subject=...), event(subject=""), event(subject="x" * 513),
        event(time="yesterday"), event(accountversion=-1), event(accountversion="1x"), event(accountversion=1.5),
        event(accountversion=1 << 63), event(accountversion=..., accountepoch=1), event(datacontenttype="text/plain"),
        event(data="On the road"), event(data={}), event(data={"text": 7}), event(data={"text": "x", "lang": "x" * 36}),
        event(data={"text": "x", "expires_at": "never"}),
    ):
        say("sends", json.dumps(bad)[:200])
        blamed = c.nacked(c.send(event(), bad), "bad_event", False, blamed=bad["id"])
        same("retry_after_ms", blamed["retry_after_ms"], 0)
    for bad in (event(id=...), event(id=""), event(id=7), "an event", None):
        say("sends", json.dumps(bad))
        c.nacked(c.send(bad), "bad_event", False)
    c.nacked(c.send(*[event() for _ in range(c.hello["max_batch"] + 1)]), "too_many_events", False)
    for seq in ([1, 3], [1, 1], [2, 1], [0, 1], [-1, 0]):
        c.nacked(c.send(event(), event(), seq=seq), "seq_mismatch", False)
    c.nacked(c.send(seq=[1, 1]), "seq_mismatch", False)
    c.nacked(c.send(event(), seq=[2, 2]), "seq_gap", False)
    c.next = 1
    same("nothing of them was taken: number 1", c.push(event()), ["stored"])
    bad = event(subject=...)
    wrong, behind = c.send(bad), c.send(event())  # both are under way
    c.nacked(wrong, "bad_event", False, blamed=bad["id"])
    c.nacked(behind, "seq_gap", False)
    c.next = 2
    same("on from the event after the last up_to", c.push(event()), ["stored"])
    c.leave()
    same("resume_from", Client().hello["resume_from"], 2)


def not_utf8():
    c = Client()
    half = "\ud83d"  # of a surrogate pair, which JSON can escape and UTF-8 can't hold
    same("a text that is not UTF-8", c.push(event(text=half)), ["rejected"])


def blamed_id():
    c = Client()
    long = event(id="x" * 513)
    c.nacked(c.send(long), "bad_event", False, blamed=long["id"][:512])


def credit():
    c = Client()
    many = [event() for _ in range(c.hello["credit"] + 1)]
    c.nacked(c.send(*many), "over_credit", True)
    same("what may be sent after one", c.push(*many[:-1]), ["stored"] * (len(many) - 1))
    c.send(*many)
    c.closes(4429, before=("nack",))


def batches():
    c = Client()
    under_way = []
    for i in range(10 * c.hello["credit"]):
        if len(under_way) == c.hello["credit"]:
            same(f"after {i} batches", c.acked(under_way.pop(0)), ["stored"])
        under_way.append(c.send(event(text=f"text {i}")))
    for sent in under_way:
        same("the last ones", c.acked(sent), ["stored"])
    again = [c.send(event(), seq=[n, n]) for n in (1, 2)]  # newer texts with numbers that were used
    for sent in again:
        c.acked(sent, up_to=c.next - 1)  # cumulative: never back
    c.leave()


def resume():
    c = Client()
    all_of_them = [event(text=f"text {i}") for i in range(20)]
    sent = 0
    for _ in range(4):
        c.push(*all_of_them[sent : sent + 2])
        sent += 2
    c.send(*all_of_them[sent : sent + 3])
    c.socket.close()  # in the middle: whether these are kept, hello tells
    for _ in range(3):
        c = Client()
        resume_from = c.hello["resume_from"]
        if resume_from not in (sent, sent + 3):
            raise Wrong(f"resume_from is {resume_from}, want {sent} or {sent + 3}")
        sent = resume_from
        c.send(*all_of_them[sent : sent + 3])
        c.socket.close()
    c = Client()
    sent = c.hello["resume_from"]
    c.next = 1
    for i in range(0, sent, 4):  # from the first again: all are answered again
        before = all_of_them[i : min(i + 4, sent)]
        statuses = c.acked(c.send(*before), up_to=sent)
        if set(statuses) - {"duplicate", "stale"}:
            raise Wrong(f"what was kept before is now {statuses}")
    while sent < len(all_of_them):
        c.next = sent + 1
        statuses = c.push(*all_of_them[sent : sent + 4])  # what was under way as the connection ended may be kept since then
        if set(statuses) - {"stored", "duplicate", "stale"}:
            raise Wrong(f"the rest is {statuses}")
        sent = min(sent + 4, len(all_of_them))
    c.leave()
    same("resume_from", Client().hello["resume_from"], len(all_of_them))
    same("its text", need("text"), "text 19")


def replaced():
    older = Client()
    older.push(event())
    newer = Client()
    same("resume_from of the newer", newer.hello["resume_from"], 1)
    older.closes(4409)
    same("the newer goes on", newer.push(event()), ["stored"])
    newer.leave()


def source():
    other = Client(need("another source's key"))
    same("each source has its own numbers", other.hello["resume_from"], 0)
    c = Client()
    same("the source of the key", c.push(event()), ["stored"])
    same("the other's numbers", other.push(event(source="other")), ["stored"])
    foreign = event(source="other")
    c.nacked(c.send(event(), foreign), "source_not_allowed", False, blamed=foreign["id"])
    c.closes(4403)
    c = Client()
    same("nothing of it was taken", c.hello["resume_from"], 1)
    c.leave()
    other.leave()


def resync():
    c = Client()
    late = event("late", text="Too early")
    same("before it is linked", c.push(late), ["unlinked"])
    need("link late")
    same("account", c.frame("resync")["account"], "late")
    same("the snapshot", c.push(event("late", text="Now", kind="snapshot")), ["stored"])
    same("its text", need("text late"), "Now")
    c.leave()


def broken():
    def after(code, act):
        c = Client()
        act(c)
        c.closes(code)

    good = {"op": "events", "batch": "b", "seq": [1, 1], "events": [event()]}
    after(4400, lambda c: c.write(BINARY, json.dumps(good).encode()))
    for text in ("", "hello", '{"op":"events"', "[]", "null", "7", '{"op":"ack"}', "{}", '{"op":7}'):
        after(4400, lambda c: c.text(text))
    for wrong in ({"op": "EVENTS"}, {"batch": "x" * 129}, {"batch": 7}, {"seq": None}, {"seq": [1]}, {"seq": [1, 1, 1]}, {"seq": ["1", "1"]}, {"seq": [1.5, 1.5]}, {"events": {}}):
        say("sends", wrong)
        after(4400, lambda c: c.text(json.dumps(good | wrong)))
    after(1002, lambda c: c.write(TEXT, b"{}", reserved=4))
    after(1002, lambda c: c.write(TEXT, b"{}", masked=False))
    after(1002, lambda c: c.write(3, b"{}"))
    after(1002, lambda c: c.write(11, b""))
    after(1002, lambda c: c.write(CONTINUATION, b"{}"))
    after(1002, lambda c: c.write(PING, b"x" * 126))
    after(1002, lambda c: c.write(PING, b"x", fin=False))
    after(1002, lambda c: (c.write(TEXT, b"{", fin=False), c.write(TEXT, b"}")))
    after(1007, lambda c: c.write(TEXT, json.dumps(good).encode().replace(b"road", b"\xff\xfe")))
    size = Client().hello["max_bytes"]
    after(1009, lambda c: c.write(TEXT, b" " * (size + 1)))
    after(1009, lambda c: (c.write(TEXT, b" " * size, fin=False), c.write(CONTINUATION, b"  ")))
    c = Client()
    same("none of these was taken", c.hello["resume_from"], 0)
    longest = json.dumps(good, ensure_ascii=False).encode()
    c.write(TEXT, longest + b" " * (size - len(longest)))
    same("a frame as long as may be", c.frame("ack")["up_to"], 1)
    good |= {"seq": [2, 2], "batch": "é" * 64, "events": [event(text="山高水长")]}
    pieces = json.dumps(good, ensure_ascii=False).encode()
    for i in range(len(pieces)):  # also in the middle of a character
        c.write(CONTINUATION if i else TEXT, pieces[i : i + 1], fin=i == len(pieces) - 1)
        if i == 7:
            c.write(PING, b"between")
    answer = c.frame("ack")
    same("a frame in pieces", (answer["up_to"], answer["batch"], c.pongs), (2, "é" * 64, [b"between"]))
    same("its text", need("text"), "山高水长")
    c.leave()


def refusals():
    for key in (None, "", "cs_wrong"):
        r = refused(401, key=key)
        same("WWW-Authenticate", r.header["WWW-Authenticate"], "Bearer")
    refused(403, key=need("an administrator's key"))
    refused(400, subprotocol=None)
    refused(400, subprotocol="callsign.v2")
    Client(subprotocol="mqtt, callsign.v1").leave()


def expires():
    key = need("a key that expires")
    Client(key).closes(4401)
    refused(401, key=key)


def revoked():
    c = Client()
    c.push(event())
    need("revoke")
    c.closes(4401)
    refused(401)


def silent():
    Client(answers_pings=False).closes(4408)
    c = Client()
    while c.pings < 6:
        c.receive()
    same("one that answers pings stays", c.push(event()), ["stored"])
    c.answers_pings, already = False, c.pings
    c.socket.settimeout(None)
    while c.pings < already + 6:
        c.write(PING)  # a sign of life too; its pong paces this loop
        c.receive()
        time.sleep(0.02)
    same("one that pings stays", c.push(event()), ["stored"])
    c.closes(4408)


def full():
    c = Client()
    try:
        Client(need("another source's key"), greeted=False).closes(1013)
        same("who was there goes on", c.push(event()), ["stored"])
        newer = Client()  # there is room for one that takes over
        c.closes(4409)
        newer.leave()
    finally:
        c.socket.close()


def goaway():
    c = Client()
    under_way = [c.send(event()) for _ in range(c.hello["credit"])]
    need("stop")
    told = False
    while under_way or not told:
        frame = c.frame()
        if frame["op"] == "goaway":
            if told or not frame["reason"] or frame["grace_ms"] > need("grace"):
                raise Wrong(f"got {frame}")
            told = True
            continue
        same("op", frame["op"], "ack")
        same("batch", frame["batch"], under_way.pop(0)[0])
    c.closes(1012)


def chatty():
    c = Client()
    need("stop")
    while c.frame()["op"] != "goaway":
        pass
    try:
        while True:  # never silent: grace ends it
            c.push(event())
            time.sleep(0.05)
    except Closed as closed:
        same("the close code", closed.code, 1012)


def unavailable():
    c = Client()
    c.push(event())
    need("stop the store")
    sent = [c.send(event()) for _ in range(3)]
    for i, batch in enumerate(sent):
        nack = c.frame("nack")
        same("batch", nack["batch"], batch[0])
        if nack["error"]["code"] not in (("unavailable", "seq_gap") if i else ("unavailable",)):
            raise Wrong(f"got {nack}")
        if nack["error"]["code"] == "unavailable":
            same("retryable", nack["error"]["retryable"], True)
            wait = nack["error"]["retry_after_ms"]
    r = refused(503, key=need("another source's key"))
    if not r.header["Retry-After"]:
        raise Wrong("no Retry-After")
    need("start the store")
    c.next = 2
    while True:
        time.sleep(wait / 1000)
        c.send(event(text="Back"))
        answer = c.frame()
        if answer["op"] == "ack":
            break
        same("code", answer["error"]["code"], "unavailable")
        c.next = 2
    same("up_to", answer["up_to"], 2)
    same("status", answer["results"][0]["status"], "stored")
    c.leave()
    same("its text", need("text"), "Back")


try:
    {
        f.__name__: f
        for f in (
            hello, ack, nack, not_utf8, blamed_id, credit, batches, resume, replaced, source, resync, broken, refusals, expires, revoked, silent, full, goaway,
            chatty, unavailable,
        )
    }[SCENARIO]()
except (Wrong, Refused, Closed, OSError) as wrong:
    sys.exit(f"{SCENARIO}: {type(wrong).__name__}: {wrong}")
