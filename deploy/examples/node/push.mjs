// Pushes signatures to Callsign as an IM platform would:
//   CALLSIGN_KEY=cs_… node push.mjs ws://127.0.0.1:8080/v1/push im.example < changes.jsonl
// A line is {"account":"10001","text":"On the road"}. What is not acknowledged is kept in memory only: where the process may
// be killed, keep an outbox, as ../python does.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const [url, source] = process.argv.slice(2);
const hopeless = [1002, 1007, 1009, 4400, 4401, 4403, 4409]; // another connection would end alike, or fight our other process
const crowded = 10_000; // events in memory: then no more lines are read
const run = Date.now(); // so that ids are unique over restarts
const texts = new Map(); // account → {text, time}: what a resync asks for
const queue = []; // events not acknowledged, in order; the first sent of them are under way
let sent = 0, durable = 0, count = 0, ended = false, session;

function put(account, type, { text, time }) {
  const id = `${run}-${++count}`;
  queue.push({ specversion: '1.0', type: `im.callsign.signature.${type}`, source, id, subject: account, time, data: { text } });
  if (queue.length >= crowded) lines.pause();
  session?.fill();
}

// connect resolves with the close code, or the HTTP status, when the connection is over.
function connect() {
  const ws = new WebSocket(url, 'callsign.v1', { headers: { Authorization: `Bearer ${process.env.CALLSIGN_KEY}` } });
  let limits, unanswered = 0, resting = false, leaving = false, wait = 0; // resting: until what was refused is sent again

  function fill() {
    while (limits && !resting && !leaving && sent < Math.min(queue.length, limits.credit)) {
      const events = [];
      let size = 300; // of the frame around them
      for (const event of queue.slice(sent, Math.min(limits.credit, sent + limits.max_batch))) {
        size += Buffer.byteLength(JSON.stringify(event)) + 1;
        if (size > limits.max_bytes) break;
        events.push(event);
      }
      if (!events.length && sent) return; // until those before it are answered
      if (!events.length) { console.error('too long, left out:', queue.shift().id); continue; }
      const first = durable + sent + 1;
      ws.send(JSON.stringify({ op: 'events', batch: `${first}`, seq: [first, first + events.length - 1], events }));
      sent += events.length;
      unanswered++;
    }
    if (ended && !queue.length && limits) ws.close(1000);
  }

  const took = (upTo) => { // all to this one are durable
    queue.splice(0, Math.min(sent, Math.max(0, upTo - durable)));
    sent = Math.max(0, sent - (upTo - durable));
    durable = upTo;
    if (queue.length < crowded) lines.resume();
  };
  const answers = {
    hello(frame) {
      took(frame.resume_from); // what was sent before and not acknowledged may be kept all the same
      [limits, sent] = [frame, 0];
    },
    ack({ up_to, results, credit }) {
      unanswered--;
      took(up_to);
      limits.credit = credit;
      for (const { id, status } of results) if (status !== 'stored') console.error(id, status);
    },
    nack({ error: { code, id, retry_after_ms } }) {
      [unanswered, resting, wait] = [unanswered - 1, true, Math.max(wait, retry_after_ms)];
      const i = queue.findIndex((event) => event.id === id);
      if (code === 'bad_event' && i >= 0) console.error('refused, left out:', JSON.stringify(queue.splice(i, 1)));
      else if (!['unavailable', 'seq_gap', 'over_credit'].includes(code)) throw new Error(`${code}: the server and we differ`);
      if (unanswered) return; // what was sent behind it is refused too
      setTimeout(() => { if (ws.readyState === WebSocket.OPEN) { [sent, wait, resting] = [0, 0, false]; fill(); } }, wait);
    },
    resync({ account }) { // without an account: of all
      for (const [a, said] of texts) if (account === undefined || a === account) put(a, 'snapshot', said);
    },
    goaway() { leaving = true; }, // the acks that are due still come
  };
  return new Promise((resolve) => {
    ws.on('message', (data) => { const frame = JSON.parse(data); answers[frame.op]?.(frame); fill(); });
    ws.on('unexpected-response', (request, { statusCode }) => { resolve([400, 401, 403].includes(statusCode) ? 4400 : statusCode); request.destroy(); });
    ws.on('error', (e) => console.error(e.message)); // then comes close
    ws.on('close', (code, reason) => { console.error('closed', code, `${reason}`); session = undefined; resolve(code); });
    session = { fill };
  });
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { account, text } = JSON.parse(line), said = { text, time: new Date().toISOString() };
  texts.set(account, said);
  put(account, 'changed', said);
});
lines.on('close', () => { ended = true; session?.fill(); });
for (let pause = 500; !ended || queue.length; pause = Math.min(2 * pause, 30_000)) {
  const began = Date.now(), code = await connect();
  if (hopeless.includes(code)) process.exit(1); // to be mended by somebody
  if (Date.now() - began > 60_000) pause = 500; // it stood
  if (!ended || queue.length) await sleep(pause * (0.5 + Math.random() / 2)); // not all at once after a restart
}
