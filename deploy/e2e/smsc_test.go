package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
)

func TestTheSimulatorTellsInLines(t *testing.T) {
	t.Parallel()
	n := serve(t, nil)
	n.says("On the road")
	n.stopSMSC()
	simulator := peer.Start(t, binary, nil, "smsc", "--lines", "--listen", n.host+":2775", "--http", n.host+":8775")
	n.ready()
	n.call(scene{}).complete()
	var got []string
	n.until("two lines", func() bool {
		got = nil
		for line := range strings.Lines(simulator.Output()) {
			var l struct{ Event, To, Text, At string }
			if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &l) == nil && l.At != "" {
				got = append(got, l.Event+" "+l.To+" "+l.Text)
			}
		}
		return len(got) >= 2
	})
	if got[0] != "shown +8613800000001 On the road" || got[1] != "receipted +8613800000001 On the road" || len(got) != 2 {
		t.Errorf("the simulator printed %q", got)
	}
}
