package sipas

import (
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// BenchmarkDecide is of a subscriber without a policy, as nearly all are.
func BenchmarkDecide(b *testing.B) {
	op, err := NewOperator(config(nil))
	if err != nil {
		b.Fatal(err)
	}
	c := callsign.Call{Caller: alice, Callee: bob}
	p := subscriber().profile
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if !Decide(c, p, op, now).Show {
			b.Fatal("nothing is shown")
		}
	}
}
