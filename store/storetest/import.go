package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
)

// far is how far the numbers written one by one are from those of an import.
const far = 1000

// twin is the same row among the numbers and accounts that are written one by one.
func twin(r callsign.ImportRow) callsign.ImportRow {
	switch m, err := callsign.ParseMSISDN(r.Account); {
	case r.Network == callsign.ManualNetwork && err == nil:
		r.Account = (m + far).E164()[1:]
	case r.Network != "":
		r.Account += " too"
	}
	r.MSISDN += far
	return r
}

// oneByOne does what an import of the row stands for, and gives why something was not kept.
func oneByOne(ctx context.Context, e Engine, r callsign.ImportRow) (refused, err error) {
	if before, err := e.Subscriber(ctx, ours, r.MSISDN); err == nil && r.Name == "" {
		r.Name = before.Name
	}
	_, err = e.PutSubscriber(ctx, ours, callsign.Subscriber{MSISDN: r.MSISDN, Name: r.Name})
	if errors.Is(err, callsign.ErrConflict) {
		return callsign.ErrNumberTaken, nil
	}
	if err != nil || r.Network == "" {
		return nil, err
	}
	_, err = e.LinkAccount(ctx, ours, r.MSISDN, r.Network, r.Account)
	if errors.Is(err, callsign.ErrConflict) {
		return callsign.ErrAccountTaken, nil
	}
	if err != nil || r.At.IsZero() {
		return nil, err
	}
	en := said(r.Network, r.Account, r.Text, r.Stamp)
	en.ID, en.Shown, en.Lang, en.At = "id", r.Shown, r.Lang, r.At
	_, err = e.Keep(ctx, []callsign.Entry{en})
	return nil, err
}

func importProperty(t *testing.T, e Engine) {
	put(t, e, theirs, anna)
	put(t, e, theirs, anna+far)
	first := callsign.MSISDN(0)
	rapid.Check(t, func(rt *rapid.T) {
		first += 2 * far
		row := rapid.Custom(func(rt *rapid.T) (r callsign.ImportRow) {
			r.MSISDN = rapid.SampledFrom([]callsign.MSISDN{anna, first, first + 1}).Draw(rt, "number")
			r.Name = rapid.SampledFrom([]string{"", "A", "B\x00"}).Draw(rt, "name")
			r.Network = rapid.SampledFrom([]string{"", callsign.ManualNetwork, "qq", "qq"}).Draw(rt, "network")
			switch r.Network {
			case "":
				return r
			case callsign.ManualNetwork:
				r.Account = rapid.SampledFrom([]callsign.MSISDN{r.MSISDN, r.MSISDN, ben}).Draw(rt, "whose").E164()[1:]
			default:
				r.Account = fmt.Sprint(first, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "account"))
			}
			if rapid.Bool().Draw(rt, "says something") {
				r.Stamp = callsign.Stamp{Epoch: rapid.Int64Range(-1, 1).Draw(rt, "epoch"), Version: rapid.Int64Range(0, 2).Draw(rt, "version")}
				r.Text = rapid.SampledFrom([]string{"", "x", "y\x00"}).Draw(rt, "text")
				r.Shown, r.At, r.Lang, r.Origin = r.Text, noon, "en", "src/id"
			}
			return r
		})
		for _, batch := range rapid.SliceOfN(rapid.SliceOfN(row, 1, 6), 1, 3).Draw(rt, "imports") {
			got, err := e.Import(t.Context(), ours, batch)
			if err != nil || len(got) != len(batch) {
				rt.Fatalf("import of %+v: %v, %v", batch, got, err)
			}
			for i, r := range batch {
				want, err := oneByOne(t.Context(), e, twin(r))
				if err != nil {
					rt.Fatal(err)
				}
				if !errors.Is(got[i], want) || (got[i] == nil) != (want == nil) {
					rt.Fatalf("row %d of %+v was refused as %v, want %v", i, batch, got[i], want)
				}
			}
		}
		for _, m := range []callsign.MSISDN{first, first + 1} {
			got, err := e.Subscriber(t.Context(), ours, m)
			want, wantErr := e.Subscriber(t.Context(), ours, m+far)
			if errors.Is(err, callsign.ErrNotFound) && errors.Is(wantErr, callsign.ErrNotFound) {
				continue
			}
			if err := errors.Join(err, wantErr); err != nil {
				rt.Fatal(err)
			}
			for i, s := range got.Accounts {
				got.Accounts[i] = twin(callsign.ImportRow{Signature: s}).Signature
			}
			if got.Name != want.Name || !reflect.DeepEqual(got.Accounts, want.Accounts) {
				rt.Fatalf("imported\n%q %+v, one by one\n%q %+v", got.Name, got.Accounts, want.Name, want.Accounts)
			}
		}
	})
}

// importTold imports where memory holds something older.
func importTold(t *testing.T, e Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	put(t, e, ours, anna)
	stands, heard, ended := make(chan struct{}, 1), make(chan told, 10), make(chan error, 1)
	go func() {
		ended <- e.Changes(ctx, func(m callsign.MSISDN, rev uint64) { heard <- told{m, rev} }, func() { stands <- struct{}{} })
	}()
	next(t, "the feed to stand", stands)
	row := func(m callsign.MSISDN) callsign.ImportRow {
		return callsign.ImportRow{MSISDN: m, Signature: callsign.Signature{
			Network: "qq", Account: m.E164(), Text: "x", Shown: "x", Stamp: callsign.Stamp{Version: 1}, At: noon,
		}}
	}
	if refused, err := e.Import(ctx, ours, []callsign.ImportRow{row(anna), row(ben)}); err != nil {
		t.Fatal(refused, err)
	}
	for range 2 {
		h := next(t, "a change", heard)
		if p, err := e.Profile(ctx, h.msisdn); err != nil || p.Rev != h.rev || p.Signature.Shown != "x" {
			t.Errorf("told of %v, the profile is %+v, %v", h, p, err)
		}
	}
	cancel()
	if err := next(t, "the end", ended); err != nil {
		t.Errorf("at the end: %v, want nil", err)
	}
}
