// Policies, of a subscriber and of the tenant: the parts that people change most as forms, and all of it as text. Both show one document.

import { add, h, field } from './dom.js';
import { tagged, Problem } from './api.js';
import { isObject, list, members, placed, put, rename, renamed, split } from './policy.js';
import { t } from './i18n.js';

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

// The parts of each kind, in the order of the page.
const parts = {
  subscriber: [check('paused'), pauses, texts, text('default', { values: (doc) => ['', ...members(doc.texts).map(([name]) => name)], word: (v) => v || t('policy.nothing') }),
    lists('never', 'lists'), rules, text('repeat', { placeholder: 'always' }), text('time_zone', { placeholder: 'Asia/Shanghai' })],
  tenant: [check('moderation', 'required'), text('private', { values: () => ['', 'skip'], word: (v) => t(v ? 'policy.private_skip' : 'policy.private_show') }),
    text('per_day', { type: 'number', min: 0, max: 1000 }), text('max_rules', { type: 'number', min: 0, max: 200 }), text('repeat', { placeholder: 'always' }),
    text('time_zone', { placeholder: 'Asia/Shanghai' }), lists('callers', 'lists_of_all', 'who'), lists('exclude', 'lists_of_all'), blackouts, channels],
};

export async function policyPage(main, app) {
  add(main, h('p', { class: 'muted' }, t('policy.of_all')), h('section', { class: 'card' }, await policyEditor(app, '/v1/policy', { kind: 'tenant' })));
}

// policyEditor edits the policy at a path. about tells of a text by its name what stands beside it.
export async function policyEditor(app, path, { kind, about = () => null, saved = () => {} }) {
  let doc, tag, unread = '';
  const body = h('div', { class: 'parts' });
  const whole = field(t('policy.whole'), { rows: 12, class: 'code', spellcheck: 'false', autocomplete: 'off' }, 'textarea');
  const state = h('p', { class: 'muted', role: 'status' });
  const wrong = h('div', { role: 'alert' });
  const remove = h('button', { type: 'button', onclick: act(async () => { await tagged('DELETE', path, undefined, tag); settle({ answer: {}, tag: '' }); }, 'policy.removed') }, t('policy.remove'));

  async function read() {
    settle(await tagged('GET', path).catch((p) => { if (p.status === 404) return { answer: {}, tag: '' }; throw p; }));
  }
  function settle(kept) {
    ({ answer: doc, tag } = kept);
    write();
    draw();
    state.textContent = tag ? '' : t(kind === 'tenant' ? 'policy.none_of_all' : 'policy.none');
    remove.hidden = !tag;
  }

  const write = () => { whole.input.value = JSON.stringify(doc, null, 2); unread = ''; };
  const clear = () => { wrong.replaceChildren(); for (const slot of body.querySelectorAll('[data-wrong]')) slot.textContent = ''; };
  const changed = () => { write(); state.textContent = t('policy.unsaved'); };

  // redraw is for what changes which parts there are; then the focus goes to what a selector finds.
  function redraw(focus) {
    changed();
    draw();
    body.querySelector(focus)?.focus();
  }
  function draw() {
    clear();
    body.replaceChildren(...parts[kind].map((part) => part({ doc, changed, redraw, about })));
  }

  whole.input.addEventListener('input', () => {
    try {
      const given = JSON.parse(whole.input.value);
      if (!isObject(given)) throw new SyntaxError('{ … }');
      doc = given;
      unread = '';
      draw();
    } catch (error) {
      unread = t('policy.no_document', { why: error.message });
    }
    wrong.replaceChildren(unread && h('p', { class: 'bad' }, unread));
    state.textContent = t('policy.unsaved');
  });

  function show(error) {
    if (!(error instanceof Problem) || ![400, 412, 422].includes(error.status)) return app.problem(error);
    clear();
    if (error.status === 412) {
      wrong.replaceChildren(h('p', { class: 'bad' }, t('policy.changed')), h('button', { type: 'button', onclick: () => read().catch(app.problem) }, t('policy.reload')));
      return;
    }
    const beside = [];
    for (const { part, message } of placed(error)) {
      const slot = body.querySelector(`[data-wrong="${part}"]`) ?? body.querySelector(`[data-wrong="${part.replace(/\[.*/, '')}"]`);
      if (slot) slot.textContent = message;
      beside.push(slot ? null : h('p', { class: 'bad' }, message));
    }
    wrong.replaceChildren(h('p', { class: 'bad' }, t('policy.refused')), ...beside.filter(Boolean));
  }

  function act(work, said) {
    return async (event) => {
      event.preventDefault();
      if (unread) { whole.input.focus(); return; }
      try {
        await work();
        app.say(t(said));
        await saved();
        draw();
      } catch (error) {
        show(error);
      }
    };
  }
  const save = act(async () => { settle(await tagged('PUT', path, doc, tag)); }, 'policy.saved');
  await read();
  return h('form', { class: 'policy', onsubmit: save }, body, h('details', {}, h('summary', {}, t('policy.whole')), whole.all), wrong,
    h('div', { class: 'actions' }, h('button', { class: 'primary' }, t('save')), remove), state);
}

// slot is where the API's word about a part stands.
const slot = (name) => h('p', { class: 'bad', role: 'alert', 'data-wrong': name });

// text is a member with one value; with values it is one of those.
function text(name, { values, word, ...props }) {
  return ({ doc, changed }) => {
    const { all, input } = field(t(`policy.${name}`), { ...props, autocomplete: 'off', onchange: () => { put(doc, name, props.type === 'number' ? Number(input.value) : input.value); changed(); } }, values ? 'select' : 'input');
    if (values) input.append(...[...new Set([...values(doc), String(doc[name] ?? '')])].map((value) => h('option', { value }, word(value))));
    input.value = String(doc[name] ?? '');
    return h('div', { class: 'part' }, all, slot(name));
  };
}

// check is a member that is there or not.
function check(name, value = true) {
  return ({ doc, changed }) => h('div', { class: 'part wide' }, tick(t(`policy.${name}`), doc[name] === value, (on) => { put(doc, name, on && value); changed(); }), slot(name));
}

function tick(label, checked, set) {
  return h('label', { class: 'tick' }, h('input', { type: 'checkbox', checked, onchange: (e) => set(e.target.checked) }), h('span', {}, label));
}

// lists is a member with several callers.
function lists(name, about, word = name) {
  return ({ doc, changed }) => h('div', { class: 'part wide' }, callers(doc, name, t(`policy.${word}`), changed), h('p', { class: 'muted small' }, t(`policy.${about}`)), slot(name));
}

function callers(object, name, label, changed) {
  const { all, input } = field(label, { value: list(object[name]).join(', '), autocomplete: 'off', onchange: () => { put(object, name, split(input.value)); changed(); } });
  return all;
}

const line = (object, name, label, changed, props = {}) => {
  const { all, input } = field(label, { value: String(object[name] ?? ''), autocomplete: 'off', ...props, onchange: () => { put(object, name, input.value); changed(); } });
  return all;
};

// several is a part of any number of rows: what each shows, and how one comes and goes. up is for those whose order counts.
function several(page, name, rows, { one, make, drop, up, about }) {
  const what = t(`policy.${name}`);
  const move = (i) => () => { up(i); page.redraw(`[data-row="${name}${i - 1}"] button`); };
  return h('fieldset', { class: 'part wide' }, h('legend', {}, what), about && h('p', { class: 'muted small' }, about), slot(name),
    rows.map((row, i) => {
      const which = t(`policy.${one}_n`, { n: i + 1 });
      return h('fieldset', { class: 'row', 'data-row': `${name}${i}` }, h('legend', {}, which), h('div', { class: 'inline' }, row),
        h('div', { class: 'actions' }, up && i > 0 && h('button', { type: 'button', 'aria-label': t('policy.up_which', { what: which }), onclick: move(i) }, t('policy.up')),
          h('button', { type: 'button', 'aria-label': t('policy.drop_which', { what: which }), onclick: () => { drop(i); page.redraw(`[data-add="${name}"]`); } }, t('policy.drop'))), slot(`${name}[${i}]`));
    }),
    h('button', { type: 'button', 'data-add': name, 'aria-label': t('policy.add_which', { what }), onclick: () => { make(); page.redraw(`[data-row="${name}${rows.length}"] input`); } }, t('policy.add')));
}

// items are several that stand in an array.
function items(page, name, one, draw, fresh, more = {}) {
  const { doc } = page;
  const all = list(doc[name]).map((item) => (isObject(item) ? item : {}));
  if (Array.isArray(doc[name])) doc[name] = all;
  return several(page, name, all.map(draw), {
    one, ...more, make: () => { doc[name] = [...all, fresh()]; }, drop: (i) => put(doc, name, all.toSpliced(i, 1)),
    up: more.ordered && ((i) => { doc[name] = all.toSpliced(i - 1, 2, all[i], all[i - 1]); }),
  });
}

// named are several that stand in an object, under names of their own; drawn tells of each what stands beside its name.
function named(page, name, one, label, rename, drawn, fresh, beginning) {
  const { doc, changed } = page;
  const all = members(doc[name]);
  return several(page, name, all.map(([key, value]) => [
    field(label, { value: key, required: true, autocomplete: 'off', onchange: (e) => {
      const to = e.target.value.trim();
      const taken = to !== key && Object.hasOwn(doc[name], to);
      e.target.setCustomValidity(taken ? t('policy.taken') : ''); // two of one name would be one
      if (to === '' || taken) return e.target.reportValidity();
      rename(key, to);
      page.redraw();
    } }).all, drawn(key, value, changed)]), {
    one, drop: (i) => put(doc, name, Object.fromEntries(all.toSpliced(i, 1))),
    make: () => { let n = all.length + 1; while (doc[name]?.[beginning + n]) n++; doc[name] = { ...doc[name], [beginning + n]: fresh }; },
  });
}

// moment is a time as its field shows it, in the browser's own time zone.
function moment(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? '' : new Date(time - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function pauses(page) {
  const at = (pause, name, label) => field(label, { type: 'datetime-local', value: moment(pause[name]), onchange: (e) => { put(pause, name, e.target.value && new Date(e.target.value).toISOString()); page.changed(); } }).all;
  const hour = () => new Date(Math.ceil(Date.now() / 3600000) * 3600000);
  return items(page, 'pauses', 'pause', (pause) => [at(pause, 'from', t('policy.begin')), at(pause, 'to', t('policy.end'))],
    () => ({ from: hour().toISOString(), to: new Date(hour().getTime() + 86400000).toISOString() }));
}

function texts(page) {
  const { doc } = page;
  return named(page, 'texts', 'text', t('policy.text_name'), (from, to) => rename(doc, from, to), (name, said, changed) => {
    const held = isObject(said) ? said : (doc.texts[name] = { text: '' });
    const languages = members(held.languages).map(([language]) => language).join(', ');
    return [h('div', { class: 'long' }, field(t('policy.text'), { value: String(held.text ?? ''), dir: 'auto', autocomplete: 'off', onchange: (e) => { held.text = e.target.value; changed(); } }).all),
      page.about(name), languages && h('p', { class: 'muted small' }, t('policy.languages', { languages }))];
  }, { text: '' }, 'text');
}

// when is a time that comes again.
function when(object, changed) {
  const further = ['dates', 'holidays'].filter((name) => name in object).map((name) => t(`policy.${name}`));
  const chosen = () => list(object.days);
  return [h('div', { class: 'days', role: 'group', 'aria-label': t('policy.days') }, h('span', { class: 'muted small', 'aria-hidden': 'true' }, t('policy.days')),
    h('div', {}, days.map((day) => tick(t(`day.${day}`), chosen().includes(day), (on) => { put(object, 'days', days.filter((d) => (d === day ? on : chosen().includes(d)))); changed(); })))),
  h('div', { class: 'times' }, line(object, 'from', t('policy.from'), changed), line(object, 'to', t('policy.to'), changed)),
  further.length > 0 && h('p', { class: 'muted small' }, t('policy.also', { what: further.join(', ') }))];
}

function rules(page) {
  const { doc, changed } = page;
  const shows = ['signature', 'nothing', ...members(doc.texts).map(([name]) => name)];
  return items(page, 'rules', 'rule', (rule) => {
    const show = field(t('policy.show'), { onchange: () => { rule.show = show.input.value; changed(); } }, 'select');
    const word = (value, i) => (i < 2 ? t(value === 'nothing' ? 'policy.nothing' : 'policy.signature') : value);
    show.input.append(...[...new Set([...shows, String(rule.show ?? 'signature')])].map((value, i) => h('option', { value }, word(value, i))));
    show.input.value = String(rule.show ?? 'signature');
    return [line(rule, 'name', t('policy.name'), changed, { maxlength: 64 }), show.all, h('div', { class: 'long' }, callers(rule, 'callers', t('policy.callers'), changed)), when(rule, changed)];
  }, () => ({ show: 'signature' }), { ordered: true, about: [t('policy.rules_about'), ' ', t('policy.lists')] });
}

function blackouts(page) {
  return items(page, 'blackouts', 'blackout', (time) => when(time, page.changed), () => ({}));
}

function channels(page) {
  const { doc } = page;
  return named(page, 'channels', 'channel', t('policy.access'), (from, to) => { doc.channels = renamed(doc.channels, from, to); }, (access, channel, changed) => {
    const { all, input } = field(t('policy.channel'), { onchange: () => { doc.channels[access] = input.value; changed(); } }, 'select');
    input.append(...['flash', 'ussd', 'none'].map((value) => h('option', { value }, t(`phone.${value}`))));
    input.value = String(channel);
    return all;
  }, 'flash', '3GPP-');
}
