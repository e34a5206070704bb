// Keys, and the audit: for administrators.

import { add, h, field, table } from './dom.js';
import { ask, get, query } from './api.js';
import { t, dateTime } from './i18n.js';

const roles = ['operator', 'admin', 'source', 'subscriber'];

export async function keysPage(main, app) {
  const name = field(t('key.name'), { required: true, maxlength: 200, autocomplete: 'off' });
  const role = field(t('key.role'), {}, 'select');
  role.input.append(...roles.map((r) => h('option', { value: r }, t(`role.${r}`))));
  const network = field(t('account.network'), { maxlength: 32, autocomplete: 'off' });
  const number = field(t('subscriber.number'), { type: 'tel', autocomplete: 'off' });
  const told = h('div', { 'aria-live': 'polite' });
  const found = h('div', {});
  const fit = () => { network.all.hidden = role.input.value !== 'source'; number.all.hidden = role.input.value !== 'subscriber'; };
  role.input.addEventListener('change', fit);
  fit();

  async function list(after = '') {
    const { items, next } = await get(query('/v1/keys', { after, limit: 100 }));
    const remove = (k) => async () => {
      try { await ask('DELETE', `/v1/keys/${k.id}`); await list(); } catch (error) { app.problem(error); }
    };
    const rows = items.map((k) => [k.name, t(`role.${k.role}`), k.network ?? k.msisdn ?? '', dateTime(k.created), k.revoked ? t('key.revoked') : dateTime(k.expires) || t('key.never'),
      !k.revoked && h('button', { type: 'button', 'aria-label': t('key.remove_which', { name: k.name }), onclick: remove(k) }, t('key.remove'))]);
    found.replaceChildren(table(t('page.keys'), [t('key.name'), t('key.role'), t('key.for'), t('key.created'), t('key.ends'), t('actions')], rows),
      ...(next ? [h('button', { type: 'button', onclick: () => list(next).catch(app.problem) }, t('next'))] : []));
  }

  async function make(event) {
    event.preventDefault();
    const asked = { name: name.input.value, role: role.input.value };
    if (asked.role === 'source') asked.network = network.input.value;
    if (asked.role === 'subscriber') asked.msisdn = number.input.value;
    try {
      const made = await ask('POST', '/v1/keys', asked);
      told.replaceChildren(h('p', { class: 'card' }, t('key.told'), ' ', h('code', { tabindex: 0 }, made.key)));
      await list();
    } catch (error) {
      app.problem(error);
    }
  }
  add(main, h('form', { class: 'inline', onsubmit: make }, name.all, role.all, network.all, number.all, h('button', { class: 'primary' }, t('key.make'))), told, found);
  await list();
}

export async function auditPage(main, app) {
  const found = h('div', { 'aria-live': 'polite' });
  add(main, found);
  async function list(after = '') {
    const { items, next } = await get(query('/v1/audit', { after, limit: 100 }));
    const rows = items.map((a) => [dateTime(a.at), a.action, a.msisdn ?? '', a.object ?? '', a.key_id ?? t('audit.machine'), a.address ?? '', a.status || t('audit.unknown')]);
    found.replaceChildren(rows.length ? table(t('page.audit'), ['at', 'action', 'number', 'object', 'key', 'address', 'status'].map((w) => t(`audit.${w}`)), rows) : h('p', { class: 'empty' }, t('audit.none')),
      ...(next ? [h('button', { type: 'button', onclick: () => list(next).catch(app.problem) }, t('next'))] : []));
  }
  await list();
}
