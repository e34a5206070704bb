// Texts that wait for a person, and those that were decided.

import { add, h } from './dom.js';
import { ask, get, query } from './api.js';
import { t, dateTime } from './i18n.js';

const states = ['pending', 'rejected', 'approved'];

export async function reviewsPage(main, app) {
  let state = states[0];
  const tabs = h('div', { class: 'tabs', role: 'group', 'aria-label': t('review.state') });
  const found = h('div', { 'aria-live': 'polite' });
  add(main, tabs, found);

  async function list(after = '') {
    tabs.replaceChildren(...states.map((s) => h('button', { type: 'button', 'aria-pressed': String(s === state), onclick: () => { state = s; list().catch(app.problem); } }, t(`review.${s}`))));
    const { items, next } = await get(query('/v1/reviews', { state, after, limit: 30 }));
    found.replaceChildren(items.length ? h('ul', { class: 'reviews' }, items.map(card)) : h('p', { class: 'empty' }, t('review.none')),
      ...(next ? [h('button', { type: 'button', onclick: () => list(next).catch(app.problem) }, t('next'))] : []));
  }

  function card(r) {
    const judge = (verdict) => async () => {
      try {
        await ask('POST', '/v1/reviews', { msisdn: r.msisdn, network: r.network, account: r.account, epoch: r.epoch, version: r.version, verdict });
        app.say(t(`review.done_${verdict}`));
      } catch (error) {
        app.problem(error);
      }
      await list().catch(app.problem);
    };
    const which = t('review.which', { account: `${r.network} ${r.account}` });
    return h('li', { class: 'card' }, h('p', { class: 'quote big', dir: 'auto' }, r.becomes || t('account.nothing')),
      r.becomes !== r.text && h('p', { class: 'muted', dir: 'auto' }, t('review.said', { text: r.text })),
      h('p', { class: 'muted' }, h('a', { href: `#/subscribers/${r.msisdn}` }, r.msisdn), ` · ${r.network} ${r.account} · ${dateTime(r.at)}`, r.reason && ` · ${r.reason}`),
      h('div', { class: 'actions' }, state !== 'approved' && h('button', { type: 'button', class: 'primary', 'aria-label': `${t('review.approve')} ${which}`, onclick: judge('approve') }, t('review.approve')),
        state !== 'rejected' && h('button', { type: 'button', 'aria-label': `${t('review.reject')} ${which}`, onclick: judge('reject') }, t('review.reject'))));
  }
  await list();
}
