package sipas

import (
	"fmt"
	"strings"
	"testing"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/relay"
)

// again is an INVITE on a branch of its own, with changes.
func again(branch byte, oldAndNew ...string) step {
	return step{event: relay.Event{Branch: callsign.BranchKey{branch}, Invite: []byte(strings.NewReplacer(oldAndNew...).Replace(invite))}}
}

func on(branch byte, s step) step {
	s.event.Branch = callsign.BranchKey{branch}
	return s
}

// TestWhatIsOneCallClaimsOnce holds what each set-up claims for: Claims grants a key once.
func TestWhatIsOneCallClaimsOnce(t *testing.T) {
	const icid = "P-Charging-Vector: icid-value=i1;orig-ioi=a\r\nContent-Length"
	const session = "Session-ID: 5e55;remote=0\r\nContent-Length"
	for name, c := range map[string]struct {
		steps []step
		want  int // keys
	}{
		"a fork": {[]step{again(1), again(2, "branch=z9hG4bK1", "branch=z9hG4bK2"), on(1, status(180)), on(2, status(180))}, 1},
		"a spiral through a B2BUA that keeps the icid": {[]step{
			again(1, "Content-Length", icid),
			again(2, "Content-Length", icid, "c1@ims.test", "c2@b2bua", "tag=f1", "tag=f2"), on(1, status(180)), on(2, status(180)),
		}, 1},
		"a B2BUA that keeps the Session-ID": {[]step{
			again(1, "Content-Length", session),
			again(2, "Content-Length", session, "c1@ims.test", "c2@b2bua"), on(1, status(180)), on(2, status(180)),
		}, 1},
		"the icid before everything else": {[]step{
			again(1, "Content-Length", strings.Replace(icid, "Content-Length", "Session-ID: a\r\nContent-Length", 1)),
			again(2, "Content-Length", strings.Replace(icid, "Content-Length", "Session-ID: b\r\nContent-Length", 1), "c1@ims.test", "c2@b2bua"), on(1, status(180)), on(2, status(180)),
		}, 1},
		"back after a diversion by To, which is shown nothing": {[]step{
			again(1, "Content-Length", icid),
			again(2, "Content-Length", icid, "To: <tel:+8613900000002>", "To: <tel:+8613700000003>"), on(2, status(180)), on(1, status(180)),
		}, 1},
		"back after a diversion by Diversion": {[]step{
			again(2, "Content-Length", "Diversion: <tel:+8613700000003>\r\n"+icid), on(2, status(180)),
		}, 0},
		"back after a diversion by History-Info": {[]step{
			again(2, "Content-Length", "History-Info: <tel:+8613700000003>;index=1,\r\n <tel:+8613900000002;cause=486>;index=1.1\r\n"+icid), on(2, status(180)),
		}, 0},
		"on to a visited network": {[]step{
			again(1, "Content-Length", icid),
			again(2, "Content-Length", icid, "sip:+8613900000002@ims.test", "tel:+8613444000001"), on(1, status(180)), on(2, status(180)),
		}, 1},
		"two calls":               {[]step{again(1), again(2, "c1@ims.test", "c2@ims.test"), on(1, status(180)), on(2, status(180))}, 2},
		"two calls of one dialog": {[]step{again(1), again(2, "tag=f1", "tag=f2"), on(1, status(180)), on(2, status(180))}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			play(t, r, config(func(c *Config) { c.MSRNRanges = []string{"+8613444"} }), c.steps...)
			keys := map[string]bool{}
			for _, d := range r.deliveries {
				keys[fmt.Sprint(d.Call.Caller, d.Call.Callee, d.Call.Once)] = true
			}
			if len(keys) != c.want {
				t.Errorf("claimed for %v, want %d", keys, c.want)
			}
		})
	}
}
