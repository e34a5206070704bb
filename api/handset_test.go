package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// byNumber finds subscribers as calls do.
type byNumber struct{ *memory }

func (b byNumber) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, there := b.subscribers[m]
	if !there || b.down != nil {
		if b.down != nil {
			return callsign.Profile{}, b.down
		}
		return callsign.Profile{}, callsign.ErrNotFound
	}
	return callsign.Profile{MSISDN: m, Tenant: s.Tenant}, nil
}

func TestWhatASubscribersHandsetChanges(t *testing.T) {
	const li, stranger = callsign.MSISDN(8613900000002), callsign.MSISDN(8613900000009)
	type step struct {
		from        callsign.MSISDN
		link, text  string
		reply       string
		after       time.Duration
		storesFails bool
	}
	trusted := func(text, reply string) step { return step{from: li, link: "a", text: text, reply: reply} }
	by := func(from callsign.MSISDN, s step) step { s.from = from; return s }
	for sentence, c := range map[string]struct {
		join   bool
		steps  []step
		paused bool
		joined bool
		text   string // the last that was put
		proof  string // the reply that is kept
		had    callsign.Consent
	}{
		"over a link that is not named nothing changes": {steps: []step{{from: li, link: "b", text: "OFF"}, {from: li, link: "b", text: "Hello"}, {from: li, link: "b", text: "HELP"}}},
		"OFF, once, in any form":                        {steps: []step{trusted(" ｏｆｆ. ", english.off), trusted("OFF", "")}, paused: true},
		"in Chinese":                                    {steps: []step{trusted("关闭", chinese.off), trusted("帮助", chinese.help)}, paused: true},
		"a text":                                        {steps: []step{trusted("On a train", english.shown)}, text: "On a train"},
		"a Chinese text":                                {steps: []step{trusted("在高铁上", chinese.shown)}, text: "在高铁上"},
		"a sentence with OFF in it is a text":           {steps: []step{trusted("I am OFF today", english.shown)}, text: "I am OFF today"},
		"HELP":                                          {steps: []step{trusted("Help!", english.help)}},
		"ON asks, and without YES nothing happens":      {steps: []step{trusted("OFF", english.off), trusted("ON", english.ask), trusted("OFF", "")}, paused: true},
		"ON and YES":                                    {steps: []step{trusted("OFF", english.off), trusted("ON", english.ask), trusted("yes", english.on)}, proof: "yes"},
		"in Chinese too":                                {steps: []step{trusted("关闭", chinese.off), trusted("开启", chinese.ask), trusted("是。", chinese.on)}, proof: "是。"},
		"YES to nothing":                                {steps: []step{trusted("OFF", english.off), trusted("YES", "")}, paused: true},
		"YES too late":                                  {steps: []step{trusted("OFF", english.off), trusted("ON", english.ask), {from: li, link: "a", text: "YES", after: 24*time.Hour + time.Second}}, paused: true},
		"who has confirmed once is not asked again": {steps: []step{
			trusted("ON", english.ask), trusted("YES", english.on), trusted("OFF", english.off), trusted("ON", english.on), trusted("ON", ""),
		}, proof: "YES"},
		"YES that comes again, since the store failed after the proof was kept": {steps: []step{
			trusted("OFF", english.off), trusted("ON", english.ask), {from: li, link: "a", text: "YES", storesFails: true}, trusted("YES", english.on),
		}, proof: "YES"},
		"YES that comes once more undoes no later OFF": {steps: []step{
			trusted("ON", english.ask), trusted("YES", english.on), trusted("OFF", english.off), {from: li, link: "a", text: "YES", after: 11 * time.Minute},
		}, proof: "YES", paused: true},
		"whose YES was kept and who is no subscriber after all is asked again": {
			join: true, had: callsign.Consent{MSISDN: stranger, Tenant: callsign.DefaultTenant, Request: "ON", Asked: "?", Reply: "YES"},
			steps: []step{by(stranger, trusted("ON", english.ask)), by(stranger, trusted("YES", english.on))}, joined: true,
		},
		"who is no subscriber can't join":          {steps: []step{by(stranger, trusted("ON", "")), by(stranger, trusted("YES", "")), by(stranger, trusted("Hello", ""))}},
		"unless they may":                          {join: true, steps: []step{by(stranger, trusted("ON", english.ask)), by(stranger, trusted("YES", english.on))}, joined: true},
		"and not by ON alone":                      {join: true, steps: []step{by(stranger, trusted("ON", english.ask))}},
		"nor by YES alone":                         {join: true, steps: []step{by(stranger, trusted("YES", ""))}},
		"nor by YES over a link that is not named": {join: true, steps: []step{by(stranger, trusted("ON", english.ask)), {from: stranger, link: "b", text: "YES"}}},
		"a text of theirs is none":                 {join: true, steps: []step{by(stranger, trusted("Hello", ""))}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				m.subscribers[li] = callsign.Subscriber{MSISDN: li, Tenant: "acme"}
				m.linked[[3]string{"acme", callsign.ManualNetwork, digits(li)}] = li
				says := newSayings(m)
				says.consents[c.had.MSISDN] = c.had
				fails := &failing{sayings: says}
				k := NewKeywords(says, noCodes{}, &Handset{
					Config: KeywordsConfig{Links: []string{"a"}, Join: c.join}, Profiles: byNumber{m}, Intake: m, Subscribers: m,
					Policies: says, PolicyIntake: fails, Consents: says, Audits: m,
				}, nil)
				for _, s := range c.steps {
					time.Sleep(s.after)
					fails.down = s.storesFails
					reply, err := k.Receive(t.Context(), callsign.MO{From: s.from, Text: s.text, Link: s.link})
					if reply != s.reply || errors.Is(err, callsign.ErrUnavailable) != s.storesFails {
						t.Errorf("%q: %q, %v, want %q", s.text, reply, err, s.reply)
					}
				}
				if says.policies[li].Paused != c.paused {
					t.Errorf("paused: %v, want %v", !c.paused, c.paused)
				}
				if _, joined := m.subscribers[stranger]; joined != c.joined {
					t.Errorf("joined: %v, want %v", joined, c.joined)
				}
				last := ""
				if len(m.changes) > 0 {
					last = m.changes[len(m.changes)-1].Text
				}
				if last != c.text {
					t.Errorf("the text is %q, want %q", last, c.text)
				}
				if proof := says.consents[li]; proof.Reply != c.proof || c.proof != "" && (proof.Asked == "" || proof.AskedLink != "a" || proof.ReplyLink != "a" || proof.Tenant != "acme" || proof.AskedAt.IsZero() || proof.RepliedAt.IsZero() || proof.Request == "") {
					t.Errorf("the proof is %+v, want the reply %q", proof, c.proof)
				}
				for _, a := range m.audits {
					if a.MSISDN == 0 || !strings.HasPrefix(a.Action, "SMS ") || a.Address != "sms/a" {
						t.Errorf("the audit has %+v", a)
					}
				}
				if changed := c.paused || c.text != "" || c.joined; changed && len(m.audits) == 0 {
					t.Error("the audit doesn't tell of it")
				}
			})
		})
	}
}

// failing keeps no policy while it is down.
type failing struct {
	*sayings
	down bool
}

func (f *failing) PutPolicy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64) (uint64, error) {
	if f.down {
		return 0, callsign.ErrUnavailable
	}
	return f.sayings.PutPolicy(ctx, scope, m, p, rev)
}

// overtaken has its subscriber put a policy as soon as somebody has read that there is none.
type overtaken struct{ *sayings }

func (o overtaken) Policy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN) (callsign.Policy, uint64, error) {
	p, rev, err := o.sayings.Policy(ctx, scope, m)
	if errors.Is(err, callsign.ErrNotFound) {
		_, _ = o.PutPolicy(ctx, scope, m, callsign.Policy{Never: []string{"+8613800000009"}}, 0)
	}
	return p, rev, err
}

func TestOFFTakesNothingFromAPolicyThatIsPutMeanwhile(t *testing.T) {
	const li = callsign.MSISDN(8613900000002)
	m := newMemory()
	m.subscribers[li] = callsign.Subscriber{MSISDN: li, Tenant: "acme"}
	says := newSayings(m)
	k := NewKeywords(says, noCodes{}, &Handset{
		Config: KeywordsConfig{Links: []string{"a"}}, Profiles: byNumber{m}, Policies: overtaken{says}, PolicyIntake: says, Audits: m,
	}, nil)
	if reply, err := k.Receive(t.Context(), callsign.MO{From: li, Text: "OFF", Link: "a"}); reply != english.off || err != nil {
		t.Errorf("OFF: %q, %v", reply, err)
	}
	if p := says.policies[li]; !p.Paused || len(p.Never) != 1 {
		t.Errorf("the policy is %+v, want it paused and as it was put", p)
	}
}

func TestATextThatIsSaidAgainIsNotConfirmedAgain(t *testing.T) {
	const li = callsign.MSISDN(8613900000002)
	m := newMemory()
	m.subscribers[li] = callsign.Subscriber{MSISDN: li, Tenant: "acme", Accounts: []callsign.Signature{{Network: callsign.ManualNetwork, Text: "I am on holiday"}}}
	m.linked[[3]string{"acme", callsign.ManualNetwork, digits(li)}] = li
	k := NewKeywords(newSayings(m), noCodes{}, &Handset{Config: KeywordsConfig{Links: []string{"a"}}, Profiles: byNumber{m}, Intake: m, Subscribers: m, Audits: m}, nil)
	if reply, err := k.Receive(t.Context(), callsign.MO{From: li, Text: "I am on holiday", Link: "a"}); reply != "" || err != nil {
		t.Errorf("%q, %v: an answering machine would get an answer to each of its own", reply, err)
	}
}
