package msn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// passports is a nexus and a login server that let everybody in.
type passports struct{}

func (passports) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{}
	header.Set("PassportURLs", "DALogin=login.test/login2.srf")
	header.Set("Authentication-Info", "Passport1.4 da-status=success,from-PP='t=1&p='")
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: header, Body: http.NoBody, Request: r}, nil
}

// scripted runs a login in a bubble against a server that is a function; it gives how the Watch ended. While may follow accounts.
func scripted(t *testing.T, server func(net.Conn), while func(ctx context.Context, follow chan<- sigsync.Follow), put func([]callsign.Change)) error {
	t.Helper()
	c := DefaultConfig()
	c.Address, c.Nexus, c.Logins = "msn.test:1863", "https://nexus.test/", []Login{{buddy, "x"}}
	p, err := New(c, &http.Client{Transport: passports{}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	p.logins[0].dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		all.Go(func() {
			defer theirs.Close()
			server(theirs)
		})
		return ours, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	follow := make(chan sigsync.Follow)
	all.Go(func() { while(ctx, follow) })
	defer cancel()
	return p.logins[0].Watch(ctx, follow, put)
}

// plays writes wire whatever the client says, and ends; or, where it stays, says no more.
func plays(wire string, stays bool) func(net.Conn) {
	return func(c net.Conn) {
		var all sync.WaitGroup
		all.Go(func() { _, _ = io.Copy(io.Discard, c) })
		if _, err := io.WriteString(c, wire); err != nil || !stays {
			_ = c.Close()
		}
		all.Wait()
	}
}

func followsBob(ctx context.Context, follow chan<- sigsync.Follow) {
	select {
	case follow <- sigsync.Follow{Accounts: []string{bob}}:
	case <-ctx.Done():
	}
}

// A session that is cut at any byte ends with an error, leaves nothing running, and what was heard whole is put.
func TestACloseAtEveryByte(t *testing.T) {
	wire := string(sessions(t)[0])
	said := strings.Index(wire, "back at 6")
	for n := range len(wire) + 1 {
		synctest.Test(t, func(t *testing.T) {
			var heard []callsign.Change
			began := time.Now()
			err := scripted(t, plays(wire[:n], false), func(context.Context, chan<- sigsync.Follow) {}, func(c []callsign.Change) { heard = append(heard, c...) })
			if err == nil || errors.Is(err, sigsync.ErrCredentials) || time.Since(began) > 10*time.Second {
				t.Errorf("cut after %d of %d bytes (%.20q): %v after %v", n, len(wire), wire[max(0, n-20):n], err, time.Since(began))
			}
			if len(heard) > 0 {
				t.Errorf("cut after %d bytes: %+v, though nobody is followed", n, heard)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			var heard []callsign.Change
			_ = scripted(t, func(c net.Conn) {
				// The client follows before the connection ends.
				var all sync.WaitGroup
				all.Go(func() { _, _ = io.Copy(io.Discard, c) })
				_, _ = io.WriteString(c, wire[:n])
				time.Sleep(time.Second)
				_ = c.Close()
				all.Wait()
			}, followsBob, func(c []callsign.Change) { heard = append(heard, c...) })
			if whole := n >= said+60; whole != (len(heard) > 0) && (n < said || whole) {
				t.Errorf("after %d bytes, the text's end at %d: heard %+v", n, said, heard)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestHostileServers(t *testing.T) {
	signedIn := "VER 1 MSNP12\r\nCVR 2 1 1 1 x x\r\nUSR 3 TWN S x\r\nUSR 4 OK x 1 0\r\nSYN 5 0 0 1 0\r\nLST N=" + bob + " F=x C=1 3 1\r\nCHG 6 NLN 0\r\n"
	for sentence, test := range map[string]struct{ wire, want string }{
		"an endless line at once":        {strings.Repeat("A", 1<<20), "line longer than"},
		"an endless line later":          {signedIn + strings.Repeat("A ", 1<<20), "line longer than"},
		"commands without end":           {"VER 1 MSNP12\r\n" + strings.Repeat("BPR 0 x\r\n", 1<<16), "CVR"},
		"a huge list":                    {"VER 1 MSNP12\r\nCVR 2 1 1 1 x x\r\nUSR 3 TWN S x\r\nUSR 4 OK x 1 0\r\n" + many(6000), "up to 5000 may be"},
		"a contact on huge lists":        {signedIn + "LST N=x@y C=1 99999999999999999999 1\r\n", "out of range"},
		"a contact without a name":       {signedIn + "LST 11 1\r\n", "the list has"},
		"a huge payload":                 {signedIn + "UBX " + bob + " 99999999999\r\n", "with a length of"},
		"a negative payload":             {signedIn + "UBX " + bob + " -5\r\n", "with a length of"},
		"a payload that doesn't end":     {signedIn + "MSG Hotmail Hotmail 60000\r\nx", "the server said nothing"},
		"no dialect":                     {"VER 1 0\r\n", "and not MSNP12"},
		"a short VER":                    {"VER 1\r\n", "and not MSNP12"},
		"an answer to USR that is none":  {"VER 1 MSNP12\r\nCVR 2 1 1 1 x x\r\nUSR 3\r\nUSR 4\r\n", "it answers USR with"},
		"an endless ticket":              {"VER 1 MSNP12\r\nCVR 2 1 1 1 x x\r\nUSR 3 TWN S " + strings.Repeat("x", maxLine) + "\r\n", "line longer than"},
		"an error in a session":          {signedIn + "600 0\r\n", "error 600"},
		"an error in a sign-in":          {"VER 1 MSNP12\r\n715 2\r\n", "error 715"},
		"no proof of who we are":         {"VER 1 MSNP12\r\nCVR 2 1 1 1 x x\r\nUSR 3 TWN S x\r\n911 4\r\n", "refuses our credentials"},
		"a QNG that is far away":         {signedIn + "QNG 65535\r\n", "nothing for 3m11s"},
		"a QNG that is at once":          {signedIn + "QNG 0\r\n", "nothing for 26s"},
		"a QNG beyond numbers":           {signedIn + "QNG 99999999999999999999999\r\n", "nothing for 56s"},
		"silence":                        {signedIn, "nothing for 56s, to a PNG neither"},
		"silence from the first":         {"", "VER: the connection ended: read pipe: i/o timeout"},
		"bytes":                          {signedIn + "\x00\xff\xfe\r\n", "is no command"},
		"XML bombs":                      {signedIn + strings.Repeat(ubx(bob, "<Data>"+strings.Repeat("<a>", 1300)), 2000), "nothing for 56s"},
		"a change of lists not answered": {strings.Replace(signedIn, "C=1 3 1", "C=1 1 1", 1) + strings.Repeat("BPR 0 x\r\n", 10), "doesn't answer ADC AL"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := scripted(t, plays(test.wire, true), followsBob, func(c []callsign.Change) { t.Errorf("heard %.100v", c) })
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%.300v, want an error with %q", err, test.want)
				}
			})
		})
	}
}

// many is a list of so many contacts.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, "LST N=a%d@x.test C=%d 3 1\r\n", i, i)
	}
	return b.String()
}

// A server that takes nothing from us is left.
func TestAServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := scripted(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			_, _ = r.ReadString('\n')
			time.Sleep(time.Minute)
		}, followsBob, nil)
		if err == nil || time.Since(began) > 2*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// While the store is away the session goes on: it answers, and of each account the newest waits, beyond the session's end.
func TestAPutThatWaitsStallsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := string(sessions(t)[0])
		free, answered := make(chan struct{}), make(chan string, 10)
		var puts [][]callsign.Change
		err := scripted(t, func(c net.Conn) {
			var all sync.WaitGroup
			all.Go(func() {
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.Contains(line, "QRY ") {
						answered <- line
					}
				}
			})
			_, _ = io.WriteString(c, wire)
			for i := range 1000 {
				time.Sleep(20 * time.Millisecond)
				_, _ = io.WriteString(c, ubx(bob, fmt.Sprintf("<Data><PSM>%d</PSM></Data>", i)))
			}
			for len(answered) > 0 {
				<-answered
			}
			_, _ = io.WriteString(c, "CHL 0 1\r\n")
			select {
			case <-answered:
			case <-time.After(time.Second):
				t.Error("a challenge is not answered while the store is away")
			}
			_ = c.Close()
			time.Sleep(time.Second)
			close(free)
			all.Wait()
		}, followsBob, func(c []callsign.Change) {
			<-free
			puts = append(puts, c)
		})
		if err == nil || len(puts) != 2 || len(puts[1]) != 1 || puts[1][0].Text != "999" {
			t.Errorf("%v: put %v, want what came first and the newest", err, puts)
		}
	})
}
