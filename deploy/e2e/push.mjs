// An IM system made of npm's ws, which knows of the push websocket what /asyncapi.json says.
//
// push.mjs ADDRESS SCENARIO KEY plays one scenario and ends with 0, or with 1 and what was wrong. Where a scenario needs
// something done beside it, it prints "need WHAT" and waits for a line of JSON.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

const WebSocket = createRequire(import.meta.url)('ws'); // not by import, which doesn't look into NODE_PATH
const [address, scenario, KEY] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const wrong = (why) => { throw new Error(why); };
const say = (...words) => console.log(...words);
const need = async (what) => { say('need', what); return JSON.parse((await answers.next()).value); };
const same = (what, got, want) => {
  if (!isDeepStrictEqual(got, want)) wrong(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
};

const document = await (await fetch(`http://${address}/asyncapi.json`)).json();
const { schemas } = document.components;
const closeCodes = document.channels.push['x-close-codes'];
const types = {
  object: (v) => v !== null && typeof v === 'object' && !Array.isArray(v), array: Array.isArray, string: (v) => typeof v === 'string',
  integer: Number.isInteger, boolean: (v) => typeof v === 'boolean',
};

// follows holds a value against the part of JSON Schema that the document uses.
function follows(schema, value, where) {
  if (schema.$ref) schema = schemas[schema.$ref.split('/').at(-1)];
  if (schema.type && !types[schema.type](value)) wrong(`${where} is ${JSON.stringify(value)}, want ${schema.type}`);
  if ('const' in schema) same(where, value, schema.const);
  if (schema.enum && !schema.enum.includes(value)) wrong(`${where} is ${value}, which the document doesn't list`);
  if (value < schema.minimum) wrong(`${where} is ${value}, want at least ${schema.minimum}`);
  for (const name of schema.required ?? []) if (!(name in value)) wrong(`${where} lacks ${name}`);
  for (const [name, inner] of Object.entries(schema.properties ?? {})) if (name in value) follows(inner, value[name], `${where}.${name}`);
  if (schema.items) value.forEach((item, i) => follows(schema.items, item, `${where}[${i}]`));
}

class Refused extends Error {
  constructor(response, body) {
    super(`refused with ${response.statusCode}: ${body}`);
    Object.assign(this, { status: response.statusCode, headers: response.headers, body });
  }
}

class Client {
  pings = 0;
  pongs = [];
  #batches = 0;
  #came = []; // frames, and at the end {code, reason}
  #wake = () => {};

  // open connects, and takes the hello unless greeted is false.
  static async open({ key = KEY, subprotocol = 'callsign.v1', autoPong = true, greeted = true, deflate = true } = {}) {
    const c = new Client();
    const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
    const ws = new WebSocket(`ws://${address}/v1/push`, subprotocol ? subprotocol.split(', ') : [], { headers, autoPong, perMessageDeflate: deflate });
    c.ws = ws;
    ws.on('message', (data, binary) => c.#arrived(binary ? { op: 'binary' } : JSON.parse(data)));
    ws.on('close', (code, reason) => c.#arrived({ code, reason: String(reason) }));
    ws.on('ping', () => { c.pings++; c.#wake(); });
    ws.on('pong', (data) => { c.pongs.push(String(data)); c.#wake(); });
    await new Promise((resolve, reject) => {
      ws.on('error', reject); // after the handshake nobody hears it: what counts is the close code
      ws.once('open', resolve);
      ws.once('unexpected-response', async (request, response) => {
        let body = '';
        for await (const piece of response) body += piece;
        reject(new Refused(response, body));
        request.destroy();
      });
    });
    same('the subprotocol', ws.protocol, 'callsign.v1');
    if (greeted) {
      c.hello = await c.frame('hello');
      c.next = c.hello.resume_from + 1;
    }
    return c;
  }

  #arrived(what) {
    this.#came.push(what);
    this.#wake();
  }

  async until(so) {
    const patience = AbortSignal.timeout(30_000);
    while (!so()) {
      await new Promise((resolve, reject) => {
        this.#wake = resolve;
        patience.onabort = () => reject(new Error('waited 30 s for a frame'));
        if (patience.aborted) patience.onabort();
      });
    }
  }

  // receive is the next frame, held against the document, or {code, reason}.
  async receive() {
    await this.until(() => this.#came.length);
    const frame = this.#came.shift();
    say('saw', JSON.stringify(frame));
    if ('code' in frame) return frame;
    if (!schemas[frame.op]) wrong(`the document doesn't know the op ${frame.op}`);
    follows(schemas[frame.op], frame, frame.op);
    return frame;
  }

  async frame(op) {
    const frame = await this.receive();
    if ('code' in frame) wrong(`closed with ${frame.code}: ${frame.reason}`);
    if (op) same('op', frame.op, op);
    return frame;
  }

  // send gives what the answer must repeat: the batch's name, its last number and the events' ids.
  send(events, { seq, ...members } = {}) {
    const batch = `b${++this.#batches}`;
    if (!seq) {
      seq = [this.next, this.next + events.length - 1];
      this.next += events.length;
    }
    this.ws.send(JSON.stringify({ op: 'events', batch, seq, events, ...members }));
    return { batch, first: seq[1] - events.length + 1, last: seq[1], ids: events.map((e) => e?.id) };
  }

  async acked({ batch, last, ids }, upTo = last) {
    const ack = await this.frame('ack');
    same('batch', ack.batch, batch);
    same('up_to', ack.up_to, upTo);
    same('ids', ack.results.map((r) => r.id), ids);
    same('credit', ack.credit, this.hello.credit);
    return ack.results.map((r) => r.status);
  }

  async nacked({ batch, first }, code, retryable, blamed = '') {
    const { batch: answered, error } = await this.frame('nack');
    same('nack', { batch: answered, code: error.code, retryable: error.retryable, id: error.id }, { batch, code, retryable, id: blamed });
    this.next = first;
    return error;
  }

  push(...events) { return this.acked(this.send(events)); }

  // closes wants this close code, which the document must have. Frames of these ops may come before it.
  async closes(code, ...before) {
    for (;;) {
      const frame = await this.receive();
      if (!('code' in frame) && before.includes(frame.op)) continue;
      if (frame.code !== code || !(code in closeCodes)) wrong(`got ${JSON.stringify(frame)}, want it closed with ${code}`);
      return;
    }
  }

  async leave() {
    this.ws.close(1000);
    let frame;
    do frame = await this.receive(); while (!('code' in frame));
    same('the answer to our close', frame.code, 1000);
  }

  // raw writes a frame that ws would not: masked with zeros.
  raw(first, payload, { masked = true } = {}) {
    const data = Buffer.from(payload), size = data.length;
    const length = size < 126 ? [size] : [126, size >> 8, size & 255];
    if (masked) length[0] |= 128;
    this.ws._socket.write(Buffer.concat([Buffer.from([first, ...length]), masked ? Buffer.alloc(4) : Buffer.alloc(0), data]));
  }
}

let numbers = 0;
// event is one with these attributes; undefined leaves one out.
function event({ account = 'known', text = 'On the road', kind = 'changed', ...attributes } = {}) {
  const n = ++numbers;
  return {
    specversion: '1.0', type: `im.callsign.signature.${kind}`, source: 'im', id: `e${n}`, subject: account, accountversion: n,
    data: text === null ? undefined : { text }, ...attributes,
  };
}

async function refused(status, how) {
  const r = await Client.open(how).then(() => wrong(`connected, want ${status}`), (e) => e);
  if (!(r instanceof Refused)) throw r;
  say('saw', r.status, r.headers['content-type'], r.body);
  same('status', r.status, status);
  same('Content-Type', r.headers['content-type'], 'application/problem+json');
  const problem = JSON.parse(r.body);
  same('status in the body', problem.status, status);
  if (typeof problem.code !== 'string' || !problem.code) wrong(`${r.body} has no code`);
  return r;
}

const scenarios = {
  async hello() {
    const c = await Client.open();
    const { op, session, ...limits } = c.hello;
    same('hello', limits, { resume_from: 0, ...await need('limits') });
    c.ws.ping('are you there');
    await c.until(() => c.pongs.length);
    same('the pong', c.pongs, ['are you there']);
    await c.leave();
  },

  async ack() {
    const c = await Client.open();
    const says = async (what, want, how, ...more) => same(what, await c.push(event(how), ...more), want);
    const timed = (time, account = 'timed') => ({ account, time, accountversion: undefined });
    const first = event();
    same('the first', await c.push(first), ['stored']);
    same('it again, with its number', await c.acked(c.send([first], { seq: [1, 1] })), ['duplicate']);
    same('it again, as a new one', await c.push(first), ['duplicate']);
    await says('an older one', ['stale'], { accountversion: 0 });
    await says('one by time, after versions', ['stale'], timed('2099-01-01T00:00:00Z', 'known'));
    await says('of nobody', ['unlinked'], { account: 'nobody' });
    await says('too long', ['rejected'], { text: 'é'.repeat(1024) + 'x' });
    await says('as long as may be', ['stored'], { text: 'é'.repeat(1024) });
    await says('version and epoch as strings', ['stored'], { accountversion: '1', accountepoch: '1' });
    await says('a greater version of an older epoch', ['stale'], { accountversion: 2 ** 52 });
    await says('the greatest version', ['stored'], { accountversion: '9223372036854775807', accountepoch: 1 });
    await says('by time', ['stored'], timed('2026-01-01T12:00:00+08:00'));
    await says('by an earlier time', ['stale'], timed('2026-01-01T03:59:59.999Z'));
    const now = event(timed(undefined, 'timeless'));
    same('without a time', await c.push(now), ['stored']);
    same('it again without a time', await c.acked(c.send([now], { seq: [c.next - 1, c.next - 1] })), ['duplicate']);
    await says('a batch', ['unlinked', 'stored', 'stale', 'rejected'], { account: 'nobody' },
      event({ text: 'Mixed', accountepoch: 2 }), event({ accountversion: 0 }), event({ text: 'x'.repeat(2049) }));
    same('its text', await need('text'), 'Mixed');
    await says('a snapshot', ['stored'], { text: 'Seen', kind: 'snapshot', accountepoch: 3 });
    same('its text', await need('text'), 'Seen');
    await says('cleared', ['stored'], { text: null, kind: 'cleared', accountepoch: 4 });
    same('its text', await need('text'), '');
    const odd = event({ accountepoch: 5, datacontenttype: 'application/json', colour: 'blue' });
    odd.data = { text: 'Odd', lang: 'en-GB', expires_at: '2099-01-01T00:00:00Z', mood: 7 };
    same('with what the document doesn\'t know', await c.acked(c.send([odd], { later: { x: [1] } })), ['stored']);
    same('its text', await need('text'), 'Odd');
    await says('an empty text', ['stored'], { text: '', accountepoch: 6 });
    same('its text', await need('text'), '');
    c.ws.send(JSON.stringify({ op: 'events', seq: [c.next, c.next], events: [event({ accountepoch: 7 })] }));
    same('the batch of a frame without one', (await c.frame('ack')).batch, '');
    await c.leave();
  },

  async nack() {
    const c = await Client.open();
    for (const attributes of [
      { specversion: '0.3' }, { specversion: undefined }, { type: 'im.callsign.other' }, { type: undefined }, { source: undefined }, { source: '' },
      { subject: undefined }, { subject: '' }, { subject: 'x'.repeat(513) }, { time: 'yesterday' }, { accountversion: -1 },
      { accountversion: '1x' }, { accountversion: 1.5 }, { accountversion: '9223372036854775808' }, { accountversion: undefined, accountepoch: 1 },
      { datacontenttype: 'text/plain' }, { data: 'On the road' }, { data: {} }, { data: { text: 7 } },
      { data: { text: 'x', lang: 'x'.repeat(36) } }, { data: { text: 'x', expires_at: 'never' } },
    ]) {
      say('sends', JSON.stringify(attributes).slice(0, 200));
      const bad = event(attributes);
      same('retry_after_ms', (await c.nacked(c.send([event(), bad]), 'bad_event', false, bad.id)).retry_after_ms, 0);
    }
    for (const bad of [event({ id: undefined }), event({ id: '' }), event({ id: 7 }), 'an event', null]) {
      await c.nacked(c.send([bad]), 'bad_event', false);
    }
    await c.nacked(c.send(Array.from({ length: c.hello.max_batch + 1 }, () => event())), 'too_many_events', false);
    for (const seq of [[1, 3], [1, 1], [2, 1], [0, 1], [-1, 0]]) {
      await c.nacked(c.send([event(), event()], { seq }), 'seq_mismatch', false);
    }
    await c.nacked(c.send([], { seq: [1, 1] }), 'seq_mismatch', false);
    await c.nacked(c.send([event()], { seq: [2, 2] }), 'seq_gap', false);
    c.next = 1;
    same('nothing of them was taken: number 1', await c.push(event()), ['stored']);
    const bad = event({ subject: undefined });
    const blamed = c.send([bad]), behind = c.send([event()]); // both are under way
    await c.nacked(blamed, 'bad_event', false, bad.id);
    await c.nacked(behind, 'seq_gap', false);
    c.next = 2;
    same('on from the event after the last up_to', await c.push(event()), ['stored']);
    await c.leave();
    same('resume_from', (await Client.open()).hello.resume_from, 2);
  },

  async not_utf8() {
    const c = await Client.open(); // half of a surrogate pair, which JSON can escape and UTF-8 can't hold
    same('a text that is not UTF-8', await c.push(event({ text: '\ud83d' })), ['rejected']);
  },

  async blamed_id() {
    const c = await Client.open(), long = event({ id: 'x'.repeat(513) });
    await c.nacked(c.send([long]), 'bad_event', false, long.id.slice(0, 512));
  },

  async credit() {
    const c = await Client.open();
    const many = Array.from({ length: c.hello.credit + 1 }, () => event());
    await c.nacked(c.send(many), 'over_credit', true);
    same('what may be sent after one', new Set(await c.push(...many.slice(1))), new Set(['stored']));
    c.send(many);
    await c.closes(4429, 'nack');
  },

  async batches() {
    const c = await Client.open(), underWay = [];
    for (let i = 0; i < 10 * c.hello.credit; i++) {
      if (underWay.length === c.hello.credit) same(`after ${i} batches`, await c.acked(underWay.shift()), ['stored']);
      underWay.push(c.send([event({ text: `text ${i}` })]));
    }
    for (const sent of underWay) same('the last ones', await c.acked(sent), ['stored']);
    const again = [1, 2].map((n) => c.send([event()], { seq: [n, n] })); // newer texts with numbers that were used
    for (const sent of again) await c.acked(sent, c.next - 1); // cumulative: never back
    await c.leave();
  },

  async resume() {
    let c = await Client.open(), sent = 0;
    const all = Array.from({ length: 20 }, (_, i) => event({ text: `text ${i}` }));
    for (let i = 0; i < 4; i++, sent += 2) await c.push(...all.slice(sent, sent + 2));
    for (let i = 0; i < 4; i++) {
      c.send(all.slice(sent, sent + 3));
      await sleep(0); // ws writes by then
      c.ws.terminate(); // in the middle: whether these are kept, hello tells
      c = await Client.open();
      const from = c.hello.resume_from;
      if (from !== sent && from !== sent + 3) wrong(`resume_from is ${from}, want ${sent} or ${sent + 3}`);
      sent = from;
    }
    c.next = 1;
    for (let i = 0; i < sent; i += 4) { // from the first again: all are answered again
      const statuses = await c.acked(c.send(all.slice(i, Math.min(i + 4, sent))), sent);
      if (statuses.some((s) => s !== 'duplicate' && s !== 'stale')) wrong(`what was kept before is now ${statuses}`);
    }
    for (; sent < all.length; sent += 4) {
      const statuses = await c.push(...all.slice(sent, sent + 4)); // what was under way as the connection ended may be kept since then
      if (statuses.some((s) => !['stored', 'duplicate', 'stale'].includes(s))) wrong(`the rest is ${statuses}`);
    }
    await c.leave();
    same('resume_from', (await Client.open()).hello.resume_from, all.length);
    same('its text', await need('text'), 'text 19');
  },

  async replaced() {
    const older = await Client.open();
    await older.push(event());
    const newer = await Client.open();
    same('resume_from of the newer', newer.hello.resume_from, 1);
    await older.closes(4409);
    same('the newer goes on', await newer.push(event()), ['stored']);
    await newer.leave();
  },

  async source() {
    const other = await Client.open({ key: await need('another source\'s key') });
    same('each source has its own numbers', other.hello.resume_from, 0);
    let c = await Client.open();
    same('the source of the key', await c.push(event()), ['stored']);
    same('the other\'s numbers', await other.push(event({ source: 'other' })), ['stored']);
    const foreign = event({ source: 'other' });
    await c.nacked(c.send([event(), foreign]), 'source_not_allowed', false, foreign.id);
    await c.closes(4403);
    c = await Client.open();
    same('nothing of it was taken', c.hello.resume_from, 1);
  },

  async resync() {
    const c = await Client.open();
    same('before it is linked', await c.push(event({ account: 'late' })), ['unlinked']);
    await need('link late');
    same('account', (await c.frame('resync')).account, 'late');
    same('the snapshot', await c.push(event({ account: 'late', text: 'Now', kind: 'snapshot' })), ['stored']);
    same('its text', await need('text late'), 'Now');
    await c.leave();
  },

  async broken() {
    const after = async (code, act) => {
      const c = await Client.open({ deflate: false });
      act(c);
      await c.closes(code);
    };
    const good = { op: 'events', batch: 'b', seq: [1, 1], events: [event()] }, text = JSON.stringify(good);
    await after(4400, (c) => c.ws.send(Buffer.from(text)));
    for (const bad of ['', 'hello', '{"op":"events"', '[]', 'null', '7', '{"op":"ack"}', '{}', '{"op":7}']) await after(4400, (c) => c.ws.send(bad));
    for (const bad of [
      { op: 'EVENTS' }, { batch: 'x'.repeat(129) }, { batch: 7 }, { seq: null }, { seq: [1] }, { seq: [1, 1, 1] }, { seq: ['1', '1'] }, { seq: [1.5, 1.5] },
      { events: {} },
    ]) await after(4400, (c) => c.ws.send(JSON.stringify({ ...good, ...bad })));
    await after(1002, (c) => c.raw(0xc1, '{}')); // compressed, which was not agreed
    await after(1002, (c) => c.raw(0x81, '{}', { masked: false }));
    await after(1002, (c) => c.raw(0x83, '{}'));
    await after(1002, (c) => c.raw(0x8b, ''));
    await after(1002, (c) => c.raw(0x80, '{}')); // goes on with nothing
    await after(1002, (c) => c.raw(0x89, 'x'.repeat(126)));
    await after(1002, (c) => c.raw(0x09, 'x'));
    await after(1002, (c) => { c.raw(0x01, '{'); c.raw(0x81, '}'); });
    await after(1007, (c) => c.ws.send(Buffer.from(text.replace('road', '\xff\xfe'), 'latin1'), { binary: false }));
    const size = (await Client.open()).hello.max_bytes;
    await after(1009, (c) => c.ws.send(' '.repeat(size + 1)));
    await after(1009, (c) => { c.ws.send(' '.repeat(size), { fin: false }); c.ws.send('  '); });
    const c = await Client.open();
    same('none of these was taken', c.hello.resume_from, 0);
    c.ws.send(text.padEnd(size));
    same('a frame as long as may be', (await c.frame('ack')).up_to, 1);
    const pieces = Buffer.from(JSON.stringify({ ...good, seq: [2, 2], batch: 'é'.repeat(64), events: [event({ text: '山高水长' })] }));
    pieces.forEach((_, i) => { // also in the middle of a character
      c.ws.send(pieces.subarray(i, i + 1), { binary: false, fin: i === pieces.length - 1 });
      if (i === 7) c.ws.ping('between');
    });
    const answer = await c.frame('ack');
    same('a frame in pieces', [answer.up_to, answer.batch, c.pongs], [2, 'é'.repeat(64), ['between']]);
    same('its text', await need('text'), '山高水长');
    await c.leave();
  },

  async refusals() {
    for (const key of [null, '', 'cs_wrong']) same('WWW-Authenticate', (await refused(401, { key })).headers['www-authenticate'], 'Bearer');
    await refused(403, { key: await need('an administrator\'s key') });
    await refused(400, { subprotocol: '' });
    await refused(400, { subprotocol: 'callsign.v2' });
    await (await Client.open({ subprotocol: 'mqtt, callsign.v1' })).leave();
  },

  async expires() {
    const key = await need('a key that expires');
    await (await Client.open({ key })).closes(4401);
    await refused(401, { key });
  },

  async revoked() {
    const c = await Client.open();
    await c.push(event());
    await need('revoke');
    await c.closes(4401);
    await refused(401);
  },

  async silent() {
    await (await Client.open({ autoPong: false })).closes(4408);
    let c = await Client.open();
    await c.until(() => c.pings >= 6);
    same('one that answers pings stays', await c.push(event()), ['stored']);
    await c.leave();
    c = await Client.open({ autoPong: false });
    const alive = setInterval(() => c.ws.ping(), 50);
    await c.until(() => c.pings >= 6);
    same('one that pings stays', await c.push(event()), ['stored']);
    clearInterval(alive);
    await c.closes(4408);
  },

  async full() {
    const c = await Client.open();
    await (await Client.open({ key: await need('another source\'s key'), greeted: false })).closes(1013);
    same('who was there goes on', await c.push(event()), ['stored']);
    const newer = await Client.open(); // there is room for one that takes over
    await c.closes(4409);
    await newer.leave();
  },

  async goaway() {
    const c = await Client.open();
    const underWay = Array.from({ length: c.hello.credit }, () => c.send([event()]));
    await need('stop');
    for (let told = false; underWay.length || !told;) {
      const frame = await c.frame();
      if (frame.op === 'goaway') {
        if (told || !frame.reason || frame.grace_ms > await need('grace')) wrong(`got ${JSON.stringify(frame)}`);
        told = true;
        continue;
      }
      same('op', frame.op, 'ack');
      same('batch', frame.batch, underWay.shift().batch);
    }
    await c.closes(1012);
  },

  async chatty() {
    const c = await Client.open();
    await need('stop');
    await c.frame('goaway');
    const never_silent = setInterval(() => c.ws.readyState === WebSocket.OPEN && c.send([event()]), 50); // grace ends it
    await c.closes(1012, 'ack');
    clearInterval(never_silent);
  },

  async unavailable() {
    const c = await Client.open();
    await c.push(event());
    await need('stop the store');
    let wait = 0;
    for (const [i, { batch }] of [0, 1, 2].map(() => c.send([event()])).entries()) {
      const nack = await c.frame('nack');
      same('batch', nack.batch, batch);
      const { code, retryable, retry_after_ms } = nack.error;
      if (code !== 'unavailable' && !(i && code === 'seq_gap')) wrong(`got ${JSON.stringify(nack)}`);
      same('retryable', retryable, code === 'unavailable');
      wait = Math.max(wait, retry_after_ms);
    }
    const r = await refused(503, { key: await need('another source\'s key') });
    if (!r.headers['retry-after']) wrong('no Retry-After');
    await need('start the store');
    for (;;) {
      await sleep(wait);
      c.next = 2;
      c.send([event({ text: 'Back' })]);
      const answer = await c.frame();
      if (answer.op === 'ack') {
        same('up_to', answer.up_to, 2);
        same('status', answer.results[0].status, 'stored');
        break;
      }
      same('code', answer.error.code, 'unavailable');
    }
    await c.leave();
    same('its text', await need('text'), 'Back');
  },
};

try {
  await scenarios[scenario]();
} catch (e) {
  console.error(`${scenario}: ${e.stack}`);
  process.exit(1);
}
process.exit(0); // what is still connected goes with it
