package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store/postgres"
	"github.com/callsign-as/callsign/store/storetest"
)

// another is another node's transaction, which the test holds open where a node would be slow.
type another struct {
	t    *testing.T
	conn *pgx.Conn
}

func begin(t *testing.T, url string) *another {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	a := &another{t, conn}
	a.do(`BEGIN`)
	return a
}

func (a *another) do(statement string, args ...any) {
	a.t.Helper()
	if _, err := a.conn.Exec(a.t.Context(), statement, args...); err != nil {
		a.t.Fatal(err)
	}
}

// waits returns when n statements in the database wait for a lock.
func waits(t *testing.T, url string, n int) {
	t.Helper()
	watch := begin(t, url)
	watch.do(`COMMIT`)
	peer.Until(t, "statements to wait for a lock", func() bool {
		var waiting int
		err := watch.conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting >= n
	})
}

var scope = callsign.Scope{Tenant: callsign.DefaultTenant}

func putAll(t *testing.T, e *postgres.Engine, ms ...callsign.MSISDN) {
	t.Helper()
	for _, m := range ms {
		if _, err := e.PutSubscriber(t.Context(), scope, callsign.Subscriber{MSISDN: m}); err != nil {
			t.Fatal(err)
		}
	}
}

func said(network, account, text string, version int64) callsign.Entry {
	return callsign.Entry{Shown: text, Change: callsign.Change{
		Tenant: scope.Tenant, Source: "im", ID: text, Network: network, Account: account, Text: text,
		Stamp: callsign.Stamp{Version: version}, At: time.Now(),
	}}
}

func TestRaces(t *testing.T) {
	server := peer.Postgres(t, false)
	template := migrated(t, server)
	for name, test := range map[string]func(t *testing.T, url string, e *postgres.Engine){
		"an account linked after a batch took its locks keeps the newer text":    linkedMeanwhile,
		"an account linked anew while a batch waits takes its text":              linkedAnew,
		"a source's first batch, sent again through another node, is no news":    firstBatchAgain,
		"a number deleted while it is created goes on above what was told of it": createdWhileDeleted,
		"batches in any order never wait for each other":                         anyOrder,
	} {
		t.Run(name, func(t *testing.T) {
			url := server.Database(template)
			test(t, url, open(t, url))
		})
	}
}

func linkedMeanwhile(t *testing.T, url string, e *postgres.Engine) {
	putAll(t, e, storetest.Person(1), storetest.Person(2))
	holder := begin(t, url)
	holder.do(`SELECT FROM subscribers WHERE msisdn = $1 FOR UPDATE`, storetest.Person(1))
	kept := make(chan []callsign.Status, 1)
	var batch sync.WaitGroup
	t.Cleanup(batch.Wait)
	batch.Go(func() { // it has looked for qq/1 when it waits for the first
		statuses, err := e.Keep(t.Context(), []callsign.Entry{
			said(callsign.ManualNetwork, storetest.Person(1).E164()[1:], "x", 1), said("qq", "1", "old", 1),
		})
		if err != nil {
			t.Error(err)
		}
		kept <- statuses
	})
	waits(t, url, 1)
	if _, err := e.LinkAccount(t.Context(), scope, storetest.Person(2), "qq", "1"); err != nil {
		t.Fatal(err)
	}
	if newer, err := e.Keep(t.Context(), []callsign.Entry{said("qq", "1", "new", 2)}); err != nil || newer[0] != callsign.Stored {
		t.Fatal(newer, err)
	}
	holder.do(`COMMIT`)
	if got := <-kept; len(got) != 2 || got[0] != callsign.Stored || got[1] == callsign.Stored {
		t.Errorf("the batch became %v, want stored, and anything but stored", got)
	}
	if s, err := e.Subscriber(t.Context(), scope, storetest.Person(2)); err != nil || s.Accounts[1].Text != "new" {
		t.Errorf("version 1 was written over version 2: %+v, %v", s.Accounts, err)
	}
}

func linkedAnew(t *testing.T, url string, e *postgres.Engine) {
	putAll(t, e, storetest.Person(1))
	if _, err := e.LinkAccount(t.Context(), scope, storetest.Person(1), "qq", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Keep(t.Context(), []callsign.Entry{said("qq", "1", "before", 9)}); err != nil {
		t.Fatal(err)
	}
	other := begin(t, url)
	other.do(`SELECT FROM subscribers WHERE msisdn = $1 FOR NO KEY UPDATE`, storetest.Person(1))
	kept := make(chan []callsign.Status, 1)
	var batch sync.WaitGroup
	t.Cleanup(batch.Wait)
	batch.Go(func() {
		statuses, err := e.Keep(t.Context(), []callsign.Entry{said("qq", "1", "after", 1)})
		if err != nil {
			t.Error(err)
		}
		kept <- statuses
	})
	waits(t, url, 1)
	for _, table := range []string{"accounts", "signatures"} {
		other.do(`CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM ` + table + ` WHERE network = 'qq'`)
		other.do(`DELETE FROM ` + table + ` WHERE network = 'qq'`)
		if table == "signatures" {
			other.do(`UPDATE copy SET epoch = NULL`)
		}
		other.do(`INSERT INTO ` + table + ` SELECT * FROM copy`)
		other.do(`DROP TABLE copy`)
	}
	other.do(`COMMIT`)
	if got := <-kept; len(got) != 1 || got[0] != callsign.Stored {
		t.Errorf("the batch became %v, want stored: the account had said nothing yet", got)
	}
}

func firstBatchAgain(t *testing.T, url string, e *postgres.Engine) {
	putAll(t, e, storetest.Person(1))
	account := storetest.Person(1).E164()[1:]
	if _, err := e.Keep(t.Context(), []callsign.Entry{said(callsign.ManualNetwork, account, "second", callsign.TimedEpoch)}); err != nil {
		t.Fatal(err)
	}
	other := begin(t, url)
	other.do(`INSERT INTO sources (tenant, source, seq) VALUES ('default', 'im', 2)`)
	kept := make(chan []callsign.Status, 1)
	var batch sync.WaitGroup
	t.Cleanup(batch.Wait)
	batch.Go(func() {
		first := said(callsign.ManualNetwork, account, "first", 0)
		first.Stamp, first.Seq, first.Received = callsign.Stamp{Version: 9}, 1, true
		statuses, err := e.Keep(t.Context(), []callsign.Entry{first})
		if err != nil {
			t.Error(err)
		}
		kept <- statuses
	})
	waits(t, url, 1)
	other.do(`COMMIT`)
	if got := <-kept; len(got) != 1 || got[0] != callsign.Duplicate {
		t.Errorf("an event that another node had committed became %v, want duplicate", got)
	}
}

func createdWhileDeleted(t *testing.T, url string, e *postgres.Engine) {
	putAll(t, e, storetest.Person(1))
	other := begin(t, url)
	other.do(`DELETE FROM subscribers WHERE msisdn = $1`, storetest.Person(1))
	var creation sync.WaitGroup
	t.Cleanup(creation.Wait)
	done := make(chan struct{})
	creation.Go(func() {
		defer close(done)
		putAll(t, e, storetest.Person(1))
	})
	waits(t, url, 1)
	var told uint64
	if err := other.conn.QueryRow(t.Context(), `SELECT nextval('revisions')`).Scan(&told); err != nil {
		t.Fatal(err)
	}
	other.do(`COMMIT`)
	<-done
	if p, err := e.Profile(t.Context(), storetest.Person(1)); err != nil || p.Rev <= told {
		t.Errorf("the new owner's revision is %d, %v; %d was told of the deletion", p.Rev, err, told)
	}
}

func anyOrder(t *testing.T, url string, e *postgres.Engine) {
	const people, batches = 20, 30
	nodes := []*postgres.Engine{e, open(t, url), open(t, url)}
	for i := range people {
		putAll(t, e, storetest.Person(i))
	}
	var running sync.WaitGroup
	for n, node := range nodes {
		running.Go(func() {
			for b := range batches {
				var entries []callsign.Entry
				var rows []callsign.ImportRow
				for i := range people {
					m := storetest.Person((i*(2*n+3) + b) % people)
					en := said(callsign.ManualNetwork, m.E164()[1:], fmt.Sprint(n, b), int64(b))
					entries = append(entries, en)
					rows = append(rows, callsign.ImportRow{MSISDN: m, Signature: callsign.Signature{
						Network: en.Network, Account: en.Account, Text: en.Text, Shown: en.Text, Stamp: en.Stamp, At: en.At,
					}})
				}
				if _, err := node.Keep(t.Context(), entries); err != nil {
					t.Error(err)
				}
				if _, err := node.Import(t.Context(), scope, rows); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	watch := begin(t, url)
	var deadlocks int
	watch.do(`COMMIT`)
	if err := watch.conn.QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks, %v", deadlocks, err)
	}
	for i := range people {
		if p, err := e.Profile(t.Context(), storetest.Person(i)); err != nil || p.Signature.Stamp.Version != batches-1 {
			t.Errorf("%v ends with %+v, %v", storetest.Person(i), p.Signature, err)
		}
	}
}
