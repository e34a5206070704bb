package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// message is a line of SIPp's -trace_shortmsg.
func message(call int, at float64, direction, cseq, line string) string {
	return fmt.Sprintf("2026-01-01\t00:00:00\t%f\t%s\tharm-%d-7@h\tCSeq:%s\t%s\n", at, direction, call, cseq, line)
}

func invite(call int, at float64) string {
	return message(call, at, "S", "1 INVITE", "INVITE sip:x SIP/2.0")
}

func rings(call int, at float64) string {
	return message(call, at, "R", "1 INVITE", "SIP/2.0 180 Ringing")
}

func answers(call int, at float64) string {
	return message(call, at, "R", "1 INVITE", "SIP/2.0 200 OK") + message(call, at+.1, "R", "2 BYE", "SIP/2.0 200 OK")
}

func text(call int, event string) string {
	return fmt.Sprintf("{\"event\":%q,\"to\":%q}\n", event, caller(call))
}

func shown(call int, at string) string {
	return fmt.Sprintf("{\"event\":\"shown\",\"to\":%q,\"at\":\"1970-01-01T00:01:%sZ\"}\n", caller(call), at)
}

func TestTell(t *testing.T) {
	for name, c := range map[string]struct{ messages, texts, faults, want string }{
		"a call that rings and is answered": {
			invite(1, 100) + rings(1, 100.002) + answers(1, 100.4), "a greeting\n" + text(1, "shown") + text(1, "receipted"), "",
			"faults=0 flying=3 again=0 receipted=1 twice=0 outside=1 share=100.00 p50=2.0",
		},
		"a fault counts who was under way, and no text near it": {
			invite(1, 100) + rings(1, 100.002) + answers(1, 100.4) + invite(2, 107.9) + rings(2, 107.901) + invite(3, 109.9) + rings(3, 109.901) + answers(3, 110.3),
			text(1, "receipted"), "110.000000000 113.5\n",
			"faults=1 flying=2 again=0 receipted=1 twice=0 outside=2 share=50.00",
		},
		"a call soon after a fault's end is near it": {
			invite(1, 115.4) + rings(1, 115.5) + invite(2, 115.6) + rings(2, 115.8), text(2, "receipted"), "110 113.5\n",
			"outside=1 share=100.00",
		},
		"how soon after 180 texts are shown": {
			invite(1, 100) + rings(1, 100.002) + invite(2, 100) + rings(2, 100.002), shown(1, "40.012") + shown(2, "40.302"), "",
			"soon=50.00 shown50=300.0 shown99=300.0",
		},
		"an INVITE again, a text twice, a 180 that was lost": {
			invite(1, 100) + invite(1, 100.5) + answers(1, 100.9), text(1, "receipted") + text(1, "receipted"), "",
			"again=1 receipted=1 twice=1 outside=1 share=100.00 p50=900.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for i, content := range []string{c.messages, c.texts, c.faults} {
				paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
				if err := os.WriteFile(paths[i], []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if err := tell(&out, 3, paths[0], paths[1], paths[2]); err != nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("got %q, %v, want %q", out.String(), err, c.want)
			}
		})
	}
	var out strings.Builder
	if err := tell(&out, 3, os.DevNull, os.DevNull, os.DevNull); err == nil {
		t.Errorf("of no calls it tells %q", out.String())
	}
}
