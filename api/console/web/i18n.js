// Every word of the console comes from a language's file.

const LANGUAGE = 'callsign.language';
export const languages = ['en', 'zh'];
let words = {};
export let language = 'en';

export async function speak(choice) {
  const wanted = choice ?? localStorage.getItem(LANGUAGE) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');
  language = languages.includes(wanted) ? wanted : 'en';
  if (choice) localStorage.setItem(LANGUAGE, language);
  words = await (await fetch(`${language}.json`)).json();
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

// t is a word's text with {name} replaced; has tells whether there is one.
export const has = (word) => word in words;
export const t = (word, values = {}) => (words[word] ?? word).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

// told is what a code of the API means, or the code itself where we have no words for it.
export const told = (group, code) => (has(`${group}.${code}`) ? t(`${group}.${code}`) : code);

const shape = (options) => (at) => (at ? new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-GB', options).format(new Date(at)) : '');
export const dateTime = shape({ dateStyle: 'medium', timeStyle: 'medium' });
export const clock = shape({ hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
export const minute = shape({ hour: '2-digit', minute: '2-digit', hour12: false });
export const number = (n) => new Intl.NumberFormat(language === 'zh' ? 'zh-CN' : 'en-GB').format(n);
