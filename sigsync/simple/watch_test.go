package simple

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign/sigsync"
)

// subscribed is a watch with one subscription, which stands since now.
func subscribed(c Config) (*watch, *subscription) {
	s := &subscription{account: "b", expires: c.Expires, d: newDialog(sip.Uri{}, nil), confirmed: time.Now(), due: time.Now().Add(c.Expires * 3 / 4), busy: true}
	return &watch{c: c, wake: make(chan struct{}, 1), lost: make(chan error, 1), subs: map[string]*subscription{"b": s}, answered: time.Now(), checked: time.Now()}, s
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
		"the account is not there: a while later":          {0, fmt.Errorf("%w: 404", sigsync.ErrNoAccount), false, refusedFor, false},
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
		"rejected":                          {"terminated;reason=rejected", refusedFor},
		"noresource, which says when":       {"terminated;reason=noresource;retry-after=1", refusedFor},
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
	synctest.Test(t, func(t *testing.T) {
		c := DefaultConfig()
		c.Most = 3
		w, s := subscribed(c)
		follow, done := make(chan sigsync.Follow), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(done); w.followAll(ctx, follow) }()
		follow <- sigsync.Follow{Accounts: []string{"1", "2", "3", "4"}}
		follow <- sigsync.Follow{Accounts: []string{"b", "5"}, Gone: true}
		synctest.Wait()
		if len(w.subs) != 3 || !s.gone {
			t.Errorf("%d subscriptions, want 3; b is gone: %v", len(w.subs), s.gone)
		}
		cancel()
		<-done
	})
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
