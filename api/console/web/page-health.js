// Links, providers and sources: what doesn't work and what to do, rates and lags with their last two minutes.

import { add, h, sparkline, table } from './dom.js';
import { get, health, metrics } from './api.js';
import { t, told, dateTime, number } from './i18n.js';

const every = 2000;
const samples = 60;

// gauges are the numbers that are drawn: a rate is of a counter, per second.
const gauges = [
  { word: 'calls', name: 'callsign_calls_total', rate: true }, { word: 'sent', name: 'callsign_deliveries_total', rate: true, only: { outcome: 'accepted' } },
  { word: 'receipts', name: 'callsign_smpp_receipts_total', rate: true }, { word: 'changes', name: 'callsign_intake_changes_total', rate: true },
  { word: 'queue', name: 'callsign_journal_queue' }, { word: 'rung', name: 'callsign_load_rung' },
  { word: 'pushes', name: 'callsign_push_connections' }, { word: 'lag', name: 'callsign_sync_lag_seconds' },
];

const sum = (series, name, only = {}) => series.filter((s) => s.name === name && Object.entries(only).every(([k, v]) => s.labels[k] === v)).reduce((n, s) => n + s.value, 0);

function stateOf(network) {
  if (network.failing) return [h('span', { class: 'pill state-failed' }, t('network.failing')), ' ', network.failing];
  if (network.resting_until) return t('network.resting', { until: dateTime(network.resting_until) });
  return t(network.watching ? 'network.watching' : network.interval_seconds ? 'network.reading' : 'network.pushes');
}

export async function healthPage(main, app) {
  const problems = h('div', { 'aria-live': 'polite' });
  const cards = h('div', { class: 'gauges' });
  const links = h('div', {});
  const networks = h('div', {});
  add(main, problems, cards, h('section', {}, h('h2', {}, t('health.links')), links), h('section', {}, h('h2', {}, t('health.networks')), networks));
  const history = gauges.map(() => []);
  let before = null;
  let said = '';

  function drawProblems(list) {
    const now = JSON.stringify(list);
    if (now === said) return;
    said = now;
    problems.replaceChildren(list.length ? h('ul', { class: 'problems' }, list.map((p) => h('li', {}, h('strong', {}, p.part), h('span', {}, p.problem), h('em', {}, p.do))))
      : h('p', { class: 'fine' }, t('health.fine')));
  }

  function drawGauges(series, now) {
    cards.replaceChildren(...gauges.map((gauge, i) => {
      const total = sum(series, gauge.name, gauge.only);
      const value = gauge.rate ? (before ? Math.max(0, total - sum(before.series, gauge.name, gauge.only)) / ((now - before.at) / 1000) : 0) : total;
      history[i] = [...history[i], value].slice(-samples);
      return h('div', { class: 'gauge' }, h('span', { class: 'muted' }, t(`gauge.${gauge.word}`)), h('b', {}, number(Math.round(value * 10) / 10)), sparkline(history[i]));
    }));
    before = { series, at: now };
  }

  function drawLinks(series) {
    const names = series.filter((s) => s.name === 'callsign_smpp_bound');
    const of = (link, name, only) => number(sum(series, name, { link, ...only }));
    const rows = names.map((s) => {
      const { link } = s.labels;
      return [link, h('span', { class: `pill ${s.value ? 'state-shown' : 'state-failed'}` }, t(s.value ? 'health.bound' : 'health.away')),
        of(link, 'callsign_smpp_submits_total', { result: 'accepted' }), of(link, 'callsign_smpp_submits_total', { result: 'throttled' }),
        of(link, 'callsign_smpp_submits_total', { result: 'refused' }), of(link, 'callsign_smpp_receipts_total'), of(link, 'callsign_smpp_receipts_total', { when: 'late' })];
    });
    links.replaceChildren(rows.length ? table(t('health.links'), ['name', 'state', 'accepted', 'throttled', 'refused', 'receipts', 'late'].map((w) => t(`link.${w}`)), rows) : h('p', { class: 'empty' }, t('health.no_links')));
  }

  async function drawNetworks(series) {
    let rows;
    if (app.offers('/v1/networks')) {
      const answer = await get('/v1/networks');
      rows = (answer.items ?? []).map((n) => [n.network, [n.connector, ...(n.sources ?? []).map((source) => source.source || source.key_id)].filter(Boolean).join(', '),
        n.of_parts ? `${n.parts}/${n.of_parts}` : '', n.interval_seconds ?? '', n.lag_seconds === undefined ? '' : number(Math.round(n.lag_seconds)), dateTime(n.read_at), stateOf(n)]);
    } else {
      rows = series.filter((s) => s.name === 'callsign_sync_lag_seconds').map((s) => [s.labels.network, '', number(sum(series, 'callsign_sync_parts', s.labels)), '', number(Math.round(s.value)), '', t('network.reading')]);
    }
    networks.replaceChildren(rows.length ? table(t('health.networks'), ['network', 'connector', 'parts', 'interval', 'lag', 'read', 'state'].map((w) => t(`network.${w}`)), rows) : h('p', { class: 'empty' }, t('health.no_networks')));
  }

  async function look() {
    const [ready, series] = await Promise.all([health(), metrics()]);
    if (app.closed.aborted) return;
    drawProblems(ready.problems ?? []);
    drawGauges(series, Date.now());
    drawLinks(series);
    await drawNetworks(series);
  }
  await look();
  const timer = setInterval(() => look().catch((error) => { said = ''; problems.replaceChildren(h('p', { class: 'bad' }, told('problem', error.code ?? 'unreachable'))); }), every);
  app.closed.addEventListener('abort', () => clearInterval(timer));
}
