package sigsync

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// LinkKeeper keeps links. PutLink has one wait for its proof, or makes one whose proof is there: callsign.ErrLinked, ErrAccountTaken and
// ErrTooMany say why not. Expected tells of each account that shows a code whether one is waited for there; ShowCode makes the link that
// waits for it, with a line of the audit.
type LinkKeeper interface {
	PutLink(context.Context, callsign.Scope, callsign.Link) error
	Expected(context.Context, []callsign.Showing) ([]bool, error)
	ShowCode(context.Context, callsign.Showing) (callsign.Proving, callsign.Link, error)
}

// LinksOptions is what NewLinks needs; Keeper is required.
type LinksOptions struct {
	Keeper LinkKeeper
	// Number is the number that a network has verified for an account, 0 for none; errors.ErrUnsupported: this node can't ask it.
	Number func(ctx context.Context, network, account string) (callsign.MSISDN, error)
	// Linked hears of each account that is linked by something else than its text, so that this is asked for.
	Linked  func(tenant, network, account string)
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Links tie accounts to numbers by proof: they give out codes and know them again where an account or a number shows one.
type Links struct {
	o     LinksOptions
	links *prometheus.CounterVec
}

// NewLinks makes Links.
func NewLinks(o LinksOptions) *Links {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Links{o, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_links_total", Help: "Links by proof: asked for; linked; wrong, a code that nobody waits for there; taken, the account is another number's.",
	}, []string{"proof", "result"})}
	if o.Metrics != nil {
		o.Metrics.MustRegister(l.links)
	}
	return l
}

// Ask has l, of which MSISDN, Network, Account and Proof are given, wait for the code that it gives; by a network's word it is linked at
// once. callsign.ErrNotProved says that the network knows another number, or none, errors.ErrUnsupported that this node can't ask it.
func (ls *Links) Ask(ctx context.Context, sc callsign.Scope, l callsign.Link) (_ callsign.Link, code string, err error) {
	l.Tenant, l.By, l.Asked = sc.Tenant, sc.KeyID, time.Now().UTC().Truncate(time.Microsecond)
	switch l.Proof {
	case callsign.ByNetwork:
		number, err := ls.o.Number(ctx, l.Network, l.Account)
		if err != nil {
			return l, "", err
		}
		if number != l.MSISDN {
			ls.links.WithLabelValues(string(l.Proof), string(callsign.Wrong)).Inc()
			return l, "", callsign.ErrNotProved
		}
		l.Proved = l.Asked
	case callsign.BySignature, callsign.BySMS:
		var random [5]byte
		_, _ = rand.Read(random[:]) // never fails
		code = callsign.MakeCode(random)
		l.Code, l.Expires = callsign.HashCode(code), l.Asked.Add(callsign.CodeValidFor)
	default:
		return l, "", fmt.Errorf("proof %q: use %s, %s or %s", l.Proof, callsign.BySignature, callsign.BySMS, callsign.ByNetwork)
	}
	if err := ls.o.Keeper.PutLink(ctx, sc, l); err != nil {
		return l, "", err
	}
	result := "asked"
	if l.Proof == callsign.ByNetwork {
		result = string(callsign.Proved)
		ls.o.Linked(l.Tenant, l.Network, l.Account)
	}
	ls.links.WithLabelValues(string(l.Proof), result).Inc()
	return l, code, nil
}

// Said links the accounts, of those that changes are of, that say the code that somebody waits for there. It looks at those alone of
// which one is waited for, and at each for as long as one is: who makes up codes costs all of them together one question.
func (ls *Links) Said(ctx context.Context, changes []callsign.Change) error {
	var shown []callsign.Showing
	at := time.Now().UTC().Truncate(time.Microsecond)
	for _, c := range changes {
		if code, found := callsign.CodeIn(c.Text); found {
			shown = append(shown, callsign.Showing{Tenant: c.Tenant, Network: c.Network, Account: c.Account, Code: code, At: at})
		}
	}
	if len(shown) == 0 {
		return nil
	}
	expected, err := ls.o.Keeper.Expected(ctx, shown)
	if err != nil {
		return err
	}
	type account struct{ tenant, network, name string }
	settled, last := map[account]bool{}, map[account]callsign.CodeHash{}
	for i, s := range shown {
		of := account{s.Tenant, s.Network, s.Account}
		if !expected[i] || settled[of] || last[of] == s.Code { // the last code again is counted as little
			continue
		}
		is, _, err := ls.show(ctx, callsign.BySignature, s)
		if err != nil {
			return err
		}
		settled[of], last[of] = is != callsign.Wrong, s.Code
	}
	return nil
}

// Sent takes what a number sent; Unawaited is also what has no code in it.
func (ls *Links) Sent(ctx context.Context, from callsign.MSISDN, text string) (callsign.Proving, error) {
	code, found := callsign.CodeIn(text)
	if !found {
		return callsign.Unawaited, nil
	}
	is, l, err := ls.show(ctx, callsign.BySMS, callsign.Showing{MSISDN: from, Code: code})
	if err == nil && is == callsign.Proved {
		ls.o.Linked(l.Tenant, l.Network, l.Account)
	}
	return is, err
}

func (ls *Links) show(ctx context.Context, proof callsign.Proof, s callsign.Showing) (callsign.Proving, callsign.Link, error) {
	s.At = time.Now().UTC().Truncate(time.Microsecond)
	is, l, err := ls.o.Keeper.ShowCode(ctx, s)
	if err != nil {
		return "", l, err
	}
	if is != callsign.Unawaited {
		ls.links.WithLabelValues(string(proof), string(is)).Inc()
	}
	if is == callsign.Taken {
		ls.o.Log.Info("who showed the code of a link has not got it: another number has the account, an operator can take it away there",
			"msisdn", l.MSISDN, "tenant", l.Tenant, "network", l.Network)
	}
	return is, l, nil
}
