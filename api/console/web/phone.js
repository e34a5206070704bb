// The caller's phone, as it shows a text: over the call by Flash SMS, or in the dialogue of USSD.

import { h } from './dom.js';
import { t, told, minute, number } from './i18n.js';

function shown(screen) {
  if (screen.text === undefined) return null;
  const ussd = screen.channel === 'ussd';
  return h('div', { class: ussd ? 'message ussd' : 'message flash', role: 'group', 'aria-label': t(ussd ? 'phone.ussd' : 'phone.flash') },
    h('p', { class: 'message-kind' }, t(ussd ? 'phone.ussd' : 'phone.flash')),
    h('p', { class: 'message-text', dir: 'auto' }, screen.text),
    h('p', { class: 'message-keys', 'aria-hidden': 'true' }, ussd ? h('span', {}, t('phone.ok')) : [h('span', {}, t('phone.save')), h('span', {}, t('phone.dismiss'))]));
}

// measure says how a text was coded, and how much of what is to be had it takes.
function measure(screen) {
  if (screen.text === undefined) return null;
  const facts = [t(`phone.${screen.channel}`), screen.encoding && t(`encoding.${screen.encoding}`)];
  if (screen.most) facts.push(t('phone.units', { units: number(screen.units), most: number(screen.most) }));
  return h('figcaption', { class: 'measure' },
    screen.most > 0 && h('meter', { min: 0, max: screen.most, value: screen.units, 'aria-label': t('phone.taken') }),
    h('span', {}, facts.filter(Boolean).join(' · ')), screen.cut && h('strong', { class: 'cut' }, t('phone.cut')));
}

export function phone(screen) {
  const dark = screen.text === undefined;
  return h('figure', { class: `phone-figure state-${screen.state}` },
    h('div', { class: 'phone', 'data-state': screen.state },
      h('div', { class: 'phone-bar' }, h('span', { class: 'signal', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'), h('i')), h('span', {}, minute(screen.at))),
      h('div', { class: 'phone-call' },
        h('span', { class: 'phone-phase' }, t(`phase.${screen.phase}`)), h('span', { class: 'phone-number' }, screen.callee ?? t('call.erased'))),
      h('div', { class: 'phone-screen' }, shown(screen),
        dark && h('p', { class: 'phone-dark' }, screen.state === 'waiting' ? t('phone.waiting') : t('phone.dark', { reason: told('reason', screen.refusal ?? '') }))),
      h('div', { class: 'phone-end', 'aria-hidden': 'true' }, h('span'))),
    measure(screen) ?? h('figcaption', { class: 'measure' }, t('phone.of', { caller: screen.caller ?? t('call.private') })));
}
