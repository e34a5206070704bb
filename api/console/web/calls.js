// What a call's timeline says: how far it came, what the caller's phone shows, and who sent what to whom. No element is made here.

const FORM = /^(flash|ussd) (\w+) (\d+)\/(\d+)( cut)?/;
const SHOWN = /^(DELIVRD|CONFIRMED)\b/;

const lastOf = (events, ...kinds) => events.findLast((e) => kinds.includes(e.kind));

// stateOf is how far a text came: shown, sent, failed, nothing, or waiting.
export function stateOf(events) {
  const last = lastOf(events, 'receipt', 'accepted', 'submitted', 'failed', 'skipped', 'withdrawn');
  switch (last?.kind) {
    case 'receipt': return SHOWN.test(last.reason ?? '') ? 'shown' : 'failed';
    case 'accepted': case 'submitted': return 'sent';
    case 'failed': return 'failed';
    case 'skipped': case 'withdrawn': return 'nothing';
    default: return 'waiting';
  }
}

// phaseOf is where the call itself is.
export function phaseOf(events) {
  if (lastOf(events, 'ended')) return 'ended';
  if (lastOf(events, 'answered')) return 'answered';
  if (lastOf(events, 'ringing')) return 'ringing';
  return lastOf(events, 'skipped') ? 'left' : 'calling'; // a call that is shown nothing is followed no further
}

// screenOf is what the caller's phone shows: the text that was sent last, as it was coded and cut, or why there is none.
export function screenOf(call, events) {
  const sent = lastOf(events, 'submitted');
  const screen = { caller: call.caller, callee: call.callee, at: call.at, phase: phaseOf(events), state: stateOf(events) };
  if (!sent) return { ...screen, refusal: lastOf(events, 'skipped', 'failed')?.reason };
  const form = FORM.exec(sent.reason ?? '') ?? [];
  return { ...screen, text: sent.text, at: sent.at, channel: form[1] ?? 'flash', encoding: form[2], units: Number(form[3]) || 0, most: Number(form[4]) || 0, cut: Boolean(form[5]) };
}

// screenOfWhatIf is the same of a call that didn't happen.
export function screenOfWhatIf(asked, result) {
  return {
    caller: asked.caller, callee: asked.callee, at: asked.at, phase: 'whatif', state: result.show ? 'shown' : 'nothing', refusal: result.refusal,
    text: result.show ? result.text : undefined, channel: result.channel, encoding: result.encoding ?? result.coding,
    units: result.units ?? 0, most: result.max_units ?? 0, cut: Boolean(result.cut),
  };
}

// The lanes of a ladder, and what each kind of event is on it: from, to, and the protocol's own word for it.
export const lanes = ['scscf', 'as', 'smsc', 'handset'];

export function rungOf(event) {
  const { kind, reason = '', link = '' } = event;
  switch (kind) {
    case 'invite': return [0, 1, 'INVITE'];
    case 'ringing': return [0, 1, reason];
    case 'answered': return [0, 1, '200'];
    case 'ended': return [0, 1, reason.match(/\d{3}$/)?.[0] ?? 'CANCEL'];
    case 'submitted': return [1, 2, `submit_sm · ${link}`];
    case 'accepted': return [2, 1, 'submit_sm_resp'];
    case 'withdrawn': return [1, 2, 'cancel_sm'];
    case 'receipt': return [SHOWN.test(reason) ? 3 : 2, 1, `deliver_sm · ${reason}`];
    default: return [1, 1, ''];
  }
}

// octets is a message that came in base64, as lines of hexadecimal with what can be read beside it.
export function octets(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const lines = [];
  for (let i = 0; i < bytes.length; i += 16) {
    const row = [...bytes.slice(i, i + 16)];
    const hex = row.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(48);
    lines.push(`${i.toString(16).padStart(4, '0')}  ${hex} ${row.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '.')).join('')}`);
  }
  return lines.join('\n');
}

// Live is every call that was told since the console was opened, the newest first, at most so many.
export class Live extends EventTarget {
  static most = 200;
  calls = new Map();
  told = 0;

  add(call) {
    if (this.calls.has(call.id)) return this.calls.get(call.id);
    const entry = { call, events: [], seen: new Set() };
    this.calls.set(call.id, entry);
    if (this.calls.size > Live.most) this.calls.delete([...this.calls.keys()].sort()[0]); // an id begins with its time
    this.changed(call.id);
    return entry;
  }

  line(event) {
    const entry = this.calls.get(event.call);
    const same = [event.at, event.kind, event.reason, event.link, event.message_id].join('|');
    if (!entry || entry.seen.has(same)) return;
    entry.seen.add(same);
    entry.events.push(event);
    entry.events.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    this.changed(event.call);
  }

  newest() { return [...this.calls.values()].sort((a, b) => (a.call.id < b.call.id ? 1 : -1)); }
  changed(id) { this.told++; this.dispatchEvent(new CustomEvent('change', { detail: id })); }
}
