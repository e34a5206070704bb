// Live calls, the newest first, and the phone of the caller who is looked at: the newest, until one is chosen.

import { add, h, field } from './dom.js';
import { ask, get, query } from './api.js';
import { phaseOf, screenOf, stateOf } from './calls.js';
import { phone } from './phone.js';
import { ladder } from './ladder.js';
import { t, clock } from './i18n.js';

const rows = 60;

export const pill = (state) => h('span', { class: `pill state-${state}` }, t(`state.${state}`));
export const people = (call) => [h('b', {}, call.caller ?? t(call.private ? 'call.private' : 'call.erased')), h('span', { class: 'to', 'aria-hidden': 'true' }, ' → '),
  h('span', { class: 'sr' }, ` ${t('call.calls')} `), h('b', {}, call.callee ?? t('call.erased'))];

export async function livePage(main, app) {
  let chosen = '';
  const list = h('ul', { class: 'calls' });
  const stage = h('div', { class: 'stage' });
  const spoken = h('p', { class: 'sr', role: 'status', 'aria-live': 'polite' });
  const connection = h('p', { class: 'connection' });
  add(main, h('div', { class: 'bar' }, connection, app.offers('/v1/test-calls') && testCall(app)),
    h('div', { class: 'columns' }, h('section', { 'aria-label': t('live.calls') }, list), h('section', { 'aria-label': t('live.phone') }, stage)), spoken);

  function drawRow({ call, events }) {
    const current = call.id === chosen;
    return h('li', {}, h('button', { type: 'button', class: 'call', 'aria-pressed': String(current), 'data-id': call.id, onclick: () => { chosen = current ? '' : call.id; draw(); } },
      h('time', { datetime: call.at }, clock(call.at)), h('span', { class: 'people' }, people(call)), h('span', { class: 'phase' }, t(`phase.${phaseOf(events)}`)), pill(stateOf(events))));
  }

  function draw() {
    const all = app.live.newest();
    const focused = document.activeElement?.dataset?.id;
    list.replaceChildren(...(all.length ? all.slice(0, rows).map(drawRow) : [h('li', { class: 'empty' }, t('live.none'))]));
    if (focused) list.querySelector(`[data-id="${focused}"]`)?.focus();
    const entry = app.live.calls.get(chosen) ?? all[0];
    stage.replaceChildren(...(entry ? [phone(screenOf(entry.call, entry.events)), h('div', { class: 'stage-side' },
      h('p', { class: 'people' }, people(entry.call)), ladder(entry.events),
      h('p', {}, h('a', { href: `#/calls/${entry.call.id}` }, t('live.timeline'))))] : [phone({ state: 'waiting', phase: 'calling', callee: '', caller: '', at: Date.now() })]));
    connection.textContent = t(app.connectedNow() ? 'live.connected' : 'live.waiting');
    connection.dataset.open = String(Boolean(app.connectedNow()));
  }

  let drawing = 0;
  const soon = () => { drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); }); };
  app.live.addEventListener('change', (event) => {
    soon();
    const entry = app.live.calls.get(event.detail);
    if (entry && stateOf(entry.events) === 'shown') spoken.textContent = t('live.spoken', { caller: entry.call.caller ?? t('call.private'), text: screenOf(entry.call, entry.events).text ?? '' });
  }, { signal: app.closed });
  app.live.addEventListener('connection', soon, { signal: app.closed });
  draw();

  // What was there before the stream began.
  const { items } = await get(query('/v1/calls', { limit: 12 }));
  await Promise.all(items.filter((call) => !app.live.calls.has(call.id)).map(async (call) => {
    const { events } = await get(`/v1/calls/${call.id}`);
    app.live.add(call);
    for (const event of events) app.live.line({ ...event, call: call.id });
  }));
}

function testCall(app) {
  const caller = field(t('test.caller'), { type: 'tel', required: true, placeholder: '+8613800000001', autocomplete: 'off' });
  const callee = field(t('test.callee'), { type: 'tel', required: true, placeholder: '+8613900000002', autocomplete: 'off' });
  const button = h('button', { class: 'primary' }, t('test.place'));
  const place = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const { answers } = await ask('POST', '/v1/test-calls', { caller: caller.input.value, callee: callee.input.value });
      app.say(t('test.over', { answers: answers.map((a) => a.status).join(', ') }));
    } catch (error) {
      app.problem(error);
    }
    button.disabled = false;
  };
  return h('details', { class: 'test-call' }, h('summary', {}, t('test.title')),
    h('form', { class: 'inline', onsubmit: place }, caller.all, callee.all, button, h('p', { class: 'muted small' }, t('test.about'))));
}
