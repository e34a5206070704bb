"""Pushes signatures to Callsign as an IM platform would, with Python 3's standard library:

    CALLSIGN_KEY=cs_… python3 push.py ws://127.0.0.1:8080/v1/push im.example outbox.db < changes.jsonl

A line is {"account":"10001","text":"On the road"}. It counts as taken, and its number is printed, once it is in the outbox on
disk; it leaves the outbox once the server acknowledged it. Killed and started again it goes on where it was: the number it
begins with is that of the last line it took.
"""

import json
import os
import random
import select
import sqlite3
import sys
import time

from websocket import Closed, Refused, WebSocket

URL, SOURCE, OUTBOX = sys.argv[1:4]
HOPELESS = {1002, 1007, 1009, 4400, 4401, 4403, 4409}  # another connection would end alike, or fight our other process
FRAME = 300  # bytes around the events


class Outbox:
    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER, event TEXT);
            CREATE TABLE IF NOT EXISTS texts (account TEXT PRIMARY KEY, text TEXT);
            CREATE TABLE IF NOT EXISTS born (epoch INTEGER PRIMARY KEY, lines INTEGER);""")
        if not self.db.execute("SELECT 1 FROM born").fetchone():  # versions start anew with an outbox: so must their epoch
            self.db.execute("INSERT INTO born VALUES (?, 0)", (time.time_ns(),))
            self.db.commit()
        self.epoch, self.lines = self.db.execute("SELECT epoch, lines FROM born").fetchone()

    def put(self, account, kind, text):
        n = self.db.execute("INSERT INTO outbox (event) VALUES ('')").lastrowid
        event = {
            "specversion": "1.0", "type": f"im.callsign.signature.{kind}", "source": SOURCE, "id": f"{self.epoch}-{n}", "subject": account,
            "accountepoch": self.epoch, "accountversion": n, "data": {"text": text},
        }
        self.db.execute("UPDATE outbox SET event = ? WHERE n = ?", (json.dumps(event, ensure_ascii=False), n))

    def take(self, line):
        change = json.loads(line)
        with self.db:  # one transaction: its commit is what "taken" means
            self.put(change["account"], "changed", change["text"])
            self.db.execute("REPLACE INTO texts VALUES (?, ?)", (change["account"], change["text"]))
            self.db.execute("UPDATE born SET lines = lines + 1")
        self.lines += 1
        print(self.lines, flush=True)

    def resync(self, account):
        with self.db:
            for row in self.db.execute("SELECT account, text FROM texts WHERE account = ifnull(?, account)", (account,)).fetchall():
                self.put(row[0], "snapshot", row[1])

    def remove(self, where, *values):
        with self.db:
            self.db.execute(f"DELETE FROM outbox WHERE {where}", values)

    def forget_numbers(self):
        with self.db:
            self.db.execute("UPDATE outbox SET seq = NULL WHERE seq IS NOT NULL")

    def number(self, first, rows):
        with self.db:  # before they are sent: whatever happens then, a resume_from tells which of them are kept
            self.db.executemany("UPDATE outbox SET seq = ? WHERE n = ?", [(first + i, n) for i, (n, _) in enumerate(rows)])


class Session:
    def __init__(self, outbox):
        self.outbox, self.unanswered, self.refused, self.leaving, self.not_before = outbox, 0, False, False, 0
        self.ws = WebSocket(URL, {"Authorization": "Bearer " + os.environ["CALLSIGN_KEY"]}, "callsign.v1")
        self.limits = None

    def hear(self, frame):
        known = {"hello": self.hello, "ack": self.ack, "nack": self.nack, "resync": self.resync, "goaway": self.goaway}
        known.get(frame["op"], lambda frame: None)(frame)
        if self.refused and not self.unanswered:  # all is answered: go on after the last durable event
            self.refused = False
            self.rewind()

    def rewind(self):
        self.outbox.forget_numbers()
        self.last = self.durable

    def hello(self, frame):
        self.limits, self.durable = frame, frame["resume_from"]
        self.outbox.remove("seq <= ?", self.durable)
        self.rewind()

    def ack(self, frame):
        self.unanswered -= 1
        self.durable, self.limits["credit"] = frame["up_to"], frame["credit"]
        self.outbox.remove("seq <= ?", self.durable)
        for result in frame["results"]:
            if result["status"] != "stored":
                print(result["id"], result["status"], file=sys.stderr)

    def nack(self, frame):
        self.unanswered, self.refused, error = self.unanswered - 1, True, frame["error"]
        self.not_before = max(self.not_before, time.monotonic() + error["retry_after_ms"] / 1000)
        if error["code"] == "bad_event" and error["id"]:
            print("refused, left out:", error["id"], file=sys.stderr)
            self.outbox.remove("json_extract(event, '$.id') = ?", error["id"])
        elif error["code"] not in ("unavailable", "seq_gap", "over_credit"):
            sys.exit(f"{error['code']}: the server and we differ")

    def resync(self, frame):
        self.outbox.resync(frame.get("account"))  # without one: all

    def goaway(self, frame):
        self.leaving = True  # the acks that are due still come, then the close frame

    def fill(self):
        while self.limits and not (self.refused or self.leaving) and time.monotonic() >= self.not_before:
            room = min(self.limits["max_batch"], self.limits["credit"] - (self.last - self.durable))
            rows, size = [], FRAME
            for row in self.outbox.db.execute("SELECT n, event FROM outbox WHERE seq IS NULL ORDER BY n LIMIT ?", (max(0, room),)).fetchall():
                size += len(row[1].encode()) + 1
                if size > self.limits["max_bytes"]:
                    if not rows:
                        print("too long, left out:", row[1][:200], file=sys.stderr)
                        self.outbox.remove("n = ?", row[0])
                    break
                rows.append(row)
            if not rows:
                return
            first, self.last = self.last + 1, self.last + len(rows)
            self.outbox.number(first, rows)
            events = ",".join(event for _, event in rows)
            self.ws.send(f'{{"op":"events","batch":"{first}","seq":[{first},{self.last}],"events":[{events}]}}')
            self.unanswered += 1


class Lines:
    """Standard input, read while it has something."""

    def __init__(self):
        self.rest, self.ended = b"", False

    def read(self):
        data = os.read(0, 1 << 16)
        self.ended = not data
        *lines, self.rest = (self.rest + data).split(b"\n")
        return filter(None, lines)


def wait(lines, outbox, seconds, ws=None):
    """Takes what comes on standard input; True if the connection has something too."""
    ready = select.select(([] if lines.ended else [0]) + ([ws] if ws else []), [], [], seconds)[0]
    if 0 in ready:
        for line in lines.read():
            outbox.take(line)
    return ws in ready


def push(outbox, lines):
    session = Session(outbox)
    while not (lines.ended and session.limits and not outbox.db.execute("SELECT 1 FROM outbox").fetchone()):
        session.fill()
        if wait(lines, outbox, 1, session.ws):
            for text in session.ws.receive():
                session.hear(json.loads(text))
    session.ws.close()


def main():
    outbox, lines, pause = Outbox(OUTBOX), Lines(), 0.5
    print(outbox.lines, flush=True)
    while True:
        began = time.monotonic()
        try:
            return push(outbox, lines)
        except Refused as refused:
            print(refused, file=sys.stderr)
            if refused.status in (400, 401, 403):
                sys.exit(1)
        except Closed as closed:
            print(closed, file=sys.stderr)
            if closed.code in HOPELESS:
                sys.exit(1)  # to be mended by somebody
        except OSError as lost:
            print(lost, file=sys.stderr)
        if time.monotonic() - began > 60:  # it stood
            pause = 0.5
        until = time.monotonic() + pause * random.uniform(0.5, 1)  # not all at once after a restart
        while (left := until - time.monotonic()) > 0:
            wait(lines, outbox, left)
        pause = min(2 * pause, 30)


main()
