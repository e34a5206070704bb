package gsmbridge

import (
	"strings"
	"testing"

	"github.com/callsign-as/callsign"
)

func newBridge(t *testing.T, c Config) *Bridge {
	t.Helper()
	for i := range c.Links {
		c.Links[i].Address, c.Links[i].SystemID = "smsc.example:2775", "callsign"
	}
	b, err := New(Options{Config: c, Learned: t.TempDir() + "/links.json"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func routeOf(b *Bridge, access string) string {
	d := delivery("hi")
	d.Call.Access = access
	var names []string
	for _, l := range b.route(d) {
		names = append(names, l.Name)
	}
	return strings.Join(names, " ")
}

func TestRoute(t *testing.T) {
	all := []LinkConfig{
		{Name: "spare", Priority: 1},
		{Name: "first"},
		{Name: "second"},
		{Name: "ears", Bind: "receiver"},
		{Name: "gateway", Channel: USSD, Priority: 9},
	}
	for name, c := range map[string]struct{ access, want string }{
		"over GERAN USSD comes first":                {"3GPP-GERAN", "gateway first second spare"},
		"over UTRAN too":                             {"3GPP-UTRAN-FDD", "gateway first second spare"},
		"over LTE there is none":                     {"3GPP-E-UTRAN-FDD", "first second spare"},
		"over Wi-Fi there is none":                   {"IEEE-802.11", "first second spare"},
		"over who knows what there may be none":      {"", "first second spare"},
		"a receiver carries nothing, whatever else ": {"3GPP-NR-FDD", "first second spare"},
	} {
		if got := routeOf(newBridge(t, Config{Links: all}), c.access); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestALinkThatLeavesACountryCodeAwayTakesItsOwnCountrysNumbers(t *testing.T) {
	india := LinkConfig{Name: "india", Destination: DestinationConfig{Strip: "91", Type: "2/1"}}
	china := LinkConfig{Name: "china", Destination: DestinationConfig{Strip: "86", Type: "2/1"}}
	if got := routeOf(newBridge(t, Config{Links: []LinkConfig{india, china, {Name: "all"}}}), ""); got != "china all" && got != "all china" {
		t.Errorf("a number of China goes over %q", got)
	}
	o := newBridge(t, Config{Links: []LinkConfig{india}}).Deliver(t.Context(), delivery("hi"))
	if o.State != callsign.Failed || !strings.Contains(o.Reason, "without destination.strip") {
		t.Errorf("got %+v", o)
	}
}

func TestWeightsAreShares(t *testing.T) {
	b := newBridge(t, Config{Links: []LinkConfig{{Name: "rest"}, {Name: "three", Weight: 3}, {Name: "one", Weight: 1}}})
	first := map[string]int{}
	for range 4000 {
		first[routeOf(b, "")]++
	}
	// 3000 of 4000 with a standard deviation of 27.
	if n := first["three one rest"]; n < 2800 || n > 3200 || first["three one rest"]+first["one three rest"] != 4000 {
		t.Errorf("got %v, want three quarters with three first, and rest always last", first)
	}
}

func TestOnlyALinkThatIsThereIsNamed(t *testing.T) {
	b := newBridge(t, Config{Links: []LinkConfig{{Name: "gateway", Channel: USSD}}})
	o := b.Deliver(t.Context(), delivery("hi"))
	if o.State != callsign.Failed || !strings.Contains(o.Reason, "no flash link is configured") {
		t.Errorf("got %+v", o)
	}
}
