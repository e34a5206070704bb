// What a policy's document says, and where in it a problem is. No element is made here.

export const isObject = (x) => typeof x === 'object' && x !== null && !Array.isArray(x);
export const list = (x) => (Array.isArray(x) ? x : []);
export const members = (x) => Object.entries(isObject(x) ? x : {});

const empty = (x) => x === undefined || x === '' || x === false || x === 0 || (Array.isArray(x) ? !x.length : isObject(x) && !Object.keys(x).length);

// put sets a member of a document, or takes it away: what is empty is not written.
export function put(object, name, value) {
  if (empty(value)) delete object[name];
  else object[name] = value;
}

// split reads a list as a person types it.
export const split = (text) => text.split(/[\s,，、;；]+/).filter(Boolean);

// renamed is an object with one name changed, at its place.
export const renamed = (object, from, to) => Object.fromEntries(members(object).map(([name, value]) => [name === from ? to : name, value]));

// rename gives a text another name, wherever a policy says it.
export function rename(policy, from, to) {
  policy.texts = renamed(policy.texts, from, to);
  for (const rule of list(policy.rules)) if (isObject(rule) && rule.show === from) rule.show = to;
  if (policy.default === from) policy.default = to;
  if (isObject(policy.status) && policy.status.show === from) policy.status.show = to;
}

const PLACE = /^(?:body\.)?([a-z_]+(?:\[\d+\])?)/;
const saying = [[/^a pause /, 'pauses'], [/^there are \d+ rules/, 'rules'], [/^the text /, 'texts'], [/^per_day /, 'per_day']];

// placed are the parts of a policy that a problem is of, each with its message: where the API says so, else as the sentence begins.
export function placed(problem) {
  if (problem.errors.length) return problem.errors.map(({ location, message }) => ({ part: PLACE.exec(location)?.[1] ?? '', message }));
  const message = problem.message.replace(/^it can't be used: /, '');
  const part = saying.find(([begins]) => begins.test(message))?.[1] ?? PLACE.exec(message)?.[1] ?? '';
  return [{ part, message: part.endsWith(']') ? message.slice(part.length).replace(/^:? /, '') : message }]; // its row has a number of its own
}
