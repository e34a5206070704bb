package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

var (
	right = callsign.HashCode("CS-0000-0001")
	other = callsign.HashCode("CS-0000-0002")
)

// asked is a link of ours that waits for its code since noon.
func asked(m callsign.MSISDN, account string, proof callsign.Proof, code callsign.CodeHash) callsign.Link {
	return callsign.Link{
		Tenant: ours.Tenant, MSISDN: m, Network: "im", Account: account, Proof: proof, By: "key", Code: code,
		Asked: noon, Expires: noon.Add(callsign.CodeValidFor),
	}
}

// says is an account that shows a code, a minute after noon.
func says(account string, code callsign.CodeHash) callsign.Showing {
	return callsign.Showing{Tenant: ours.Tenant, Network: "im", Account: account, Code: code, At: noon.Add(time.Minute)}
}

// sends is a number that does.
func sends(m callsign.MSISDN, code callsign.CodeHash) callsign.Showing {
	return callsign.Showing{MSISDN: m, Code: code, At: noon.Add(time.Minute)}
}

func wrongCode(n int) callsign.CodeHash { return callsign.HashCode(fmt.Sprintf("CS-WRNG-%04d", n)) }

// links holds the engine against each abuse: waits is what is asked for, shown the codes that come for it, is what becomes of the last.
func links(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, theirs, 8613800000099)
	n := callsign.MSISDN(8613900000000)
	for sentence, c := range map[string]struct {
		waits []callsign.Link // MSISDN 1 and 2 are two numbers of ours
		put   error           // what asking for the last gives
		linkd callsign.MSISDN // who has the account before anything is asked
		taken callsign.MSISDN // who is linked by an operator afterwards
		shown []callsign.Showing
		is    callsign.Proving
		owner callsign.MSISDN
	}{
		"the account says the code":                          {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", right)}, is: callsign.Proved, owner: 1},
		"the number sends the code":                          {waits: []callsign.Link{asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{sends(1, right)}, is: callsign.Proved, owner: 1},
		"nobody waits":                                       {shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited},
		"another account says it":                            {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("b", right)}, is: callsign.Unawaited},
		"another number sends it":                            {waits: []callsign.Link{asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{sends(2, right)}, is: callsign.Unawaited},
		"the number sends what the account is to say":        {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{sends(1, right)}, is: callsign.Unawaited},
		"the account says what the number is to send":        {waits: []callsign.Link{asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited},
		"another tenant's account of the name says it":       {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{{Tenant: "theirs", Network: "im", Account: "a", Code: right, At: noon.Add(time.Minute)}}, is: callsign.Unawaited},
		"one of the name in another network says it":         {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{{Tenant: "ours", Network: "qq", Account: "a", Code: right, At: noon.Add(time.Minute)}}, is: callsign.Unawaited},
		"a code is a second too late":                        {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{{Tenant: "ours", Network: "im", Account: "a", Code: right, At: noon.Add(callsign.CodeValidFor)}}, is: callsign.Unawaited},
		"a wrong code":                                       {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", other)}, is: callsign.Wrong},
		"a wrong code by SMS":                                {waits: []callsign.Link{asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{sends(1, other)}, is: callsign.Wrong},
		"the right one after four wrong ones":                {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", wrongCode(1)), says("a", wrongCode(2)), says("a", wrongCode(3)), says("a", wrongCode(4)), says("a", right)}, is: callsign.Proved, owner: 1},
		"and after five it is too late":                      {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", wrongCode(1)), says("a", wrongCode(2)), says("a", wrongCode(3)), says("a", wrongCode(4)), says("a", wrongCode(5)), says("a", right)}, is: callsign.Unawaited},
		"a wrong one that is read again and again is one":    {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", other), says("a", other), says("a", other), says("a", other), says("a", other), says("a", other), says("a", right)}, is: callsign.Proved, owner: 1},
		"the code before the last one":                       {waits: []callsign.Link{asked(1, "a", callsign.BySignature, other), asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", other)}, is: callsign.Wrong},
		"two claim it: whose code is said has it":            {waits: []callsign.Link{asked(1, "a", callsign.BySignature, other), asked(2, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", right)}, is: callsign.Proved, owner: 2},
		"and the other's code is worth nothing then":         {waits: []callsign.Link{asked(1, "a", callsign.BySignature, other), asked(2, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", right), says("a", other)}, is: callsign.Unawaited, owner: 2},
		"a code works once":                                  {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, shown: []callsign.Showing{says("a", right), says("a", right)}, is: callsign.Unawaited, owner: 1},
		"two claim it by both ways: the first has it":        {waits: []callsign.Link{asked(1, "a", callsign.BySMS, right), asked(2, "a", callsign.BySignature, other)}, shown: []callsign.Showing{sends(1, right), says("a", other)}, is: callsign.Unawaited, owner: 1},
		"another's account can't be asked for":               {linkd: 2, waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, put: callsign.ErrAccountTaken, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited, owner: 2},
		"nor one's own once more":                            {linkd: 1, waits: []callsign.Link{asked(1, "a", callsign.BySMS, right)}, put: callsign.ErrLinked, shown: []callsign.Showing{sends(1, right)}, is: callsign.Unawaited, owner: 1},
		"one that an operator gave to another meanwhile":     {waits: []callsign.Link{asked(1, "a", callsign.BySignature, right)}, taken: 2, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited, owner: 2},
		"who is no subscriber asks for nothing":              {waits: []callsign.Link{asked(3, "a", callsign.BySignature, right)}, put: callsign.ErrNotFound, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited},
		"a subscriber of another tenant doesn't either":      {waits: []callsign.Link{asked(8613800000099, "a", callsign.BySignature, right)}, put: callsign.ErrNotFound, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited},
		"as many wait for a number as may":                   {waits: []callsign.Link{asked(1, "b", callsign.BySMS, other), asked(1, "c", callsign.BySMS, other), asked(1, "d", callsign.BySMS, other), asked(1, "e", callsign.BySMS, other), asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{sends(1, right)}, is: callsign.Proved, owner: 1},
		"and not one more":                                   {waits: []callsign.Link{asked(1, "b", callsign.BySMS, other), asked(1, "c", callsign.BySMS, other), asked(1, "d", callsign.BySMS, other), asked(1, "e", callsign.BySMS, other), asked(1, "f", callsign.BySMS, other), asked(1, "a", callsign.BySMS, right)}, put: callsign.ErrTooMany, shown: []callsign.Showing{sends(1, right)}, is: callsign.Wrong},
		"asking again for one of them is not one more":       {waits: []callsign.Link{asked(1, "a", callsign.BySMS, other), asked(1, "c", callsign.BySMS, other), asked(1, "d", callsign.BySMS, other), asked(1, "e", callsign.BySMS, other), asked(1, "f", callsign.BySMS, other), asked(1, "a", callsign.BySMS, right)}, shown: []callsign.Showing{sends(1, right)}, is: callsign.Proved, owner: 1},
		"a network's word links at once":                     {waits: []callsign.Link{{MSISDN: 1, Network: "im", Account: "a", Proof: callsign.ByNetwork, By: "key", Asked: noon, Proved: noon}}, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited, owner: 1},
		"but not what another number has":                    {linkd: 2, waits: []callsign.Link{{MSISDN: 1, Network: "im", Account: "a", Proof: callsign.ByNetwork, By: "key", Asked: noon, Proved: noon}}, put: callsign.ErrAccountTaken, shown: []callsign.Showing{says("a", right)}, is: callsign.Unawaited, owner: 2},
		"the account for texts set by hand is nobody else's": {waits: []callsign.Link{{MSISDN: 1, Network: callsign.ManualNetwork, Account: "a", Proof: callsign.BySMS, By: "key", Code: right, Asked: noon, Expires: noon.Add(time.Hour)}}, put: callsign.ErrAccountTaken, shown: []callsign.Showing{sends(1, right)}, is: callsign.Unawaited},
	} {
		n += 10
		number := func(m callsign.MSISDN) callsign.MSISDN {
			if m > 0 && m < 10 {
				return n + m
			}
			return m
		}
		account := func(name string) string { return fmt.Sprint(name, uint64(n)) }
		put(t, e, ours, number(1))
		put(t, e, ours, number(2))
		operator := func(m callsign.MSISDN) {
			if m == 0 {
				return
			}
			if _, err := e.LinkAccount(ctx, ours, number(m), "im", account("a")); err != nil {
				t.Fatal(err)
			}
		}
		operator(c.linkd)
		for i, l := range c.waits {
			l.MSISDN, l.Account = number(l.MSISDN), account(l.Account)
			var want error
			if i == len(c.waits)-1 {
				want = c.put
			}
			wantErr(t, sentence, e.PutLink(ctx, ours, l), want)
		}
		operator(c.taken)
		var is callsign.Proving
		for _, s := range c.shown {
			if s.MSISDN = number(s.MSISDN); s.Account != "" {
				s.Account = account(s.Account)
			}
			expected, err := e.Expected(ctx, []callsign.Showing{says(`nobody's "\`, right), s, s})
			if err != nil {
				t.Fatalf("%s: %v", sentence, err)
			}
			if is, _, err = e.ShowCode(ctx, s); err != nil {
				t.Fatalf("%s: %v", sentence, err)
			}
			if awaited := s.MSISDN == 0 && is != callsign.Unawaited; !slices.Equal(expected, []bool{false, awaited, awaited}) {
				t.Errorf("%s: it was %v that a code is expected, and what came was %s", sentence, expected, is)
			}
		}
		if is != c.is {
			t.Errorf("%s: the code is %s, want %s", sentence, is, c.is)
		}
		for m := range callsign.MSISDN(3) {
			if m == 0 {
				continue
			}
			s, err := e.Subscriber(ctx, ours, number(m))
			if err != nil || (len(s.Accounts) == 2) != (m == c.owner) {
				t.Errorf("%s: number %d has %d accounts, %v; %d is to have the account", sentence, m, len(s.Accounts)-1, err, c.owner)
			}
		}
	}
}

// linkRace: each of some numbers claims one account, some by SMS and some by the account; all their codes come at once.
func linkRace(t *testing.T, e Engine) {
	const numbers = callsign.MaxWaiting
	for round := range 5 {
		account := fmt.Sprint("race", round)
		showings := make([]callsign.Showing, numbers)
		for i := range numbers {
			m, proof := anna+callsign.MSISDN(i), callsign.BySMS
			put(t, e, ours, m)
			showings[i] = sends(m, wrongCode(i))
			if i%2 == 0 {
				proof, showings[i] = callsign.BySignature, says(account, wrongCode(i))
			}
			if err := e.PutLink(t.Context(), ours, asked(m, account, proof, wrongCode(i))); err != nil {
				t.Fatal(err)
			}
		}
		one := asked(anna+numbers, account, callsign.BySMS, right)
		put(t, e, ours, one.MSISDN)
		wantErr(t, "one more number for the account", e.PutLink(t.Context(), ours, one), callsign.ErrTooMany)
		var all sync.WaitGroup
		is := make([]callsign.Proving, numbers)
		for i, s := range showings {
			all.Go(func() {
				var err error
				if is[i], _, err = e.ShowCode(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		proved, has := 0, 0
		for i := range numbers {
			s, err := e.Subscriber(t.Context(), ours, anna+callsign.MSISDN(i))
			if err != nil {
				t.Fatal(err)
			}
			linked := slices.ContainsFunc(s.Accounts, func(a callsign.Signature) bool { return a.Account == account })
			if is[i] == callsign.Proved {
				proved++
			}
			if linked {
				has++
			}
			if linked != (is[i] == callsign.Proved) {
				t.Errorf("round %d: number %d is told %s and has %v", round, i, is[i], s.Accounts)
			}
		}
		if proved != 1 || has != 1 {
			t.Errorf("round %d: %d were told that they have it, %d have it: %v", round, proved, has, is)
		}
	}
}

// linkEnds: how a link came about is told with it and in the audit, and ends with the account and the number.
func linkEnds(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna)
	put(t, e, ours, ben)
	by := ours
	by.KeyID = "operator"
	tells := func(want string) {
		t.Helper()
		all, err := e.Links(ctx, ours, anna)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, l := range all {
			fmt.Fprintf(&got, "%s/%s %s by %s, proved %v, tries %d, kept code %v; ", l.Network, l.Account, l.Proof, l.By, !l.Proved.IsZero(), l.Tries, l.Code != callsign.CodeHash{})
		}
		if got.String() != want {
			t.Errorf("got  %s\nwant %s", &got, want)
		}
	}
	awaited := func(now time.Time, want ...string) {
		t.Helper()
		all, err := e.Awaited(ctx, callsign.Slice{Network: "im", Parts: 4, Of: []int{0, 1, 2, 3}}, now)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, l := range all {
			got[l.Account] = true
			if l.Tenant != ours.Tenant || l.Said {
				t.Errorf("awaited %+v", l)
			}
		}
		for _, account := range want {
			if !got[account] || len(got) != len(want) {
				t.Errorf("awaited are %v, want %v", got, want)
			}
		}
		if len(want) == 0 && len(got) > 0 {
			t.Errorf("awaited are %v, want none", got)
		}
	}
	if _, err := e.LinkAccount(ctx, by, anna, "im", "word"); err != nil {
		t.Fatal(err)
	}
	for _, l := range []callsign.Link{asked(anna, "says", callsign.BySignature, right), asked(anna, "sends", callsign.BySMS, other), asked(ben, "bens", callsign.BySignature, other)} {
		if err := e.PutLink(ctx, ours, l); err != nil {
			t.Fatal(err)
		}
	}
	awaited(noon, "says", "bens")
	awaited(noon.Add(callsign.CodeValidFor))
	tells("im/says signature by key, proved false, tries 0, kept code true; im/sends sms by key, proved false, tries 0, kept code true; im/word operator by operator, proved true, tries 0, kept code false; ")
	if is, _, err := e.ShowCode(ctx, sends(anna, right)); is != callsign.Wrong || err != nil {
		t.Errorf("a wrong code is %s, %v", is, err)
	}
	heard := make(chan told, 10)
	stands := make(chan struct{}, 1)
	feed, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- e.Changes(feed, func(m callsign.MSISDN, rev uint64) { heard <- told{m, rev} }, func() { stands <- struct{}{} })
	}()
	next(t, "the feed to stand", stands)
	is, l, err := e.ShowCode(ctx, says("says", right))
	if is != callsign.Proved || err != nil || l.MSISDN != anna || l.By != "key" || l.Proved != noon.Add(time.Minute) {
		t.Errorf("the right code is %s, %+v, %v", is, l, err)
	}
	if h := next(t, "what is told of a link", heard); h.msisdn != anna {
		t.Errorf("told of %v", h.msisdn)
	}
	cancel()
	if err := next(t, "the end", ended); err != nil {
		t.Error(err)
	}
	awaited(noon, "bens")
	tells("im/says signature by key, proved true, tries 0, kept code false; im/sends sms by key, proved false, tries 1, kept code true; im/word operator by operator, proved true, tries 0, kept code false; ")
	audits, err := e.Audits(ctx, ours, callsign.Page{Limit: 10})
	if err != nil || len(audits) != 1 || audits[0].Action != "link proved by signature" || audits[0].MSISDN != anna || audits[0].KeyID != "key" || audits[0].Object != "im" || audits[0].Status != 200 {
		t.Errorf("the audit has %+v, %v", audits, err)
	}

	wantErr(t, "withdrawing another's", e.WithdrawLink(ctx, ours, anna, "im", "bens"), callsign.ErrNotFound)
	wantErr(t, "withdrawing in another tenant", e.WithdrawLink(ctx, theirs, anna, "im", "sends"), callsign.ErrNotFound)
	wantErr(t, "withdrawing what is proved", e.WithdrawLink(ctx, ours, anna, "im", "says"), callsign.ErrNotFound)
	wantErr(t, "withdrawing", e.WithdrawLink(ctx, ours, anna, "im", "sends"), nil)
	if is, _, err := e.ShowCode(ctx, sends(anna, other)); is != callsign.Unawaited || err != nil {
		t.Errorf("a withdrawn code is %s, %v", is, err)
	}
	if err := e.UnlinkAccount(ctx, ours, anna, "im", "says"); err != nil {
		t.Fatal(err)
	}
	tells("im/word operator by operator, proved true, tries 0, kept code false; ")
	if is, _, err := e.ShowCode(ctx, says("says", right)); is != callsign.Unawaited || err != nil {
		t.Errorf("the code of an unlinked account is %s, %v", is, err)
	}
	if seen, err := e.Links(ctx, theirs, anna); err != nil || len(seen) != 0 {
		t.Errorf("another tenant sees %+v, %v", seen, err)
	}
	if _, err := e.Erase(ctx, ours, anna); err != nil {
		t.Fatal(err)
	}
	tells("")
	for i := range callsign.MaxWaiting + 1 {
		l := asked(ben, fmt.Sprint("many", i), callsign.BySMS, wrongCode(i))
		if i == callsign.MaxWaiting { // when those before it are over
			l.Asked, l.Expires = l.Asked.Add(callsign.CodeValidFor), l.Expires.Add(callsign.CodeValidFor)
			wantErr(t, "asking once others are over", e.PutLink(ctx, ours, l), nil)
		} else if err := e.PutLink(ctx, ours, l); i < callsign.MaxWaiting-1 && err != nil { // one waits since noon
			t.Fatal(err)
		}
	}
	if left, err := e.Links(ctx, ours, ben); err != nil || len(left) != 1 {
		t.Errorf("what is over is kept: %+v, %v", left, err)
	}
	if _, err := e.Erase(ctx, ours, ben); err != nil {
		t.Fatal(err)
	}
	awaited(noon)
}
