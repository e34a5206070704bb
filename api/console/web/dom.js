// Elements, made from texts alone: nothing that comes from outside is ever read as markup.

const SVG = 'http://www.w3.org/2000/svg';

// plain shows the characters that would turn others around, and hide what a text says.
const plain = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(typeof child === 'string' ? plain(child) : child);
  }
  return element;
}

// add puts children into an element that is there; what is none of them is left out.
export const add = (element, ...children) => fill(element, {}, children);
export const h = (name, props, ...children) => fill(document.createElement(name), props, children);
export const svg = (name, props, ...children) => fill(document.createElementNS(SVG, name), props, children);

// table is rows under headings, in a region of its own that scrolls with the keyboard, too.
export function table(label, headings, rows) {
  return h('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: 0 },
    h('table', {}, h('thead', {}, h('tr', {}, headings.map((text) => h('th', { scope: 'col' }, text)))),
      h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map(cell))))));
}

// cell is as wide as what it says, but what is long is broken.
function cell(said) {
  const td = h('td', {}, said);
  if (td.textContent.length > 32) td.className = 'long';
  return td;
}

let fields = 0;

// field is a labelled input, of which the label comes first.
export function field(label, props = {}, element = 'input') {
  const id = `field-${++fields}`;
  const input = h(element, { id, ...props });
  const all = h('div', { class: 'field' }, h('label', { for: id }, label), input);
  return { all, input };
}

// sparkline draws the last values of a series; what it says stands beside it as a text.
export function sparkline(values) {
  const most = Math.max(1, ...values);
  const step = 120 / Math.max(1, values.length - 1);
  const points = values.map((v, i) => `${(i * step).toFixed(1)},${(26 - (v / most) * 24).toFixed(1)}`).join(' ');
  return svg('svg', { class: 'spark', viewBox: '0 0 120 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    values.length > 1 && svg('polygon', { points: `0,28 ${points} 120,28` }), values.length > 1 && svg('polyline', { points }));
}
