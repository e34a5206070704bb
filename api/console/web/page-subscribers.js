// Subscribers, and one of them: accounts and what they say, the text set by hand, policy, and what a call would show.

import { add, h, field, table } from './dom.js';
import { ask, get, query } from './api.js';
import { whatIf } from './page-calls.js';
import { policyEditor } from './page-policy.js';
import { t, told, dateTime } from './i18n.js';

const path = (number) => `/v1/subscribers/${encodeURIComponent(number)}`;

export async function subscribersPage(main, app) {
  const number = field(t('subscriber.number'), { type: 'tel', required: true, placeholder: '+8613900000002', autocomplete: 'off' });
  const found = h('div', { 'aria-live': 'polite' });
  async function list(after = '') {
    const { items, next } = await get(query('/v1/subscribers', { after, limit: 50 }));
    const rows = items.map((s) => [h('a', { href: `#/subscribers/${s.msisdn}` }, s.msisdn), h('bdi', {}, s.name), [...new Set(s.accounts.map((a) => a.network))].join(', '),
      h('span', { dir: 'auto' }, newest(s)?.shown ?? '')]);
    found.replaceChildren(rows.length ? table(t('page.subscribers'), [t('subscriber.number'), t('subscriber.name'), t('subscriber.accounts'), t('subscriber.shown')], rows) : h('p', { class: 'empty' }, t('subscriber.none')),
      ...(next ? [h('button', { type: 'button', onclick: () => list(next).catch(app.problem) }, t('next'))] : []));
  }
  add(main, h('form', { class: 'inline', role: 'search', onsubmit: (e) => { e.preventDefault(); app.go(`#/subscribers/${encodeURIComponent(number.input.value.trim())}`); } },
    number.all, h('button', { class: 'primary' }, t('subscriber.open'))), found);
  await list();
}

const newest = (s) => s.accounts.filter((a) => a.shown).sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];

export async function subscriberPage(main, app, number) {
  const s = await get(path(number));
  const again = async () => { main.replaceChildren(); await subscriberPage(main, app, number); };
  const act = (work, said) => async (event) => {
    event?.preventDefault();
    try {
      const answer = await work();
      app.say(typeof said === 'function' ? said(answer) : said);
      await again();
    } catch (error) {
      app.problem(error);
    }
  };
  const text = field(t('subscriber.text'), { rows: 2, maxlength: 2000, value: s.accounts.find((a) => a.network === 'manual')?.text ?? '' }, 'textarea');
  const network = field(t('account.network'), { required: true, maxlength: 32, autocomplete: 'off' });
  const account = field(t('account.account'), { required: true, maxlength: 512, autocomplete: 'off' });
  const accountPath = (a) => `${path(s.msisdn)}/accounts/${encodeURIComponent(a.network)}/${encodeURIComponent(a.account)}`;
  const rows = s.accounts.map((a) => [a.network, a.account, h('span', { dir: 'auto' }, a.shown || t('account.nothing')),
    a.review ? h('span', { class: `pill review-${a.review}` }, t(`review.${a.review}`)) : '', dateTime(a.at), a.origin ?? '',
    a.network !== 'manual' && a.network !== 'policy' && h('button', { type: 'button', 'aria-label': t('account.unlink_which', { account: `${a.network} ${a.account}` }), onclick: act(() => ask('DELETE', accountPath(a)), t('account.unlinked')) }, t('account.unlink'))]);
  add(main, h('p', {}, h('a', { href: '#/subscribers' }, t('subscriber.all'))),
    h('p', { class: 'who' }, h('b', {}, s.msisdn), ' ', h('bdi', {}, s.name)),
    h('section', { class: 'card' }, h('h2', {}, t('subscriber.accounts')),
      rows.length ? table(t('subscriber.accounts'), [t('account.network'), t('account.account'), t('account.says'), t('account.review'), t('account.at'), t('account.origin'), t('actions')], rows) : h('p', { class: 'empty' }, t('account.none')),
      h('form', { class: 'inline', onsubmit: act(() => ask('PUT', accountPath({ network: network.input.value, account: account.input.value })), t('account.linked')) },
        network.all, account.all, h('button', {}, t('account.link')))),
    h('section', { class: 'card' }, h('h2', {}, t('subscriber.by_hand')),
      h('form', { onsubmit: act(() => ask('PUT', `${path(s.msisdn)}/signature`, { text: text.input.value }), (a) => told('status', a.status)) }, text.all, h('button', { class: 'primary' }, t('save')))),
    await Promise.all([links(app, s, act), policy(app, s)]),
    h('section', { class: 'card' }, h('h2', {}, t('whatif.title')), whatIf(app, { callee: s.msisdn })),
    h('p', {}, h('button', { type: 'button', onclick: () => app.go('#/calls') }, t('subscriber.calls'))));
}

// absent is nothing where the API has nothing.
const absent = (problem) => { if (problem.status === 404) return null; throw problem; };

const proofs = ['signature', 'sms', 'network'];

// links are accounts that are linked once that is proved: by a code, or by the network's word.
async function links(app, s, act) {
  const own = '/v1/subscribers/{msisdn}/links';
  if (!app.offers(own)) return null;
  const answer = await get(`${path(s.msisdn)}/links`).catch(absent);
  const network = field(t('account.network'), { required: true, maxlength: 32, autocomplete: 'off' });
  const account = field(t('account.account'), { required: true, maxlength: 512, autocomplete: 'off' });
  const proof = field(t('links.proof'), {}, 'select');
  proof.input.append(...proofs.map((p) => h('option', { value: p }, t(`proof.${p}`))));
  const askFor = () => ask('POST', `${path(s.msisdn)}/links`, { network: network.input.value, account: account.input.value, proof: proof.input.value });
  const code = h('p', { 'aria-live': 'polite' });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const link = await askFor();
      if (!link.code) return await act(() => link, t('account.linked'))();
      code.replaceChildren(t('links.code'), ' ', h('code', { tabindex: 0 }, link.code)); // it is told only now, so it stays
    } catch (error) {
      app.problem(error);
    }
  };
  const withdraw = (l) => act(() => ask('DELETE', `${path(s.msisdn)}/links/${encodeURIComponent(l.network)}/${encodeURIComponent(l.account)}`), t('links.withdrawn'));
  const rows = (answer?.items ?? []).map((l) => [l.network, l.account, t(l.state === 'linked' ? 'links.linked' : 'links.waiting'), told('proof', l.proof), dateTime(l.proved_at ?? l.expires_at),
    l.state !== 'linked' && h('button', { type: 'button', 'aria-label': t('links.withdraw_which', { account: `${l.network} ${l.account}` }), onclick: withdraw(l) }, t('links.withdraw'))]);
  return h('section', { class: 'card' }, h('h2', {}, t('links.title')),
    rows.length ? table(t('links.title'), [t('account.network'), t('account.account'), t('links.state'), t('links.proof'), t('links.until'), t('actions')], rows) : h('p', { class: 'empty' }, t('links.none')),
    h('form', { class: 'inline', onsubmit: submit }, network.all, account.all, proof.all, h('button', {}, t('links.ask'))), code);
}

// policy is the subscriber's own, with what became of each of its texts.
async function policy(app, s) {
  if (!app.offers('/v1/subscribers/{msisdn}/policy')) return null;
  let { accounts } = s;
  const about = (name) => {
    const said = accounts.find((a) => a.network === 'policy' && a.account === `${s.msisdn.slice(1)}/${name}`);
    return said?.review ? h('span', { class: `pill review-${said.review}` }, t(`review.${said.review}`)) : null;
  };
  const saved = async () => { ({ accounts } = await get(path(s.msisdn))); };
  return h('section', { class: 'card' }, h('h2', {}, t('policy.title')), await policyEditor(app, `${path(s.msisdn)}/policy`, { kind: 'subscriber', about, saved }));
}
