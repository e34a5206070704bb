package sipas

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
	"github.com/callsign-as/callsign/sipas/relay"
)

// registering is a third-party REGISTER of a user, for so many seconds.
func registering(m callsign.MSISDN, seconds int, access string) step {
	pani := ""
	if access != "" {
		pani = "P-Access-Network-Info: " + access + "\r\n"
	}
	return step{event: relay.Event{Branch: callsign.BranchKey{9}, Register: fmt.Appendf(nil, "REGISTER sip:as SIP/2.0\r\nTo: <tel:%s>\r\nCall-ID: r\r\nContact: <sip:s>\r\nExpires: %d\r\n%s\r\n", m.E164(), seconds, pani)}}
}

func TestTheRungsOfTheAccessLadder(t *testing.T) {
	ladder := func(c *Config) {
		c.AccessByPeer = []PeerAccess{{netip.MustParsePrefix("192.0.2.0/24"), "3GPP-UTRAN-FDD"}, {netip.MustParsePrefix("127.0.0.0/8"), "3GPP-GERAN"}, {netip.MustParsePrefix("127.0.0.1/32"), "X"}}
		c.AccessByRange = []RangeAccess{{"+86139", "X"}, {"+8613800000000-+8613800000009", "3GPP-UTRAN-TDD"}, {"+86", "X"}}
		c.AccessDefault = "3GPP-E-UTRAN-FDD"
	}
	without := func(change func(*Config)) func(*Config) {
		return func(c *Config) { ladder(c); change(c) }
	}
	said := step{event: relay.Event{Invite: []byte(strings.Replace(invite, "Content-Length", "P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=1\r\nContent-Length", 1))}}
	for _, c := range []struct {
		name   string
		config func(*Config)
		steps  []step
		access string
		from   callsign.AccessFrom
	}{
		{"the call itself tells", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), said}, "IEEE-802.11", callsign.AccessNetwork},
		{"then the registration", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), invited}, "3GPP-NR-FDD", callsign.AccessRegistration},
		{"the last one", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), registering(alice, 600, "3GPP-GERAN;np"), invited}, "3GPP-GERAN", callsign.AccessRegistration},
		{"while it lasts", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), pause(599 * time.Second), invited}, "3GPP-NR-FDD", callsign.AccessRegistration},
		{"not when its time is over", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), pause(600 * time.Second), invited}, "3GPP-GERAN", callsign.AccessPeer},
		{"not when it was taken back", ladder, []step{registering(alice, 600, "3GPP-NR-FDD"), registering(alice, 0, "3GPP-NR-FDD"), invited}, "3GPP-GERAN", callsign.AccessPeer},
		{"not one that says nothing of access", ladder, []step{registering(alice, 600, ""), invited}, "3GPP-GERAN", callsign.AccessPeer},
		{"not somebody else's", ladder, []step{registering(bob, 600, "3GPP-NR-FDD"), invited}, "3GPP-GERAN", callsign.AccessPeer},
		{"then the peer", ladder, []step{invited}, "3GPP-GERAN", callsign.AccessPeer},
		{"then the number", without(func(c *Config) { c.AccessByPeer = c.AccessByPeer[:1] }), []step{invited}, "3GPP-UTRAN-TDD", callsign.AccessRange},
		{"then the default", without(func(c *Config) { c.AccessByPeer, c.AccessByRange = nil, c.AccessByRange[:1] }), []step{invited}, "3GPP-E-UTRAN-FDD", callsign.AccessDefault},
		{"then nobody", nil, []step{invited}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := subscriber()
			play(t, r, config(c.config), append(c.steps, status(180))...)
			if len(r.deliveries) != 1 {
				t.Fatalf("%d deliveries, want one", len(r.deliveries))
			}
			if got := r.deliveries[0].Call; got.Access != c.access || got.AccessFrom != c.from {
				t.Errorf("got %q from %q, want %q from %q", got.Access, got.AccessFrom, c.access, c.from)
			}
		})
	}
}

func TestARegistrationReachesEveryWorkerAndLeavesNoSetUp(t *testing.T) {
	r := subscriber()
	ws, err := New(Options{Config: config(nil), Profiles: r, Claims: r, Bridge: r, Recorder: r})
	if err != nil {
		t.Fatal(err)
	}
	one, other := ws.newWorker(nil), ws.newWorker(nil)
	e := registering(alice, 60, "3GPP-GERAN").event
	e.Register = []byte(strings.Replace(string(e.Register), "<sip:s>", "<sip:s>;+g.3gpp.smsip", 1))
	e.At = time.Now()
	one.event(t.Context(), e)
	if got := other.Access(callsign.Call{Caller: alice}, netip.Addr{}, e.At); got.Access != "3GPP-GERAN" {
		t.Errorf("the other worker has %q", got.Access)
	}
	if sms, ussi, known := other.Takes(alice, e.At); !sms || ussi || !known {
		t.Errorf("the phone takes SMS over IP %v, USSD over IP %v, known %v", sms, ussi, known)
	}
	if n := len(one.table.byBranch); n != 0 {
		t.Errorf("%d set-ups", n)
	}
	e.Register = []byte("REGISTER sip:as SIP/2.0\r\nTo: <sip:bob@ims.test>\r\n\r\n")
	one.event(t.Context(), e)
	if n := ws.registrations.len(); n != 1 {
		t.Errorf("%d registrations, want one: the other names no number", n)
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	const size = 4 * registrationShards
	rs, now := newRegistrations(size, nil), time.Now()
	tell := func(first, n int, lasts time.Duration) {
		for i := range n {
			rs.tell(ims.Registration{MSISDNs: []callsign.MSISDN{callsign.MSISDN(first + i)}, Access: "3GPP-GERAN", Expires: lasts}, now)
		}
	}
	tell(1, size/2, time.Minute)
	tell(1+size/2, size/2, time.Hour)
	if n, gone := rs.len(), testutil.ToFloat64(rs.evicted); n != size || gone != 0 {
		t.Errorf("%d are remembered and %v were forgotten, want %d and none", n, gone, size)
	}
	now = now.Add(2 * time.Minute)
	tell(1+size, size/2, time.Hour)
	if gone := testutil.ToFloat64(rs.evicted); rs.len() != size || gone != 0 {
		t.Errorf("%d are remembered, %v were forgotten early: those whose time is over go first", rs.len(), gone)
	}
	for i := size / 2; i < size+size/2; i++ {
		if _, known := rs.of(callsign.MSISDN(1+i), now); !known {
			t.Errorf("%d is forgotten", 1+i)
		}
	}
	tell(1+2*size, size, time.Hour)
	if gone := testutil.ToFloat64(rs.evicted); rs.len() != size || gone != size {
		t.Errorf("%d are remembered, %v were forgotten early; want %d and %d", rs.len(), gone, size, size)
	}
	if _, known := rs.of(callsign.MSISDN(3*size), now); !known {
		t.Error("the last is not remembered")
	}
}

func TestRegistrationsAreToldAndAskedAtOnce(t *testing.T) {
	rs, now := newRegistrations(2*registrationShards, nil), time.Now()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				m := callsign.MSISDN(1 + (i*7+g)%500)
				rs.tell(ims.Registration{MSISDNs: []callsign.MSISDN{m}, Access: m.E164(), Expires: time.Duration(i%3) * time.Hour}, now)
				if r, known := rs.of(m, now); known && r.access.Value() != m.E164() {
					t.Errorf("%s has %s", m.E164(), r.access.Value())
				}
			}
		})
	}
	all.Wait()
	if n := rs.len(); n > 2*registrationShards {
		t.Errorf("%d are remembered", n)
	}
}

func BenchmarkRegistrations(b *testing.B) {
	rs, now := newRegistrations(maxRegistrations, nil), time.Now()
	for i := range maxRegistrations {
		rs.tell(ims.Registration{MSISDNs: []callsign.MSISDN{callsign.MSISDN(8613800000000 + i)}, Access: "3GPP-GERAN", Expires: time.Hour}, now)
	}
	b.Run("of", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			rs.of(callsign.MSISDN(8613800000000+i*7919%maxRegistrations), now)
		}
	})
	b.Run("tell, full", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			rs.tell(ims.Registration{MSISDNs: []callsign.MSISDN{callsign.MSISDN(8613900000000 + i)}, Access: "3GPP-GERAN", Expires: time.Hour}, now)
		}
	})
}
