// A call's timeline as a ladder: S-CSCF, AS, SMSC and handset from left to right, time from top to bottom.

import { h } from './dom.js';
import { lanes, octets, rungOf } from './calls.js';
import { t, told, clock, has } from './i18n.js';

const explained = { skipped: 'reason', failed: 'reason', ended: 'ended' };

// policyText names the text of a policy that an event's origin is, if it is one.
export function policyText(origin = '') {
  const name = /^policy\/(.+)/.exec(origin)?.[1];
  return name && t('timeline.by_policy', { name });
}

// words are what a person reads of an event beside the protocol's own word.
function words(event) {
  if (event.kind === 'decided' || event.kind === 'submitted') return event.text;
  if (event.message_id && event.kind !== 'receipt') return event.message_id;
  const group = explained[event.kind];
  return [event.kind === 'failed' && event.link, group && event.reason ? told(group, event.reason) : event.reason].filter(Boolean).join(': ');
}

function rung(event, since) {
  const [from, to, name] = rungOf(event);
  const left = Math.min(from, to);
  const kind = has(`event.${event.kind}`) ? t(`event.${event.kind}`) : event.kind;
  const late = (Date.parse(event.at) - since) / 1000;
  const route = from === to ? t(`lane.${lanes[from]}`) : `${t(`lane.${lanes[from]}`)} → ${t(`lane.${lanes[to]}`)}`;
  const mark = from === to
    ? h('span', { class: `note note-${event.kind}` }, kind)
    : h('span', { class: `arrow ${from < to ? 'right' : 'back'} from-${left} span-${Math.abs(from - to)}`, 'aria-hidden': 'true' }, h('b', {}, name));
  return h('li', { class: `rung kind-${event.kind}` },
    h('time', { datetime: event.at, title: event.at }, h('span', {}, clock(event.at)), h('small', {}, `+${late.toFixed(3)} s`)),
    h('div', { class: 'lanes' }, h('i'), h('i'), h('i'), h('i'), mark),
    h('div', { class: 'said' },
      h('span', { class: 'sr' }, `${route}: `), h('strong', {}, kind), name && from !== to && h('span', { class: 'sr' }, ` ${name}`),
      words(event) && h('span', { dir: 'auto', class: event.text ? 'quote' : 'why' }, words(event)),
      event.kind === 'decided' && h('small', {}, policyText(event.reason) ?? t('timeline.agreed')),
      event.kind === 'submitted' && event.reason && h('small', {}, event.reason),
      event.wire && h('details', {}, h('summary', {}, t('timeline.octets')), h('pre', { tabindex: 0 }, octets(event.wire)))));
}

export function ladder(events) {
  const since = events.length ? Date.parse(events[0].at) : 0;
  return h('div', { class: 'ladder' },
    h('div', { class: 'lane-names', 'aria-hidden': 'true' }, h('span'), h('div', {}, lanes.map((lane) => h('span', {}, t(`lane.${lane}`)))), h('span')),
    h('ol', { 'aria-label': t('timeline.title') }, events.map((event) => rung(event, since))));
}
