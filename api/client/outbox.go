package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ErrFull says that too many events wait for their acknowledgement: push again when some are.
var ErrFull = errors.New("the outbox is full")

// outboxSize bounds the events that wait: they are in memory, also those of a file.
const outboxSize = 100_000

// Outbox keeps events, numbered without gaps, until they are acknowledged.
type Outbox struct {
	mu     sync.Mutex
	file   *os.File // nil: in memory only
	path   string
	past   int           // lines of the file that are not needed any more
	known  bool          // a server was told these numbers: until then they are none
	first  int64         // number of the first event
	events []Event       // first and on
	came   int64         // events, ever
	gone   int64         // of these
	grown  chan struct{} // closed when events come
	shrunk chan struct{} // closed when events go
}

// NewOutbox is one in memory: what wasn't acknowledged is lost with the process.
func NewOutbox() *Outbox {
	return &Outbox{first: 1, grown: make(chan struct{}), shrunk: make(chan struct{})}
}

// entry is a line of an outbox's file: an event with its number, or which is the first that is still needed.
type entry struct {
	Seq   int64  `json:"seq,omitempty"`
	Event *Event `json:"event,omitempty"`
	First int64  `json:"first,omitempty"`
}

// OpenOutbox is one in a file, which is made if it isn't there: Push returns after the disk has the event. One process has
// it open at a time.
func OpenOutbox(path string) (*Outbox, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	o := NewOutbox()
	o.file, o.path = file, path
	if err := o.load(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// load reads the file. A last line without its end was never taken.
func (o *Outbox) load() error {
	lines := bufio.NewReader(o.file)
	var size int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var e entry
		err = json.Unmarshal(line, &e)
		switch {
		case err == nil && e.First > 0:
			o.known = true
			o.dropTo(e.First)
			o.past++
		case err == nil && e.Event != nil && e.Seq == o.first+int64(len(o.events)):
			o.events = append(o.events, *e.Event)
			o.came++
		default:
			return fmt.Errorf("the line at byte %d is none of an outbox: restore the file, or remove it and push everything again", size)
		}
		size += int64(len(line))
	}
	if err := o.file.Truncate(size); err != nil {
		return err
	}
	_, err := o.file.Seek(size, 0)
	return err
}

// dropTo makes first the first event that is kept.
func (o *Outbox) dropTo(first int64) {
	n := max(0, min(first-o.first, int64(len(o.events))))
	clear(o.events[:n])
	o.events = o.events[n:]
	o.past += int(n)
	o.gone += n
	o.first += n
	if len(o.events) == 0 {
		o.first, o.events = max(o.first, first), nil
	}
}

// Close closes the file. What was not acknowledged is there when it is opened again.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

func (o *Outbox) append(events []Event) error {
	events = slices.Clone(events)
	for i := range events {
		e := &events[i]
		if e.ID == "" {
			e.ID = rand.Text()
		}
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("event %d of %d: %w", i+1, len(events), err)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events)+len(events) > outboxSize {
		return ErrFull
	}
	var lines bytes.Buffer
	for i := range events {
		if err := json.NewEncoder(&lines).Encode(entry{Seq: o.first + int64(len(o.events)+i), Event: &events[i]}); err != nil {
			return err
		}
	}
	if err := o.write(lines.Bytes(), true); err != nil {
		return err
	}
	o.events = append(o.events, events...)
	o.came += int64(len(events))
	close(o.grown)
	o.grown = make(chan struct{})
	return nil
}

// write appends to the file, all or nothing.
func (o *Outbox) write(lines []byte, durable bool) error {
	if o.file == nil {
		return nil
	}
	at, err := o.file.Seek(0, 1)
	if err != nil {
		return err
	}
	if _, err = o.file.Write(lines); err == nil && durable {
		err = o.file.Sync()
	}
	if err != nil {
		back := o.file.Truncate(at)
		_, seek := o.file.Seek(at, 0)
		return errors.Join(err, back, seek)
	}
	return nil
}

// behind tells whether a server that has all to upTo has lost events that were acknowledged, and are gone from here.
func (o *Outbox) behind(upTo int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known && upTo+1 < o.first
}

// resume says from which event to send on to a server that has all to upTo. A new outbox, and one that doesn't fit the server, as
// after one of them was restored from a backup, is numbered behind the server's events: some may come twice, and none that is still here is lost.
func (o *Outbox) resume(upTo int64) (next int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next = upTo + 1
	if o.known && next >= o.first && next <= o.first+int64(len(o.events)) {
		return next, o.forget(upTo)
	}
	before, file := o.first, o.file
	o.first = next
	err = o.compact() // before any of the new numbers is acknowledged
	if o.known = err == nil; !o.known && o.file == file {
		o.first = before // as the file has them
	}
	return next, err
}

// acked lets go of all to upTo.
func (o *Outbox) acked(upTo int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forget(upTo)
}

func (o *Outbox) forget(upTo int64) error {
	o.dropTo(upTo + 1)
	close(o.shrunk)
	o.shrunk = make(chan struct{})
	if o.file == nil {
		return nil
	}
	if o.past > outboxSize {
		return o.compact()
	}
	line, err := json.Marshal(entry{First: o.first})
	if err != nil {
		return err
	}
	o.past++
	return o.write(append(line, '\n'), false) // lost, its events are sent again
}

// compact replaces the file by one without what is not needed any more.
func (o *Outbox) compact() error {
	if o.file == nil {
		return nil
	}
	next, err := os.OpenFile(o.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	lines := bufio.NewWriter(next)
	out := json.NewEncoder(lines)
	err = out.Encode(entry{First: o.first})
	for i := 0; i < len(o.events) && err == nil; i++ {
		err = out.Encode(entry{Seq: o.first + int64(i), Event: &o.events[i]})
	}
	if err = errors.Join(err, lines.Flush()); err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(o.path+".new", o.path)
	}
	if err != nil {
		return errors.Join(err, next.Close())
	}
	old := o.file
	o.file, o.past = next, 1
	return errors.Join(old.Close(), syncDirectory(filepath.Dir(o.path)))
}

// syncDirectory makes a new name outlive a loss of power.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// from are at most n events from number first on.
func (o *Outbox) from(first int64, n int) []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := first - o.first
	if i < 0 || i >= int64(len(o.events)) || n <= 0 {
		return nil
	}
	return slices.Clone(o.events[i:min(i+int64(n), int64(len(o.events)))])
}

// grows is closed as soon as another event comes.
func (o *Outbox) grows() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.grown
}

// flushed waits until all that came so far is gone.
func (o *Outbox) flushed(ctx context.Context) error {
	o.mu.Lock()
	all := o.came
	o.mu.Unlock()
	for {
		o.mu.Lock()
		gone, shrunk := o.gone, o.shrunk
		o.mu.Unlock()
		if gone >= all {
			return nil
		}
		select {
		case <-shrunk:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
