package api

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callsign-as/callsign"
)

var received = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// with is a good event with members put in, or taken out by "-".
func with(members string) string {
	e := map[string]json.RawMessage{
		"specversion": []byte(`"1.0"`), "type": []byte(`"im.callsign.signature.changed"`), "source": []byte(`"qq"`), "id": []byte(`"e1"`),
		"subject": []byte(`"10001"`), "data": []byte(`{"text":"hi"}`),
	}
	var change map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+members+"}"), &change); err != nil {
		panic(err)
	}
	for name, value := range change {
		if e[name] = value; string(value) == `"-"` {
			delete(e, name)
		}
	}
	out, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func TestParseEvent(t *testing.T) {
	said := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	change := func(f func(*callsign.Change)) *callsign.Change {
		c := &callsign.Change{ID: "e1", Account: "10001", Text: "hi", At: received, Stamp: callsign.TimedStamp(received), Received: true}
		f(c)
		return c
	}
	for sentence, test := range map[string]struct {
		event string
		want  *callsign.Change // nil: refused
	}{
		"an event without time is of now": {with(``), change(func(*callsign.Change) {})},
		"an event with a time is ordered by it": {with(`"time":"2026-01-02T03:04:05.000006Z"`), change(func(c *callsign.Change) {
			c.At, c.Stamp, c.Received = said, callsign.Stamp{Epoch: callsign.TimedEpoch, Version: said.UnixMicro()}, false
		})},
		"a version orders before the time": {with(`"time":"2026-01-02T03:04:05.000006Z","accountversion":7`), change(func(c *callsign.Change) {
			c.At, c.Stamp, c.Received = said, callsign.Stamp{Version: 7}, false
		})},
		"an epoch stands before the version": {with(`"accountversion":0,"accountepoch":2`), change(func(c *callsign.Change) {
			c.Stamp, c.Received = callsign.Stamp{Epoch: 2}, false
		})},
		"integers may be strings": {with(`"accountversion":"9223372036854775807","accountepoch":"0"`), change(func(c *callsign.Change) {
			c.Stamp, c.Received = callsign.Stamp{Version: 1<<63 - 1}, false
		})},
		"null is absent": {with(`"accountversion":null,"time":null,"accountepoch":null`), change(func(*callsign.Change) {})},
		"a snapshot says the same": {with(`"type":"im.callsign.signature.snapshot","data":{"text":"hi","lang":"zh-Hans","expires_at":"2026-01-02T03:04:05.000006Z"}`), change(func(c *callsign.Change) {
			c.Lang, c.Expires = "zh-Hans", said
		})},
		"cleared needs no data":              {with(`"type":"im.callsign.signature.cleared","data":"-"`), change(func(c *callsign.Change) { c.Text = "" })},
		"cleared is empty, whatever it says": {with(`"type":"im.callsign.signature.cleared"`), change(func(c *callsign.Change) { c.Text = "" })},
		"an empty text is one":               {with(`"data":{"text":""}`), change(func(c *callsign.Change) { c.Text = "" })},
		"a text that is too long stays so, and no longer": {with(`"data":{"text":"` + strings.Repeat("x", 5000) + `"}`), change(func(c *callsign.Change) {
			c.Text = strings.Repeat("x", 2049)
		})},
		"other attributes are the sender's":      {with(`"comexampleextra":[1],"dataschema":"x","datacontenttype":"application/json; charset=utf-8"`), change(func(*callsign.Change) {})},
		"its account may be anything printable":  {with(`"subject":"用户@b/c d"`), change(func(c *callsign.Change) { c.Account = "用户@b/c d" })},
		"specversion is 1.0":                     {with(`"specversion":"0.3"`), nil},
		"specversion is required":                {with(`"specversion":"-"`), nil},
		"type is required":                       {with(`"type":"-"`), nil},
		"type is one of ours":                    {with(`"type":"com.example.changed"`), nil},
		"id is required":                         {with(`"id":"-"`), nil},
		"id is a string":                         {with(`"id":7`), nil},
		"id has a length":                        {with(`"id":"` + strings.Repeat("x", 513) + `"`), nil},
		"source is required":                     {with(`"source":""`), nil},
		"subject is required":                    {with(`"subject":"-"`), nil},
		"subject has no control character":       {with(`"subject":"a\u0000b"`), nil},
		"subject has no half of a character":     {with(`"subject":"a\ud800b"`), nil},
		"time is RFC 3339":                       {with(`"time":"yesterday"`), nil},
		"a version is an integer":                {with(`"accountversion":1.5`), nil},
		"a version has no exponent":              {with(`"accountversion":1e3`), nil},
		"a version is not negative":              {with(`"accountversion":-1`), nil},
		"a version has 63 bits":                  {with(`"accountversion":9223372036854775808`), nil},
		"a version is no word":                   {with(`"accountversion":"new"`), nil},
		"a version is no object":                 {with(`"accountversion":{}`), nil},
		"an epoch is not negative":               {with(`"accountversion":1,"accountepoch":-1`), nil},
		"an epoch alone orders nothing":          {with(`"accountepoch":1`), nil},
		"data has a text":                        {with(`"data":{}`), nil},
		"data is an object":                      {with(`"data":"hi"`), nil},
		"data is required":                       {with(`"data":"-"`), nil},
		"data is JSON":                           {with(`"datacontenttype":"text/plain"`), nil},
		"data is not base64":                     {with(`"data_base64":"aGk="`), nil},
		"expires_at is RFC 3339":                 {with(`"data":{"text":"hi","expires_at":"soon"}`), nil},
		"lang is a tag":                          {with(`"data":{"text":"hi","lang":"` + strings.Repeat("x", 36) + `"}`), nil},
		"an event is an object":                  {`7`, nil},
		"an event is not null":                   {`null`, nil},
		"an event of another source is for take": {with(`"source":"msn"`), change(func(*callsign.Change) {})},
	} {
		_, got, err := parseEvent([]byte(test.event), received)
		switch {
		case test.want == nil && err == nil:
			t.Errorf("%s: %s was taken", sentence, test.event)
		case test.want != nil && (err != nil || !reflect.DeepEqual(got, *test.want)):
			t.Errorf("%s: got %+v, %v; want %+v", sentence, got, err, *test.want)
		}
	}
}

func TestARefusedEventIsNamed(t *testing.T) {
	for _, event := range []string{with(`"time":"yesterday"`), with(`"type":"x"`), with(`"data":7`), with(`"accountversion":"x"`)} {
		if _, got, err := parseEvent([]byte(event), received); err == nil || got.ID != "e1" {
			t.Errorf("%s: got id %q, error %v; want e1 and an error", event, got.ID, err)
		}
	}
}

// FuzzFrame: what is taken can be said again and means the same; what isn't is refused with a reason that fits a close frame.
func FuzzFrame(f *testing.F) {
	for _, event := range []string{
		with(``), with(`"accountversion":"7","accountepoch":2,"time":"2026-01-02T03:04:05+08:00"`), with(`"data":{"text":"中","lang":"zh","expires_at":"2026-01-02T03:04:05Z"}`),
		with(`"type":"im.callsign.signature.cleared","data":"-"`), with(`"subject":"\ud800"`), `{}`,
	} {
		f.Add([]byte(`{"op":"events","batch":"b-1","seq":[1,1],"events":[` + event + `]}`))
	}
	for _, frame := range []string{`{"op":"hello"}`, `[]`, `{"op":"events","seq":[2,1],"events":[]}`, `{"op":"events","seq":[1e400,1]}`, `{"op":7}`, "\xff"} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := parseFrame(data)
		if err != nil {
			if reason := (&ending{closeProtocol, err.Error()}).frame()[2:]; len(reason) > 123 || !utf8.Valid(reason) {
				t.Errorf("the reason doesn't fit a close frame: %q", reason)
			}
			return
		}
		if frame.countsEvents() && frame.Seq[1]-frame.Seq[0]+1 != int64(len(frame.Events)) {
			t.Errorf("%v counts %d events", frame.Seq, len(frame.Events))
		}
		for _, raw := range frame.Events {
			source, c, err := parseEvent(raw, received)
			if err != nil {
				continue
			}
			checkBounds(t, c)
			c.Received = false // what is said again names its time
			again, c2, err := parseEvent(eventOf(t, source, c), received)
			if err != nil || again != source || !sameChange(c, c2) {
				t.Errorf("said again it is %+v (%v), want %+v", c2, err, c)
			}
		}
	})
}

func checkBounds(t *testing.T, c callsign.Change) {
	t.Helper()
	if c.ID == "" || c.Account == "" || len(c.ID) > maxAttribute || len(c.Account) > maxAttribute || len(c.Text) > maxText ||
		!c.Stamp.Timed() && (c.Stamp.Epoch < 0 || c.Stamp.Version < 0) || c.Network != "" || c.Tenant != "" || c.Source != "" {
		t.Errorf("taken as %+v", c)
	}
}

// eventOf is the encoder that parseEvent is held against.
func eventOf(t *testing.T, source string, c callsign.Change) []byte {
	t.Helper()
	e := map[string]any{"specversion": "1.0", "type": typeSnapshot, "source": source, "id": c.ID, "subject": c.Account, "time": c.At}
	data := map[string]any{"text": c.Text, "lang": c.Lang}
	if !c.Expires.IsZero() {
		data["expires_at"] = c.Expires
	}
	if e["data"] = data; !c.Stamp.Timed() {
		e["accountversion"], e["accountepoch"] = c.Stamp.Version, c.Stamp.Epoch
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatalf("%+v can't be said: %v", c, err)
	}
	return out
}

func sameChange(a, b callsign.Change) bool {
	sameTimes := a.At.Equal(b.At) && a.Expires.Equal(b.Expires)
	a.At, a.Expires, b.At, b.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	// A text that was cut within a character ends in a replacement; it is rejected either way.
	if len(a.Text) == maxText {
		a.Text, b.Text = "", ""
	}
	return sameTimes && a == b
}

// TestTheDocumentSaysWhatTheCodeDoes holds asyncapi.json against the constants.
func TestTheDocumentSaysWhatTheCodeDoes(t *testing.T) {
	var doc struct {
		Channels struct {
			Push struct {
				Address  string
				Messages map[string]any
				Codes    map[string]string `json:"x-close-codes"`
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(asyncAPI, &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc.Components.Schemas
	for _, test := range []struct {
		sentence  string
		got, want []string
	}{
		{"frames", keysOf(doc.Channels.Push.Messages), []string{"ack", "events", "goaway", "hello", "nack", "resync"}},
		{"close codes", keysOf(doc.Channels.Push.Codes), []string{
			"1001", "1002", "1007", "1009", "1012", "1013", "4400", "4401", "4403", "4408", "4409", "4429",
		}},
		{"nack codes", schemas["nack"].Properties["error"].Properties["code"].Enum, []string{
			string(nackBadEvent), string(nackTooMany), string(nackMismatch), string(nackGap), string(nackCredit), string(nackAway), string(nackSource),
		}},
		{"statuses", schemas["ack"].Properties["results"].Items.Properties["status"].Enum, []string{
			string(callsign.Stored), string(callsign.Duplicate), string(callsign.Stale), string(callsign.Unlinked), string(callsign.Pending), string(callsign.Rejected),
		}},
		{"types", schemas["cloudEvent"].Properties["type"].Enum, []string{typeChanged, typeCleared, typeSnapshot}},
		{"hello", keysOf(schemas["hello"].Properties), membersOf(helloFrame{})},
		{"ack", keysOf(schemas["ack"].Properties), membersOf(ackFrame{})},
		{"result", keysOf(schemas["ack"].Properties["results"].Items.Properties), membersOf(eventResult{})},
		{"nack", keysOf(schemas["nack"].Properties), membersOf(nackFrame{})},
		{"nack's error", keysOf(schemas["nack"].Properties["error"].Properties), membersOf(nackError{})},
		{"resync", keysOf(schemas["resync"].Properties), membersOf(resyncFrame{Account: "1"})},
		{"goaway", keysOf(schemas["goaway"].Properties), membersOf(goawayFrame{})},
		{"events", keysOf(schemas["events"].Properties), membersOf(eventsFrame{})},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: documented %q, want %q", test.sentence, test.got, test.want)
		}
	}
}

type schema struct {
	Properties map[string]schema
	Enum       []string
	Items      *schema
}

func keysOf[V any](m map[string]V) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func membersOf(frame any) []string {
	raw, _ := json.Marshal(frame)
	var m map[string]any
	_ = json.Unmarshal(raw, &m)
	return keysOf(m)
}

func TestHalfASurrogatePairIsNoText(t *testing.T) {
	for text, want := range map[string]string{
		`a\ud83d`: notUTF8, `\ude00b`: notUTF8, `\ud83d\ud83d\ude00`: notUTF8, `\uD83Dx`: notUTF8, `\ud83d\n`: notUTF8,
		`\ud83d\ude00`: "\U0001f600", `\\ud83d`: `\ud83d`, `\ufffd`: "\ufffd", "\ufffd": "\ufffd",
	} {
		_, c, err := parseEvent([]byte(with(`"data":{"text":"`+text+`"}`)), received)
		if err != nil || c.Text != want {
			t.Errorf("%s is %q, %v; want %q", text, c.Text, err, want)
		}
	}
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	s.do(t, admin, "PUT", "/v1/subscribers/8613800000001", "")
	if got := s.do(t, admin, "PUT", "/v1/subscribers/8613800000001/signature", `{"text":"a\ud83d"}`); got.status != 400 {
		t.Errorf("set by hand it is answered with %s", got.raw)
	}
}

// whole is JSON without half of a surrogate pair.
var whole = regexp.MustCompile(`(?is)^(?:[^\\]|\\[^u]|\\u(?:[0-9a-cef][0-9a-f]{3}|d[0-7][0-9a-f]{2})|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})*$`)

func FuzzHalfSurrogate(f *testing.F) {
	for _, s := range []string{`"\ud83d"`, `"\ud83d\ude00"`, `"\\ud83d"`, `"\ude00\ud83d"`, `{"a":"\\\ud800\udc00"}`, `"\ud800\u`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := halfSurrogate([]byte(s)); json.Valid([]byte(s)) && utf8.ValidString(s) && got == whole.MatchString(s) {
			t.Errorf("%q: half a pair is %v", s, got)
		}
	})
}
