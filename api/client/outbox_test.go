package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ids are the events that an outbox would send, from its first on.
func ids(o *Outbox) (ids []string) {
	for _, e := range o.from(o.first, outboxSize) {
		ids = append(ids, e.ID)
	}
	return ids
}

// A file holds what a model says, whatever is pushed, acknowledged, resumed, and wherever the process ends.
func TestAnOutboxAgainstAModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	o, err := OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []string // not acknowledged
	server := int64(0)
	for step := range 3000 {
		switch rand.IntN(8) {
		case 0, 1, 2:
			var events []Event
			for i := range 1 + rand.IntN(3) {
				events = append(events, Event{ID: fmt.Sprint(step, "-", i), Account: "a", Text: "x"})
				want = append(want, events[i].ID)
			}
			if err := o.append(events); err != nil {
				t.Fatal(err)
			}
		case 3, 4: // the server has taken some, or all
			if !o.known {
				continue
			}
			n := rand.IntN(len(want) + 1)
			server += int64(n)
			want = want[n:]
			if err := o.acked(server); err != nil {
				t.Fatal(err)
			}
		case 5: // a new connection, to a server that has some more than was acknowledged, or was restored
			acked := server
			if n := rand.IntN(len(want) + 1); o.known && rand.IntN(5) > 0 {
				server += int64(n)
				want = want[n:]
			} else if rand.IntN(2) == 0 {
				server = max(0, server-1-int64(rand.IntN(10)))
			} else {
				server += int64(len(want)) + 1 + int64(rand.IntN(10))
			}
			if lost := o.known && server < acked; o.behind(server) != lost {
				t.Fatalf("step %d: a server that has all to %d has lost some: %v, want %v: %d were acknowledged", step, server, !lost, lost, acked)
			}
			next, err := o.resume(server)
			if err != nil || next != server+1 || o.first != next {
				t.Fatalf("step %d: it goes on from %d (its first is %d), %v; want %d", step, next, o.first, err, server+1)
			}
		case 6: // the process ends, perhaps in the middle of a line
			if rand.IntN(2) == 0 {
				_, _ = o.file.WriteString(`{"seq":1,"eve`)
			}
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			if o, err = OpenOutbox(path); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		case 7:
			if err := o.compact(); err != nil {
				t.Fatal(err)
			}
		}
		if got := ids(o); !slices.Equal(got, want) {
			t.Fatalf("step %d: it would send %q, want %q", step, got, want)
		}
	}
}

// While the new numbers can't be written they are nobody's: acknowledgements of them would let go of others after a restart.
func TestNewNumbersThatAreNotKeptAreTriedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "outbox")
	o, err := OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.append([]Event{{ID: "a", Account: "a"}, {ID: "b", Account: "a"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil { // where the new file would be
		t.Fatal(err)
	}
	for range 2 {
		if _, err := o.resume(100); err == nil {
			t.Error("it goes on without having kept its numbers")
		}
	}
	if err := o.append([]Event{{ID: "c", Account: "a"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if next, err := o.resume(100); next != 101 || err != nil {
		t.Errorf("it goes on from %d, %v", next, err)
	}
	if err := o.acked(101); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if o, err = OpenOutbox(path); err != nil || !slices.Equal(ids(o), []string{"b", "c"}) || o.first != 102 {
		t.Errorf("opened again it has %q from %d, %v", ids(o), o.first, err)
	}
}

func TestAnOutboxThatIsNoneIsKeptAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	for _, content := range []string{"x\n", "{}\n", `{"seq":2,"event":{"id":"a"}}` + "\n", `{"first":3}` + "\n" + `{"seq":5,"event":{"id":"a"}}` + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenOutbox(path); err == nil || !strings.Contains(err.Error(), "restore the file") {
			t.Errorf("%q: %v, want an error that says what to do", content, err)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%q became %q", content, now)
		}
	}
}

func TestWhatNoServerWouldTakeIsNotTaken(t *testing.T) {
	o := NewOutbox()
	for sentence, e := range map[string]Event{
		"Account is empty":  {},
		"longer than 512":   {Account: strings.Repeat("a", 513)},
		"control character": {Account: "a\x00"},
		"not UTF-8":         {Account: "\xff"},
		"longer than 2048":  {Account: "a", Text: strings.Repeat("x", 2049)},
		"Text is longer":    {Account: "a", Text: "\xff"},
		"language tag":      {Account: "a", Lang: strings.Repeat("x", 36)},
		"negative":          {Account: "a", Version: -1},
		"without Version":   {Account: "a", Epoch: 1},
	} {
		if err := o.append([]Event{{Account: "good"}, e}); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%+v: %v, want %q", e, err, sentence)
		}
	}
	if got := ids(o); got != nil {
		t.Errorf("of refused pushes %q are kept", got)
	}
	many := make([]Event, outboxSize+1)
	for i := range many {
		many[i].Account = "a"
	}
	if err := o.append(many); !errors.Is(err, ErrFull) {
		t.Errorf("too many: %v, want ErrFull", err)
	}
}
