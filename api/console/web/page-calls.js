// Calls that were, by number and time, and one call's timeline with what today's policy would do of it.

import { add, h, field, table } from './dom.js';
import { ask, get, query } from './api.js';
import { screenOf, screenOfWhatIf, stateOf } from './calls.js';
import { phone } from './phone.js';
import { ladder, policyText } from './ladder.js';
import { people, pill } from './page-live.js';
import { t, told, dateTime } from './i18n.js';

const when = (input) => (input.value ? new Date(input.value).toISOString() : '');

export async function callsPage(main, app) {
  const callee = field(t('calls.callee'), { type: 'tel', autocomplete: 'off' });
  const caller = field(t('calls.caller'), { type: 'tel', autocomplete: 'off' });
  const since = field(t('calls.since'), { type: 'datetime-local' });
  const until = field(t('calls.until'), { type: 'datetime-local' });
  const found = h('div', { 'aria-live': 'polite' });

  async function search(after = '') {
    try {
      const answer = await get(query('/v1/calls', { callee: callee.input.value, caller: caller.input.value, since: when(since.input), until: when(until.input), after, limit: 50 }));
      const rows = answer.items.map((call) => [h('a', { href: `#/calls/${call.id}` }, dateTime(call.at)), people(call),
        call.access ?? t('calls.unknown'), call.exempt ? told('reason', call.exempt) : '']);
      found.replaceChildren(rows.length ? table(t('page.calls'), [t('calls.at'), t('calls.who'), t('calls.access'), t('calls.exempt')], rows) : h('p', { class: 'empty' }, t('calls.none')),
        ...(answer.next ? [h('button', { type: 'button', onclick: () => search(answer.next) }, t('next'))] : []));
    } catch (error) {
      app.problem(error);
    }
  }

  add(main, h('form', { class: 'inline', role: 'search', onsubmit: (e) => { e.preventDefault(); search(); } },
    callee.all, caller.all, since.all, until.all, h('button', { class: 'primary' }, t('search'))), found);
  await search();
}

export async function callPage(main, app, id) {
  const call = await get(`/v1/calls/${encodeURIComponent(id)}`);
  const { events } = call;
  const by = call.said_by;
  const facts = [
    [t('calls.at'), dateTime(call.at)], [t('calls.who'), people(call)],
    [t('calls.access'), call.access ? `${call.access} (${told('from', call.access_from)})` : t('calls.unknown')],
    by && [t('call.said_by'), [policyText(by.origin) ?? by.origin, by.network && ` · ${by.network} ${by.account}`, by.at && ` · ${dateTime(by.at)}`]],
    call.sip_call_id && ['Call-ID', call.sip_call_id],
  ];
  add(main, h('p', {}, h('a', { href: '#/calls' }, t('call.all')), ' ', pill(stateOf(events))),
    h('dl', { class: 'facts' }, facts.filter(Boolean).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    h('div', { class: 'columns wide' },
      h('section', { 'aria-label': t('timeline.title') }, ladder(events)),
      h('section', { 'aria-label': t('live.phone') }, phone(screenOf(call, events)))),
    call.caller && call.callee && h('section', { class: 'card' }, h('h2', {}, t('whatif.today')), whatIf(app, call)));
}

// ruleName is what a rule asks; one of the subscriber's has its own name, or its place.
function ruleName(rule) {
  const place = /^rules\[(\d+)\]$/.exec(rule);
  return place ? t('policy.rule_n', { n: Number(place[1]) + 1 }) : told('rule', rule);
}

// whatIf asks what a call would show, and draws the phone; fixed is a call that was, of which nothing is asked.
export function whatIf(app, fixed = {}) {
  const caller = field(t('calls.caller'), { type: 'tel', required: true, value: fixed.caller ?? '', autocomplete: 'off' });
  const access = field(t('calls.access'), { value: fixed.access ?? '', placeholder: '3GPP-E-UTRAN-FDD', autocomplete: 'off' });
  const at = field(t('calls.at'), { type: 'datetime-local' });
  const found = h('div', { class: 'whatif', 'aria-live': 'polite' });
  const run = async (event) => {
    event?.preventDefault();
    const asked = { caller: caller.input.value, callee: fixed.callee };
    if (access.input.value) asked.access = access.input.value;
    const time = fixed.at ?? when(at.input);
    if (time) asked.at = time;
    try {
      const result = await ask('POST', '/v1/whatif', asked);
      const rules = (result.rules ?? []).map(({ rule, verdict, refusal }) => [h('span', { dir: 'auto' }, ruleName(rule)),
        h('span', { class: `verdict verdict-${verdict}` }, [told('verdict', verdict), refusal && told('reason', refusal)].filter(Boolean).join(': '))]);
      found.replaceChildren(phone(screenOfWhatIf({ ...asked, at: time || Date.now() }, result)), h('div', {},
        h('h3', {}, t(result.show ? 'whatif.shows' : 'whatif.shows_nothing')), !result.show && h('p', {}, told('reason', result.refusal)),
        rules.length ? table(t('whatif.rules'), [t('whatif.rule'), t('whatif.verdict')], rules) : h('ul', { class: 'reasons' }, (result.reasons ?? []).map((r) => h('li', {}, r)))));
    } catch (error) {
      app.problem(error);
    }
  };
  const form = h('form', { class: 'inline', onsubmit: run }, !fixed.at && [caller.all, access.all, at.all], h('button', { class: fixed.at ? '' : 'primary' }, t('whatif.ask')));
  return h('div', {}, form, found);
}
