// The console's frame: who is signed in, which page is open, in which language and light.

import { add, h, field } from './dom.js';
import { get, key, live, Problem } from './api.js';
import { has, languages, language, speak, t } from './i18n.js';
import { Live } from './calls.js';
import { livePage } from './page-live.js';
import { callsPage, callPage } from './page-calls.js';
import { subscribersPage, subscriberPage } from './page-subscribers.js';
import { healthPage } from './page-health.js';
import { reviewsPage } from './page-reviews.js';
import { keysPage, auditPage } from './page-keys.js';
import { policyPage } from './page-policy.js';
import { optOutsPage } from './page-optouts.js';

const THEME = 'callsign.theme';
const themes = ['auto', 'light', 'dark'];
const pages = [
  { name: 'live', show: livePage }, { name: 'calls', show: callsPage, one: callPage }, { name: 'subscribers', show: subscribersPage, one: subscriberPage },
  { name: 'policy', show: policyPage }, { name: 'optouts', show: optOutsPage }, { name: 'reviews', show: reviewsPage }, { name: 'health', show: healthPage }, { name: 'keys', show: keysPage, admin: true }, { name: 'audit', show: auditPage, admin: true },
];

// session is what the pages share; it ends with the key.
let session = null;
let leave = () => {};

function light(choice = localStorage.getItem(THEME) ?? 'auto') {
  localStorage.setItem(THEME, choice);
  document.documentElement.dataset.theme = choice;
}

// open finds out what a key may do: nobody tells, so it is tried.
async function open() {
  await get('/v1/calls?limit=1');
  const admin = await get('/v1/keys?limit=1').then(() => true, (problem) => { if (problem.status === 403) return false; throw problem; });
  const paths = await fetch('/openapi.json').then((r) => r.json()).then((d) => d.paths ?? {}, () => ({}));
  const stop = new AbortController();
  session = {
    admin, live: new Live(), stop, connected: false,
    offers: (path) => path in paths,
    say, problem, go: (to) => { location.hash = to; },
  };
  live(stop.signal, (kind, said) => {
    if (kind === 'call') session?.live.add(said);
    else if (kind === 'event') session?.live.line(said);
    else if (kind === 'refused') end(t('signin.ended'));
    else if (session) {
      session.connected = kind === 'open';
      session.live.dispatchEvent(new CustomEvent('connection'));
    }
  });
}

function end(why) {
  session?.stop.abort();
  session = null;
  key.forget();
  draw(why);
}

// say tells a person something, by voice too; problem does so with what went wrong.
function say(text, bad = false) {
  const toast = h('p', { class: bad ? 'toast bad' : 'toast' }, text);
  document.querySelector('#toasts')?.append(toast);
  setTimeout(() => toast.remove(), bad ? 9000 : 4000);
}

function problem(error) {
  if (error instanceof Problem && error.status === 401) end(t('signin.ended'));
  else say(worded(error), true);
}

// worded is what a person reads of a problem: our word for it, with what the API says of this one where the word has a place for that.
function worded(error) {
  if (!(error instanceof Problem)) return t('problem.unreachable');
  return has(`problem.${error.code}`) ? t(`problem.${error.code}`, { detail: error.message }) : error.message;
}

const refusals = { 401: 'signin.wrong', 403: 'signin.role' };
const refused = (error) => t(error instanceof Problem ? refusals[error.status] ?? 'signin.failed' : 'problem.unreachable');

function signIn(why) {
  const { all, input } = field(t('signin.key'), { type: 'password', autocomplete: 'off', spellcheck: 'false', required: true, placeholder: 'cs_…' });
  const told = h('p', { class: 'bad', role: 'alert' }, why);
  const submit = async (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    try {
      await open();
      draw();
    } catch (error) {
      key.forget();
      told.textContent = refused(error);
      input.focus();
    }
  };
  document.body.replaceChildren(h('main', { class: 'signin' },
    h('form', { onsubmit: submit }, brand('h1'), h('p', { class: 'muted' }, t('signin.about')), all, told,
      h('button', { class: 'primary' }, t('signin.enter')), h('p', { class: 'muted small' }, t('signin.where')), switches())));
  input.focus();
}

const brand = (tag) => h(tag, { class: 'brand' }, h('img', { src: 'icon.svg', alt: '', width: 28, height: 28 }), h('span', {}, 'Callsign'));

function switches() {
  const theme = localStorage.getItem(THEME) ?? 'auto';
  return h('div', { class: 'switches' },
    h('div', { role: 'group', 'aria-label': t('switch.language') }, languages.map((l) => h('button', {
      type: 'button', lang: l, 'aria-pressed': String(l === language), onclick: async () => { await speak(l); draw(); },
    }, t(`language.${l}`)))),
    h('div', { role: 'group', 'aria-label': t('switch.light') }, themes.map((choice) => h('button', {
      type: 'button', 'aria-pressed': String(choice === theme), onclick: () => { light(choice); draw(); },
    }, t(`light.${choice}`)))));
}

// decoded is a part of the address, which anybody may have written.
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

// draw draws everything anew: the frame, then the page that the address names.
async function draw(why = '') {
  leave();
  leave = () => {};
  document.title = `Callsign · ${t('title')}`;
  if (!session) return signIn(why);
  const [name, one] = location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  const allowed = pages.filter((p) => !p.admin || session.admin);
  const page = allowed.find((p) => p.name === name) ?? allowed[0];
  const heading = h('h1', { tabindex: -1 }, t(`page.${page.name}`));
  const main = h('div', { class: `page page-${page.name}`, 'data-loading': t('loading') });
  document.title = `${t(`page.${page.name}`)} · Callsign`;
  document.body.replaceChildren(
    h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); heading.focus(); } }, t('skip')),
    h('div', { class: 'frame' },
      h('header', { class: 'side' }, brand('div'),
        h('nav', { 'aria-label': t('navigation') }, allowed.map((p) => h('a', { href: `#/${p.name}`, 'aria-current': p === page ? 'page' : null }, t(`page.${p.name}`)))),
        h('div', { class: 'side-end' }, switches(),
          h('button', { type: 'button', onclick: () => end() }, t('signin.leave')), h('p', { class: 'muted small' }, t(session.admin ? 'role.admin' : 'role.operator')))),
      h('main', { id: 'main' }, heading, main)),
    h('div', { id: 'toasts', role: 'status', 'aria-live': 'polite' }));
  const close = new AbortController();
  leave = () => close.abort();
  try {
    await (one && page.one ? page.one : page.show)(main, { ...session, closed: close.signal, connectedNow: () => session?.connected }, one);
  } catch (error) {
    if (close.signal.aborted) return;
    if (error instanceof Problem && error.status === 401) return problem(error);
    add(main, h('div', { class: 'card', role: 'alert' }, h('p', { class: 'bad' }, worded(error)), h('button', { type: 'button', onclick: () => draw() }, t('retry'))));
  }
}

addEventListener('hashchange', async () => {
  await draw();
  document.querySelector('h1')?.focus();
});

light();
await speak();
let why = '';
if (key.get()) await open().catch((error) => { session = null; why = refused(error); });
draw(why);
