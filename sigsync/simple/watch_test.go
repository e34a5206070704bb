package simple

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// subscribed is a watch with one subscription, which stands since now.
func subscribed(c Config) (w *watch, s *subscription) {
	s = &subscription{account: "b", expires: c.Expires, d: newDialog(sip.Uri{}, nil), confirmed: time.Now(), due: time.Now().Add(c.Expires * 3 / 4), busy: true}
	w = &watch{c: c, wake: make(chan struct{}, 1), lost: make(chan error, 1), subs: map[string]*subscription{"b": s}, answered: time.Now(), checked: time.Now()}
	w.failed = func(account string, why error) { w.lost <- fmt.Errorf("%s: %w", account, why) } // where it isn't lost itself
	return w, s
}

func TestWhoIsRefusedIsToldAndFollowedOnceMoreWhenNamedAgain(t *testing.T) {
	for sentence, refuse := range map[string]func(w *watch, s *subscription){
		"by an answer": func(w *watch, s *subscription) {
			w.settle(s, s.d, time.Now(), 0, fmt.Errorf("%w: 404", sigsync.ErrNoAccount))
		},
		"by a notification": func(w *watch, s *subscription) {
			w.heard(s, s.d, notice{state: readState("terminated;reason=rejected")})
		},
		"whatever it says when": func(w *watch, s *subscription) {
			w.heard(s, s.d, notice{state: readState("terminated;reason=noresource;retry-after=1")})
		},
		"by both": func(w *watch, s *subscription) {
			d := s.d
			w.heard(s, d, notice{state: readState("terminated;reason=rejected")})
			w.settle(s, d, time.Now(), 0, fmt.Errorf("%w: 404", sigsync.ErrNoAccount))
		},
	} {
		w, s := subscribed(DefaultConfig())
		refuse(w, s)
		if why := <-w.lost; !errors.Is(why, sigsync.ErrNoAccount) || !strings.HasPrefix(why.Error(), "b: ") || len(w.subs) != 0 || len(w.lost) != 0 {
			t.Errorf("%s: %v, %d subscriptions, told again: %v", sentence, why, len(w.subs), len(w.lost) != 0)
		}
		w.follow(sigsync.Follow{Accounts: []string{"b"}}, time.Now())
		w.renew(t.Context(), s) // it was waiting for its turn
		if again := w.subs["b"]; again == nil || again == s || len(w.due(time.Now())) != 1 {
			t.Errorf("%s: it isn't subscribed to once more", sentence)
		}
	}
}

func TestWhoIsNamedAgainIsToldAnew(t *testing.T) {
	w, s := subscribed(DefaultConfig())
	says := notice{state: readState("active;expires=600"), tells: true, note: sigsync.Note{Text: "hi"}}
	told := 0
	hear := func() {
		w.heard(s, s.d, says)
		_ = w.changes.PutWhile(func(all []callsign.Change) { told += len(all) }, func() error { return nil })
	}
	hear()
	hear()
	if told != 1 {
		t.Errorf("told %d times what didn't change", told)
	}
	s.busy = false
	w.follow(sigsync.Follow{Accounts: []string{"b"}, Gone: true}, time.Now())
	w.follow(sigsync.Follow{Accounts: []string{"b"}}, time.Now())
	if due := w.due(time.Now()); len(due) != 1 {
		t.Errorf("%d are asked about", len(due))
	}
	hear()
	if told != 2 {
		t.Errorf("told %d times, want once more", told)
	}
}

func TestWhatFollowsARenewal(t *testing.T) {
	for sentence, test := range map[string]struct {
		granted time.Duration
		err     error
		stands  bool
		again   time.Duration
		lost    bool
	}{
		"it is renewed after three quarters of its time":   {time.Hour, nil, true, 45 * time.Minute, false},
		"of a shorter one, too":                            {10 * time.Second, nil, true, 7500 * time.Millisecond, false},
		"the agent forgot it: another one at once":         {0, errUnknown, false, 0, false},
		"it is to last longer: another one at once":        {0, &briefError{2 * time.Hour}, false, 0, false},
		"it is to last shorter, which is nonsense":         {0, &briefError{time.Second}, false, time.Second, false},
		"the agent wants rest":                             {0, &sigsync.LimitedError{After: time.Minute}, false, time.Minute, false},
		"something else: a little later":                   {0, errors.New("500"), false, time.Second, false},
		"we are not let in: the watch ends":                {0, sigsync.ErrCredentials, false, 45 * time.Minute, true},
		"nothing came since it was asked: the watch ends":  {0, errSilent, false, 45 * time.Minute, true},
		"nothing came, and it was no answer that was lost": {0, fmt.Errorf("%w: broken pipe", errSilent), false, 45 * time.Minute, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := DefaultConfig()
			w, s := subscribed(c)
			time.Sleep(time.Nanosecond)
			now := time.Now()
			w.settle(s, s.d, now, test.granted, test.err)
			if stands := s.d != nil; stands != test.stands || s.due.Sub(now).Round(time.Millisecond) != test.again.Round(time.Millisecond) || len(w.lost) > 0 != test.lost || s.busy {
				t.Errorf("%s: it stands %v, is due in %v, the watch is lost: %v; want %+v", sentence, stands, s.due.Sub(now), len(w.lost) > 0, test)
			}
		})
	}
}

func TestWhatFollowsAnEnd(t *testing.T) {
	for sentence, test := range map[string]struct {
		state string
		again time.Duration
	}{
		"deactivated: at once, but not in a circle": {"terminated;reason=deactivated", time.Second},
		"timeout":                           {"terminated;reason=timeout", time.Second},
		"without a reason":                  {"terminated", time.Second},
		"with a time":                       {"terminated;retry-after=40", 40 * time.Second},
		"probation":                         {"terminated;reason=probation", retryMost},
		"probation with a time":             {"terminated;reason=probation;retry-after=10", 10 * time.Second},
		"giveup":                            {"terminated;reason=giveup", retryMost},
		"a time without end is a day":       {"terminated;retry-after=99999999999999999999", 24 * time.Hour},
		"it stands, as long as was granted": {"active", 45 * time.Minute},
		"it stands for a shorter time than was granted": {"Active ; Expires = 60", 45 * time.Second},
		"it stands for a longer time than was granted":  {"active;expires=86400", 45 * time.Minute},
		"nobody knows the state":                        {"waiting", 45 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, s := subscribed(DefaultConfig())
			w.heard(s, s.d, notice{state: readState(test.state)})
			if again := time.Until(s.due); again != test.again {
				t.Errorf("%s: again in %v, want %v", sentence, again, test.again)
			}
		})
	}
}

func TestAnEndAgainAndAgainIsMetMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := subscribed(DefaultConfig())
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
			s.d = newDialog(sip.Uri{}, nil)
			w.heard(s, s.d, notice{state: state{is: "terminated"}})
			if got := time.Until(s.due); got != want*time.Second {
				t.Errorf("again in %v, want %v s", got, int(want))
			}
		}
	})
}

func TestOneSubscriptionIsCheckedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := DefaultConfig()
		w, s := subscribed(c)
		s.busy = false
		w.subs["older"] = &subscription{account: "older", d: newDialog(sip.Uri{}, nil), confirmed: time.Now().Add(-time.Minute), due: s.due}
		if due := w.due(time.Now()); len(due) > 0 {
			t.Errorf("%d are due at once", len(due))
		}
		time.Sleep(c.Check)
		due := w.due(time.Now())
		if len(due) != 1 || due[0].account != "older" {
			t.Fatalf("%+v is due, want the one that was confirmed the longest ago", due)
		}
		if again := w.due(time.Now()); len(again) > 0 {
			t.Errorf("%+v is due beside it", again[0])
		}
		w.settle(due[0], due[0].d, time.Now(), 0, errUnknown) // the agent forgot it, and so maybe all
		due = w.due(time.Now())
		if len(due) != 2 || due[0].account != "older" || due[1] != s {
			t.Errorf("%+v are due, want a new one for what was forgotten, and a look at the next", due)
		}
	})
}

func TestSubscriptionsAreBounded(t *testing.T) {
	c := DefaultConfig()
	c.Most = 3
	w, s := subscribed(c)
	var failed []string
	w.follow(sigsync.Follow{Accounts: []string{"1", "2", "3", "4"}, Failed: func(account string, _ error) { failed = append(failed, account) }}, time.Now())
	w.follow(sigsync.Follow{Accounts: []string{"b", "5"}, Gone: true}, time.Now())
	if len(w.subs) != 3 || !s.gone || strings.Join(failed, "") != "34" {
		t.Errorf("%d subscriptions, want 3; b is gone: %v; %v can't be followed, want 3 and 4", len(w.subs), s.gone, failed)
	}
	s.d = nil
	w.renew(t.Context(), s)
	if w.follow(sigsync.Follow{Accounts: []string{"3"}}, time.Now()); w.subs["3"] == nil {
		t.Error("nobody takes the place that is free")
	}
}

func TestWhoComesAnewWaitsBehindWhoIsToBeRenewed(t *testing.T) {
	w, s := subscribed(DefaultConfig())
	now := time.Now()
	s.busy, s.due = false, now
	w.follow(sigsync.Follow{Accounts: []string{"new"}}, now.Add(time.Second))
	if due := w.due(now.Add(time.Second)); len(due) != 2 || due[0] != s {
		t.Errorf("%+v are due, want the renewal first: it ends else", due)
	}
}

func TestAPanicEndsThePortAndNothingElse(t *testing.T) {
	c := agent(t, func(s string) []string { return []string{answer(s, "200 OK"), notification(s, "active", there)} })
	e, err := open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := newDialog(sip.Uri{Scheme: "sip", User: "b", Host: "ims.test"}, func(notice) { panic("a bug") })
	e.keep(d)
	_, _ = e.subscribe(t.Context(), d, time.Hour)
	select {
	case <-e.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the port stays")
	}
	if e.err == nil || !strings.Contains(e.err.Error(), "a bug") {
		t.Errorf("it ended with %v", e.err)
	}
}
