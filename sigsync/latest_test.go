package sigsync

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

func TestASlowStoreIsGivenTheNewestOfEachAccountOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Latest
		said := func(account, text string, at int64) {
			l.Add(callsign.Change{Account: account, Text: text, Stamp: callsign.Stamp{Epoch: callsign.TimedEpoch, Version: at}})
		}
		ends, lost := make(chan struct{}), errors.New("the connection is lost")
		puts, done := make(chan []callsign.Change), make(chan error, 1)
		go func() {
			done <- l.PutWhile(func(changes []callsign.Change) { puts <- changes }, func() error { <-ends; return lost }) // hangs until it is received
		}()
		said("a", "1", 1)
		synctest.Wait() // it is being put
		for at, text := range []string{"2", "3", "4"} {
			said("a", text, int64(2+at))
		}
		said("a", "older, though it comes later", 3)
		said("b", "5", 1)
		if got := <-puts; len(got) != 1 || got[0].Text != "1" {
			t.Errorf("put first: %+v", got)
		}
		got := map[string]string{}
		for _, c := range <-puts {
			got[c.Account] += c.Text
		}
		if len(got) != 2 || got["a"] != "4" || got["b"] != "5" {
			t.Errorf("put then: %v, want the newest of both", got)
		}
		said("a", "6", 6)
		synctest.Wait()
		said("a", "7", 7)
		close(ends)
		synctest.Wait()
		if first, last := <-puts, <-puts; first[0].Text != "6" || len(last) != 1 || last[0].Text != "7" {
			t.Errorf("put around the connection's end: %+v and %+v, want all that was heard", first, last)
		}
		if err := <-done; !errors.Is(err, lost) {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestAPanicOfWhoHearsIsPassedOnWhenAllIsPut(t *testing.T) {
	var l Latest
	var got []callsign.Change
	defer func() {
		if recover() == nil || len(got) != 1 {
			t.Errorf("put: %+v", got)
		}
	}()
	_ = l.PutWhile(func(changes []callsign.Change) { got = changes }, func() error {
		l.Add(callsign.Change{Account: "a"})
		panic("at what a server said")
	})
}

// line is a Connection that counts those who are open.
type line struct {
	ended chan struct{}
	open  *int
}

func (l *line) Done() <-chan struct{} { return l.ended }

func (l *line) Close() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	*l.open--
}

func TestAConnectionIsSharedWhileItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, opened, failing := 0, 0, error(nil)
		s := NewShared(func(ctx context.Context) (*line, error) {
			time.Sleep(time.Second)
			if failing != nil {
				return nil, failing
			}
			open++
			opened++
			return &line{make(chan struct{}), &open}, nil
		})
		use := func() (*line, func()) {
			t.Helper()
			l, release, err := s.Use(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return l, release
		}
		a, releaseA := use()
		b, releaseB := use()
		if a != b || opened != 1 {
			t.Errorf("two at a time have two: %d were opened", opened)
		}
		releaseA()
		if open != 1 {
			t.Error("it was closed while it is used")
		}
		releaseB()
		if open != 0 {
			t.Error("it stays open when nobody uses it")
		}
		c, releaseC := use()
		close(c.ended)
		d, releaseD := use() // the old one is closed before the new one is opened: a port is bound once
		if d == c || opened != 3 || open != 1 {
			t.Errorf("after it ended: %d were opened, %d are open", opened, open)
		}
		releaseD()
		releaseC()
		failing = errors.New("no")
		if _, _, err := s.Use(t.Context()); !errors.Is(err, failing) {
			t.Errorf("what can't be opened: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var other sync.WaitGroup
		other.Go(func() { _, _, _ = s.Use(t.Context()) })
		synctest.Wait() // it opens
		cancel()
		if _, _, err := s.Use(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("whose time ends while another opens: %v", err)
		}
		other.Wait()
	})
}

func TestWhichNoteIsChosen(t *testing.T) {
	for sentence, test := range map[string]struct {
		notes     []Note
		languages []string
		want      Note
	}{
		"none":                           {nil, []string{"zh"}, Note{}},
		"the first language that has":    {[]Note{{"en", "e"}, {"zh", "z"}}, []string{"fr", "zh", "en"}, Note{"zh", "z"}},
		"a region of the language":       {[]Note{{"en", "e"}, {"ZH-hans-CN", "z"}}, []string{"zh"}, Note{"ZH-hans-CN", "z"}},
		"another that begins alike":      {[]Note{{"en", "e"}, {"zha", "z"}}, []string{"zh"}, Note{"en", "e"}},
		"the one in no language":         {[]Note{{"en", "e"}, {"", "n"}}, []string{"zh"}, Note{"", "n"}},
		"the first, of others":           {[]Note{{"en", "e"}, {"fr", "f"}}, nil, Note{"en", "e"}},
		"the first of two in a language": {[]Note{{"zh", "1"}, {"zh", "2"}}, []string{"zh"}, Note{"zh", "1"}},
		"what is no language":            {[]Note{{"<b>", "x"}}, nil, Note{"", "x"}},
	} {
		if got := Choose(test.notes, test.languages); got != test.want {
			t.Errorf("%s: %+v, want %+v", sentence, got, test.want)
		}
	}
}
