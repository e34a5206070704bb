package msn

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Network is what the same tests run against: a Server, or the one that CALLSIGN_TEST_MSN names.
type Network struct {
	Address, Nexus  string
	Login, Password string // of ours
	Account         string // whose text is read
	Server          *Server
	change          string
}

// Named is the network that CALLSIGN_TEST_MSN names, in lines of key=value: address, nexus, account and password of a login of its own,
// contact (whose text is read), and change, a command for sh that gives the contact the text $1. Without it a Server is started.
func Named(t testing.TB, host string) *Network {
	t.Helper()
	given := os.Getenv("CALLSIGN_TEST_MSN")
	if given == "" {
		s, err := Start(host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		n := &Network{s.Address, s.Nexus, "buddy@callsign.test", "pass, word=%", "bob@example.test", s, ""}
		s.User(n.Login, n.Password)
		s.User(n.Account, "")
		return n
	}
	n := &Network{}
	fields := map[string]*string{"address": &n.Address, "nexus": &n.Nexus, "account": &n.Login, "password": &n.Password, "contact": &n.Account, "change": &n.change}
	for lines := bufio.NewScanner(strings.NewReader(given)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		if fields[key] != nil {
			*fields[key] = value
		}
	}
	for key, value := range fields {
		if *value == "" {
			t.Fatalf("CALLSIGN_TEST_MSN has no line %s=…", key)
		}
	}
	return n
}

// Says changes the contact's text.
func (n *Network) Says(t testing.TB, text string) {
	t.Helper()
	if n.Server != nil {
		n.Server.Says(n.Account, text)
		return
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", n.change, "sh", text).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", n.change, err, out)
	}
}
