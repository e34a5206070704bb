// Opt-outs: callers who want no texts, or only some.

import { add, h, field, table } from './dom.js';
import { ask, get, query } from './api.js';
import { t, dateTime } from './i18n.js';

const path = (caller, callee) => query(`/v1/opt-outs/${encodeURIComponent(caller)}`, { callee });

export async function optOutsPage(main, app) {
  const caller = field(t('optout.caller'), { type: 'tel', required: true, autocomplete: 'off', placeholder: '+8613800000001' });
  const callee = field(t('optout.callee'), { type: 'tel', autocomplete: 'off', placeholder: '+8613900000002' });
  const found = h('div', { 'aria-live': 'polite' });

  async function list(after = '') {
    const { items, next } = await get(query('/v1/opt-outs', { after, limit: 100 }));
    const rows = items.map((o) => [o.caller, o.callee ?? t('optout.everybody'), String(o.per_day), dateTime(o.at), o.origin ?? '',
      h('button', { type: 'button', 'aria-label': t('optout.remove_which', { caller: o.caller }), onclick: act(() => ask('DELETE', path(o.caller, o.callee)), 'optout.removed') }, t('optout.remove'))]);
    found.replaceChildren(rows.length ? table(t('page.optouts'), [...['caller', 'callee', 'per_day', 'at', 'origin'].map((w) => t(`optout.${w}`)), t('actions')], rows) : h('p', { class: 'empty' }, t('optout.none')),
      ...(next ? [h('button', { type: 'button', onclick: () => list(next).catch(app.problem) }, t('next'))] : []));
  }

  const act = (work, said) => async (event) => {
    event.preventDefault();
    try {
      await work();
      app.say(t(said));
      await list();
    } catch (error) {
      app.problem(error);
    }
  };
  add(main, h('p', { class: 'muted' }, t('optout.about')),
    h('form', { class: 'inline', onsubmit: act(() => ask('PUT', path(caller.input.value, callee.input.value.trim())), 'optout.kept') }, caller.all, callee.all, h('button', { class: 'primary' }, t('optout.put'))), found);
  await list();
}
