package gsmbridge

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

func learning(t *testing.T, links ...LinkConfig) *Bridge {
	t.Helper()
	b := newBridge(t, Config{Links: links, Learn: LearnConfig{On: true, Digits: 5}})
	b.habits.draw = func() float64 { return 1 } // explores nothing
	return b
}

// lesson is a text that a link brought, or not.
type lesson struct {
	link  string
	shown bool
	took  time.Duration
	times int
}

func TestLinksAreOrderedByWhatWasLearned(t *testing.T) {
	for name, c := range map[string]struct {
		lessons []lesson
		want    string
	}{
		"nothing is known: as they are configured":    {nil, "a b c"},
		"what is not known yet is tried":              {[]lesson{{"a", true, time.Second, 5}}, "b c a"},
		"the sooner is first":                         {[]lesson{{"a", true, 3 * time.Second, 5}, {"b", true, time.Second, 5}, {"c", true, 2 * time.Second, 5}}, "b c a"},
		"one that often fails is slow":                {[]lesson{{"a", true, time.Second, 5}, {"a", false, 0, 20}, {"b", true, 3 * time.Second, 5}, {"c", true, 4 * time.Second, 5}}, "b c a"},
		"what was long ago counts less than of late":  {[]lesson{{"a", false, 0, 50}, {"a", true, time.Second, 50}, {"b", true, 3 * time.Second, 5}, {"c", true, 4 * time.Second, 5}}, "a b c"},
		"one that never brought anything is the last": {[]lesson{{"a", false, 0, 1}, {"b", true, 4 * time.Second, 1}, {"c", true, 3 * time.Second, 1}}, "c b a"},
	} {
		t.Run(name, func(t *testing.T) {
			b := learning(t, LinkConfig{Name: "a"}, LinkConfig{Name: "b"}, LinkConfig{Name: "c"})
			for _, l := range c.lessons {
				for range l.times {
					b.habits.learn(l.link, delivery("").Call, l.shown, l.took)
				}
			}
			if got := routeOf(b, ""); got != c.want {
				t.Errorf("got %s, want %s: %+v", got, c.want, b.habits.known)
			}
		})
	}
}

func TestHabitsAreOfCallersAndTheirAccess(t *testing.T) {
	b := learning(t, LinkConfig{Name: "a"}, LinkConfig{Name: "b"})
	germany := callsign.Call{Caller: 4915100000001}
	for _, l := range []string{"a", "b"} {
		b.habits.learn(l, germany, l == "b", time.Second)
		b.habits.learn(l, delivery("").Call, l == "a", time.Second)
	}
	d := delivery("hi")
	if got := b.route(d)[0].Name; got != "a" {
		t.Errorf("got %s first for China, want a", got)
	}
	d.Call = germany
	if got := b.route(d)[0].Name; got != "b" {
		t.Errorf("got %s first for Germany, want b", got)
	}
	d.Call.Access = "3GPP-GERAN"
	if got := b.route(d)[0].Name; got != "a" {
		t.Errorf("got %s first over an access of which nothing is known, want a", got)
	}
}

func TestOfACallerWhoWithholdsTheNumberNothingIsLearned(t *testing.T) {
	b := learning(t, LinkConfig{Name: "a"})
	private := delivery("").Call
	private.Private = true
	b.links[0].learn(private, true, time.Second)
	if len(b.habits.known) != 0 {
		t.Errorf("known is %+v", b.habits.known)
	}
	b.links[0].learn(delivery("").Call, true, time.Second)
	if len(b.habits.known) != 1 {
		t.Errorf("of another caller %+v is known", b.habits.known)
	}
}

func TestExploring(t *testing.T) {
	b := newBridge(t, Config{Links: []LinkConfig{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Learn: LearnConfig{On: true, Digits: 5, Explore: 0.05}})
	for i, l := range []string{"a", "b", "c"} {
		b.habits.learn(l, delivery("").Call, true, time.Duration(i+1)*time.Second)
	}
	first := map[string]int{}
	for range 10_000 {
		order := routeOf(b, "")
		first[order]++
	}
	// 500 of 10000 with a standard deviation of 22, half of them for each of the others.
	if b, c := first["b a c"], first["c a b"]; b+c < 380 || b+c > 620 || b < 150 || c < 150 || first["a b c"] != 10_000-b-c {
		t.Errorf("got %v, want 5 in 100 explored", first)
	}
}

func TestWhatWasLearnedOutlivesARestart(t *testing.T) {
	file := t.TempDir() + "/links.json"
	logged := newErrorLog()
	one := newHabits(LearnConfig{Digits: 5}, file, slog.New(logged))
	one.learn("a", delivery("").Call, true, 2*time.Second)
	if err := one.save(); err != nil {
		t.Fatal(err)
	}
	two := newHabits(LearnConfig{Digits: 5}, file, slog.New(logged))
	k := habitKey{"a", "86139", ""}
	if got, want := two.known[k], one.known[k]; got.Seconds != 2 || got.Success != want.Success || got.Texts != 1 || !got.At.Equal(want.At) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, text := range map[string]string{
		"half of it":         `[{"link":"a","pre`,
		"a success of seven": `[{"link":"a","prefix":"8","access":"","success":7,"seconds":1,"texts":1}]`,
		"no number":          `[{"link":"a","prefix":"8","access":"","success":1,"seconds":-1,"texts":1}]`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if h := newHabits(LearnConfig{Digits: 5}, file, slog.New(logged)); len(h.known) != 0 {
			t.Errorf("%s: got %+v", name, h.known)
		}
	}
	if left, err := os.ReadDir(file[:strings.LastIndex(file, "/")]); err != nil || len(left) != 1 {
		t.Errorf("got %v, %v, want the file alone", left, err)
	}
}

func TestHabitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHabits(LearnConfig{Digits: 10}, t.TempDir()+"/links.json", slog.New(slog.DiscardHandler))
		for i := range maxHabits + 5 {
			h.learn("a", callsign.Call{Caller: callsign.MSISDN(1_000_000_000 + i)}, true, time.Second)
			time.Sleep(time.Millisecond)
		}
		_, oldest := h.known[habitKey{"a", "1000000004", ""}]
		_, next := h.known[habitKey{"a", "1000000005", ""}]
		if len(h.known) != maxHabits || oldest || !next {
			t.Errorf("got %d habits, the oldest: %t, the next: %t", len(h.known), oldest, next)
		}
	})
}

func TestABridgeLearnsFromReceipts(t *testing.T) {
	file := t.TempDir() + "/links.json"
	change := func(_ *LinkConfig, o *Options) {
		o.Config.Learn, o.Learned = LearnConfig{On: true, Digits: 5}, file
	}
	inGateways(t, 2, change, func(t *testing.T, l *lab, g []*gateway) {
		g[1].answer = func(int, *smpp.Message) smpp.Answer { return smpp.Answer{Status: smpp.StatusSystemError} }
		l.Deliver(t.Context(), delivery("hi"))
		time.Sleep(2 * time.Second)
		g[0].says(t, &smpp.Message{ESMClass: 0x04, ShortMessage: []byte("id:1 stat:DELIVRD err:000 text:")})
		l.Deliver(t.Context(), delivery("hi")) // tries b, of which nothing is known
		a, b := l.habits.known[habitKey{"a", "86139", ""}], l.habits.known[habitKey{"b", "86139", ""}]
		if a.Success != 1 || a.Seconds != 2 || b.Success != 0 || b.Texts != 1 {
			t.Errorf("got %+v and %+v", a, b)
		}
	})
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), `"seconds": 2`) {
		t.Errorf("it was not saved at the end: %s, %v", b, err)
	}
}

func TestLearnConfig(t *testing.T) {
	for want, c := range map[string]LearnConfig{
		"smpp.learn.explore: 0.6 is out of range: use 0 to 0.5": {Explore: 0.6},
		"smpp.learn.digits: 0 is out of range: use 1 to 10":     {On: true},
	} {
		if err := (Config{Learn: c}).Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
