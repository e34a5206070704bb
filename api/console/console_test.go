package console

import (
	"encoding/json"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
)

// read is a file of the console.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(web, "web/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(web, "web/"+pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], "web/")
	}
	return names
}

func words(t *testing.T, language string) (words map[string]string) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, language+".json")), &words); err != nil {
		t.Fatalf("%s.json: %v", language, err)
	}
	return words
}

var (
	placeholder = regexp.MustCompile(`\{\w+\}`)
	// used are the words that the scripts name whole, and group the beginnings of those that they complete.
	used  = regexp.MustCompile(`\b(?:t|has)\('([\w.]+)'`)
	group = regexp.MustCompile("(?:`(\\w+)\\.\\$\\{|told\\('(\\w+)')")
	// choice are words of which the scripts take one.
	choice = regexp.MustCompile(`[?:] '(\w+\.\w+)'`)
	// prose is what a person would read, in a script.
	prose = regexp.MustCompile("['`>][A-Z][a-z]+ [a-z]+|\\p{Han}")
)

func TestBothLanguagesAreComplete(t *testing.T) {
	english, chinese := words(t, "en"), words(t, "zh")
	for word, text := range english {
		other, there := chinese[word]
		if !there || text == "" || other == "" {
			t.Errorf("%s is %q in English and %q in Chinese", word, text, other)
		}
		in, out := placeholder.FindAllString(text, -1), placeholder.FindAllString(other, -1)
		slices.Sort(in)
		slices.Sort(out)
		if !slices.Equal(in, out) {
			t.Errorf("%s has the places %v in English and %v in Chinese", word, in, out)
		}
	}
	for word := range chinese {
		if english[word] == "" {
			t.Errorf("%s is Chinese only", word)
		}
	}
}

func TestEveryWordComesFromALanguagesFile(t *testing.T) {
	english := words(t, "en")
	whole, chosen, groups := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range files(t, "*.js") {
		script := read(t, name)
		for _, m := range used.FindAllStringSubmatch(script, -1) {
			whole[m[1]] = true
		}
		for _, m := range choice.FindAllStringSubmatch(script, -1) {
			chosen[m[1]] = true
		}
		for _, m := range group.FindAllStringSubmatch(script, -1) {
			groups[m[1]+m[2]] = true
		}
		for line := range strings.Lines(script) {
			code, _, _ := strings.Cut(line, "// ")
			if prose.MatchString(code) {
				t.Errorf("%s has a word of its own: %s", name, strings.TrimSpace(line))
			}
		}
	}
	for word := range whole {
		if english[word] == "" {
			t.Errorf("the scripts say %s, which no language has", word)
		}
	}
	for word := range english {
		if kind, _, _ := strings.Cut(word, "."); !whole[word] && !chosen[word] && !groups[kind] && kind != "reason" && kind != "ended" { // which events choose
			t.Errorf("nobody says %s", word)
		}
	}
}

// What a text from outside could become markup by, or a script that isn't ours.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\('style|[{,] style: |<script>|<style|\son\w+=|https?://|localStorage\.setItem\(KEY`)

func TestNothingIsReadAsMarkupOrLoadedFromElsewhere(t *testing.T) {
	for _, pattern := range []string{"*.js", "*.css", "*.html"} {
		for _, name := range files(t, pattern) {
			text := strings.ReplaceAll(read(t, name), "http://www.w3.org/2000/svg", "")
			if found := forbidden.FindString(text); found != "" {
				t.Errorf("%s has %q in it", name, found)
			}
		}
	}
}

func TestTheConsoleIsServed(t *testing.T) {
	h := Handler("/console/")
	for path, want := range map[string]struct {
		status int
		kind   string
	}{
		"/console/":                       {200, "text/html; charset=utf-8"},
		"/console/app.js":                 {200, "text/javascript; charset=utf-8"},
		"/console/style.css":              {200, "text/css; charset=utf-8"},
		"/console/en.json":                {200, "application/json"},
		"/console/icon.svg":               {200, "image/svg+xml"},
		"/console/nothing":                {404, "text/plain; charset=utf-8"},
		"/console/../console.go":          {404, "text/plain; charset=utf-8"},
		"/console/%2e%2e/console.go":      {404, "text/plain; charset=utf-8"},
		"/console/..%2f..%2fetc%2fpasswd": {404, "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want.status || w.Header().Get("Content-Type") != want.kind {
			t.Errorf("%s: got %d %s, want %d %s", path, w.Code, w.Header().Get("Content-Type"), want.status, want.kind)
		}
		got := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(got, "default-src 'none'; script-src 'self';") || strings.Contains(got, "unsafe") || !strings.Contains(got, "require-trusted-types-for 'script'") {
			t.Errorf("%s: the policy is %q", path, got)
		}
	}
}

// TestWhatATimelineSays runs the console's own reading of timelines, by node.
func TestWhatATimelineSays(t *testing.T) {
	node := peer.Program(t, "node", "nodejs")
	dir := t.TempDir()
	for name, text := range map[string]string{"calls.mjs": read(t, "calls.js"), "policy.mjs": read(t, "policy.js"), "table.mjs": table} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), node, filepath.Join(dir, "table.mjs")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const table = `
import { Live, octets, phaseOf, rungOf, screenOf, screenOfWhatIf, stateOf } from './calls.mjs';
import { list, placed, put, rename, split } from './policy.mjs';
import { deepEqual } from 'node:assert/strict';
const e = (kind, reason, more = {}) => ({ kind, reason, at: '2026-01-01T12:00:00Z', ...more });
const sent = e('submitted', 'flash ucs2 70/70 cut, part 1 of 2', { text: 'hi', link: 'a' });
const states = {
  'nothing yet is waited for': [[e('invite')], 'waiting', 'calling'],
  'a text that rings and went out': [[e('invite'), e('ringing', '180'), sent], 'sent', 'ringing'],
  'a receipt says that it was shown': [[sent, e('accepted'), e('receipt', 'DELIVRD')], 'shown', 'calling'],
  'so does the phone itself': [[sent, e('receipt', 'CONFIRMED'), e('answered')], 'shown', 'answered'],
  'another receipt says that it was not': [[sent, e('receipt', 'EXPIRED (err:1)')], 'failed', 'calling'],
  'a link refused it and another took it': [[sent, e('failed', 'x'), sent, e('accepted')], 'sent', 'calling'],
  'a rule refused it': [[e('skipped', 'no_caller'), e('ended', 'the caller hung up')], 'nothing', 'ended'],
  'what is shown nothing is followed no further': [[e('invite'), e('skipped', 'rule')], 'nothing', 'left'],
  'it was taken back': [[sent, e('accepted'), e('withdrawn')], 'nothing', 'calling'],
};
for (const [sentence, [events, state, phase]] of Object.entries(states)) deepEqual([stateOf(events), phaseOf(events)], [state, phase], sentence);

const call = { caller: '+1', callee: '+2', at: 'then' };
const { text, channel, encoding, units, most, cut } = screenOf(call, [sent]);
deepEqual({ text, channel, encoding, units, most, cut }, { text: 'hi', channel: 'flash', encoding: 'ucs2', units: 70, most: 70, cut: true });
deepEqual(screenOf(call, [e('skipped', 'no_caller')]).refusal, 'no_caller');
deepEqual(screenOf(call, [e('submitted', 'of an older node', { text: 'hi' })]).channel, 'flash');
deepEqual(screenOfWhatIf(call, { show: true, text: 'x', channel: 'ussd', coding: 'gsm7' }).encoding, 'gsm7', 'today what-if says coding');
deepEqual(screenOfWhatIf(call, { show: false, text: '', refusal: 'no_text' }).text, undefined);

const rungs = { invite: [0, 1], ringing: [0, 1], answered: [0, 1], ended: [0, 1], submitted: [1, 2], accepted: [2, 1], withdrawn: [1, 2], decided: [1, 1], skipped: [1, 1] };
for (const [kind, lanes] of Object.entries(rungs)) deepEqual(rungOf(e(kind, 'x', { link: 'a' })).slice(0, 2), lanes, kind);
deepEqual(rungOf(e('failed', 'no answer', { link: 'a' })).slice(0, 2), [1, 1], 'what failed may never have come back');
deepEqual(rungOf(e('receipt', 'DELIVRD'))[0], 3, 'a receipt of a text that was shown comes from the handset');
deepEqual(rungOf(e('receipt', 'UNDELIV'))[0], 2, 'any other from the SMSC');
deepEqual(rungOf(e('ended', 'the call failed with 486'))[2], '486');
deepEqual(rungOf(e('ended', 'the caller hung up'))[2], 'CANCEL');

deepEqual(octets(btoa('\x00submit_sm')), '0000  00 73 75 62 6d 69 74 5f 73 6d                    .submit_sm');

const live = new Live();
const id = (n) => String(n).padStart(32, '0');
for (let n = 0; n < Live.most + 5; n++) live.add({ id: id(n) });
deepEqual([live.calls.size, live.newest()[0].call.id, live.calls.has(id(0))], [Live.most, id(Live.most + 4), false], 'the oldest goes');
live.line({ call: id(9), ...e('ringing', '180', { at: '2026-01-01T12:00:01Z' }) });
live.line({ call: id(9), ...e('invite') });
live.line({ call: id(9), ...e('invite') });
live.line({ call: id(0), ...e('invite') });
deepEqual(live.calls.get(id(9)).events.map((x) => x.kind), ['invite', 'ringing'], 'lines stand once, in order of their times');

// Where in a policy's forms a problem of the API stands, and what of it.
const parts = {
  'body.rules[0].show': ['rules[0]', 'said'], 'body.per_day': ['per_day', 'said'], body: ['body', 'said'],
  "it can't be used: rules[1] is from \"25:00\"": ['rules[1]', 'is from "25:00"'], 'blackouts[0]: days has "x"': ['blackouts[0]', 'days has "x"'],
  "it can't be used: rules[12]: callers is \"x\"": ['rules[12]', 'callers is "x"'], "it can't be used: default is \"x\"": ['default', 'default is "x"'],
  'a pause is from 2 to 1': ['pauses', 'a pause is from 2 to 1'], 'there are 3 rules: the operator allows 2': ['rules', 'there are 3 rules: the operator allows 2'],
  'the text a: write less': ['texts', 'the text a: write less'], 'per_day is 2 and max_rules 3': ['per_day', 'per_day is 2 and max_rules 3'], '': ['', ''],
};
for (const [said, [part, message]] of Object.entries(parts)) {
  const problem = said.startsWith('body') ? { errors: [{ location: said, message: 'said' }] } : { errors: [], message: said };
  deepEqual(placed(problem), [{ part, message }], said);
}
const policy = { texts: { a: 1, b: 2 }, rules: [{ show: 'a' }, { show: 'b' }, null, 'x'], default: 'a', status: { show: 'a' } };
rename(policy, 'a', 'c');
deepEqual(policy, { texts: { c: 1, b: 2 }, rules: [{ show: 'c' }, { show: 'b' }, null, 'x'], default: 'c', status: { show: 'c' } });
for (const nothing of ['', false, 0, [], {}, undefined]) { put(policy, 'default', nothing); deepEqual('default' in policy, false); }
deepEqual(split(' +1,  +2* ;@family、withheld，'), ['+1', '+2*', '@family', 'withheld']);
deepEqual([list('x'), list(undefined), list([1])], [[], [], [1]], 'what is no list has nothing in it');
`
