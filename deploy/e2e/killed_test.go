package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign/api/client"
	"github.com/callsign-as/callsign/deploy/peer"
)

// sized is a number that the environment may raise for a longer run than deploy/test.sh has time for.
func sized(t *testing.T, name string, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv(name))
	if os.Getenv(name) == "" {
		return usual
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// imSystem is a source with its accounts: what it has said of each is known, so that the store can be asked for the same.
type imSystem struct {
	n       *node // that it pushes to
	number  int
	network string
	key     string
	pushed  int
	newest  []int64 // version of each account
	odd     atomic.Pointer[string]
	client  *client.Client
}

const accountsOfOne = 100

// newIMSystem makes a source with its key, and subscribers that its accounts are linked to; answered counts its results.
func newIMSystem(n *node, number int, answered *atomic.Int64) *imSystem {
	n.t.Helper()
	s := &imSystem{n: n, number: number, network: fmt.Sprint("im", number), newest: make([]int64, accountsOfOne)}
	s.key = strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", s.network))
	var rows []string
	for a := range accountsOfOne {
		rows = append(rows, fmt.Sprintf(`{"msisdn":%q,"network":%q,"account":"user%d"}`, s.msisdn(a), s.network, a))
	}
	n.do(http.MethodPost, "/v1/import", `{"rows":[`+strings.Join(rows, ",")+`]}`, nil)
	outbox, err := client.OpenOutbox(n.t.TempDir() + "/outbox")
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = outbox.Close() })
	s.client, err = client.New(client.Options{
		URL: "http://" + n.http, Key: s.key, Source: s.network, Outbox: outbox,
		Result: func(r client.Result) {
			answered.Add(1)
			if r.Status != "stored" && r.Status != "stale" && r.Status != "duplicate" {
				odd := r.ID + " is " + r.Status
				s.odd.Store(&odd)
			}
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

func (s *imSystem) msisdn(account int) string {
	return fmt.Sprintf("+8613800%d%03d", s.number, account)
}

// kept holds the store to what was said.
func (s *imSystem) kept() {
	t := s.n.t
	t.Helper()
	if odd := s.odd.Load(); odd != nil {
		t.Errorf("%s: %s", s.network, *odd)
	}
	if _, from := s.n.dial(s.key); from != int64(s.pushed) {
		t.Errorf("%s: resume_from is %d, want %d", s.network, from, s.pushed)
	}
	for a, version := range s.newest {
		want := ""
		if version > 0 {
			want = fmt.Sprintf("%s user%d version %d", s.network, a, version)
		}
		var got struct {
			Accounts []struct{ Network, Text string } `json:"accounts"`
		}
		s.n.do(http.MethodGet, "/v1/subscribers/"+s.msisdn(a), "", &got)
		for _, account := range got.Accounts {
			if account.Network == s.network && account.Text != want {
				t.Errorf("%s: user%d says %q, want %q", s.network, a, account.Text, want)
			}
		}
	}
}

// push pushes n events, one in ten of them older than what its account has said.
func (s *imSystem) push(t *testing.T, n int) {
	for range n {
		account := rand.IntN(accountsOfOne)
		version := s.newest[account] + 1
		if rand.IntN(10) == 0 && version > 1 {
			version = 1 + rand.Int64N(version-1)
		}
		s.newest[account] = max(s.newest[account], version)
		s.pushed++
		e := client.Event{
			ID: fmt.Sprint("e", s.pushed), Account: fmt.Sprint("user", account), Version: version,
			Text: fmt.Sprintf("%s user%d version %d", s.network, account, version),
		}
		for {
			err := s.client.Push(e)
			if err == nil {
				break
			}
			if t.Context().Err() != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // the outbox is full: the node is dead just now
		}
	}
}

// 8 sources push while the node is killed again and again, and the database with it at times.
func TestNothingAcknowledgedIsLostHoweverOftenTheNodeIsKilled(t *testing.T) {
	t.Parallel()
	const sources = 8
	events, kills := sized(t, "CALLSIGN_TEST_EVENTS", 24_000), sized(t, "CALLSIGN_TEST_KILLS", 4)
	database := peer.Postgres(t, true)
	n := serve(t, on(database.Database("")))
	var systems [sources]*imSystem
	var answered atomic.Int64
	for i := range systems {
		systems[i] = newIMSystem(n, i, &answered)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended, pushed := make(chan error, sources), make(chan struct{}, sources)
	for _, s := range systems {
		go func() { ended <- s.client.Run(ctx) }()
		go func() {
			s.push(t, events/sources)
			pushed <- struct{}{}
		}()
	}
	for k := range kills {
		due := int64(events) * int64(k+1) / int64(kills+2) // answers whose loss was the kill's are told by nobody
		n.until(fmt.Sprint(due, " answers"), func() bool { return answered.Load() >= due })
		n.process.Kill()
		if k%3 == 2 {
			database.Kill()
			database.Start()
		}
		n.start()
	}
	for range systems {
		<-pushed
	}
	for _, s := range systems {
		within, cancel := context.WithTimeout(ctx, 5*time.Minute)
		if err := s.client.Flush(within); err != nil {
			t.Fatalf("%s: %v", s.network, err)
		}
		cancel()
	}
	stop()
	for range systems {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for _, s := range systems {
		s.kept()
	}
	t.Logf("%d events of %d sources, %d kills: %d answers came, the rest by resume_from", events, sources, kills, answered.Load())
}
