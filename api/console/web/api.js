// How the console asks the API. The key stays in this tab's sessionStorage, and leaves it as a bearer only.

const KEY = 'callsign.key';

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

// Problem is what the API answers where it can't do what it was asked for (RFC 9457).
export class Problem extends Error {
  constructor(status, { code = '', detail = '', errors = [] } = {}) {
    super(detail || `HTTP ${status}`);
    this.status = status;
    this.code = code;
    this.errors = errors; // each part of the request that was refused: {location, message}
  }
}

const bearer = () => ({ Authorization: `Bearer ${key.get()}` });

// tagged asks for what has an ETag, and sends the one that was read, so that nobody's change is written over unseen.
export async function tagged(method, path, body, tag = '') {
  const response = await fetch(path, {
    method, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body),
    headers: { ...bearer(), ...(body !== undefined && { 'Content-Type': 'application/json' }), ...(tag && { 'If-Match': tag }) },
  });
  const text = await response.text();
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { /* a proxy's page: the status tells */ }
  if (!response.ok) throw new Problem(response.status, answer ?? {});
  return { answer, tag: response.headers.get('ETag') ?? '' };
}

export const ask = async (method, path, body) => (await tagged(method, path, body)).answer;
export const get = (path) => ask('GET', path);

// query is a path with the parameters that have a value.
export function query(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

// health is asked without a key; a node that isn't ready answers 503 with the same body.
export async function health() {
  const response = await fetch('/readyz', { cache: 'no-store' });
  return response.json();
}

// metrics are the series of /metrics: name{labels} to value.
export async function metrics() {
  const response = await fetch('/metrics', { cache: 'no-store' });
  const series = [];
  for (const line of (response.ok ? await response.text() : '').split('\n')) {
    const found = /^(callsign_\w+?)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (found) series.push({ name: found[1], labels: Object.fromEntries([...(found[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1], m[2]])), value: Number(found[3]) });
  }
  return series;
}

// live reads /v1/live until signal aborts, and connects again where it breaks: EventSource can't send a key.
export async function live(signal, tell) {
  for (let last = ''; !signal.aborted;) {
    try {
      const response = await fetch('/v1/live', { signal, cache: 'no-store', headers: { ...bearer(), ...(last && { 'Last-Event-ID': last }) } });
      if (response.status === 401 || response.status === 403) throw new Problem(response.status);
      if (!response.ok) throw new Error(response.statusText);
      tell('open');
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ''; ;) {
        const { done, value } = await reader.read();
        if (done) break;
        const messages = (rest + value).split('\n\n');
        rest = messages.pop();
        for (const message of messages) {
          const said = Object.fromEntries(message.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
          if (said.id) last = said.id;
          if (said.data) tell(said.event, JSON.parse(said.data));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) { tell('refused'); return; }
    }
    tell('closed');
    await new Promise((resume) => setTimeout(resume, 2000));
  }
}
