package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// source is an IM system with accounts of its own.
type source struct {
	network, key string
	first        int     // MSISDN of its first account
	versions     []int64 // that each account has said
	seq          int64   // the last event that was acknowledged
}

func (s *source) account(a int) string { return "user" + strconv.Itoa(a) }

// pick is a batch of accounts, none twice.
func (s *source) pick(n int) []int {
	seen := make(map[int]bool, n)
	batch := make([]int, 0, n)
	for len(batch) < min(n, len(s.versions)) {
		if a := rand.IntN(len(s.versions)); !seen[a] {
			seen[a] = true
			batch = append(batch, a)
		}
	}
	return batch
}

// frame is an events frame that says something new of each account.
func (s *source) frame(first int64, batch []int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"op":"events","batch":"b","seq":[%d,%d],"events":[`, first, first+int64(len(batch))-1)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for i, a := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		s.versions[a]++
		fmt.Fprintf(&b, `{"specversion":"1.0","type":"im.callsign.signature.changed","source":%q,"id":"e%d","subject":"user%d","time":%q,"accountversion":%d,"data":{"text":%q}}`,
			s.network, first+int64(i), a, now, s.versions[a], text)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func (o *options) dial(key string) (*websocket.Conn, hello, error) {
	d := websocket.Dialer{Subprotocols: []string{"callsign.v1"}, ReadBufferSize: 1024, WriteBufferSize: 1024}
	conn, answer, err := d.Dial("ws"+strings.TrimPrefix(o.server, "http")+"/v1/push", http.Header{"Authorization": {"Bearer " + key}})
	if err != nil {
		if answer != nil {
			err = fmt.Errorf("%w: %s", err, answer.Status)
		}
		return nil, hello{}, err
	}
	var h hello
	err = conn.ReadJSON(&h)
	return conn, h, err
}

type hello struct {
	ResumeFrom int64 `json:"resume_from"`
	Credit     int64 `json:"credit"`
	MaxBatch   int   `json:"max_batch"`
}

// push lets all sources push for a round, as fast as the credit lets them (rate 0) or so many events a second together.
func (o *options) push(ctx context.Context, list []*source, rate float64) (acked float64, waits []time.Duration, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	var total atomic.Int64
	began := time.Now()
	until := began.Add(time.Duration(o.seconds * float64(time.Second)))
	for _, s := range list {
		group.Go(func() {
			w, failed := o.pushOne(ctx, s, rate/float64(len(list)), until, &total)
			mu.Lock()
			defer mu.Unlock()
			waits, err = append(waits, w...), errors.Join(err, failed)
		})
	}
	group.Wait()
	return float64(total.Load()) / time.Since(began).Seconds(), waits, err
}

// pushOne pushes until then, and waits for every acknowledgement.
func (o *options) pushOne(ctx context.Context, s *source, rate float64, until time.Time, total *atomic.Int64) (waits []time.Duration, err error) {
	conn, h, err := o.dial(s.key)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if h.ResumeFrom != s.seq || h.MaxBatch < o.batch {
		return nil, fmt.Errorf("hello says %+v, want resume_from %d and max_batch %d", h, s.seq, o.batch)
	}
	type sent struct {
		last int64
		at   time.Time
	}
	under := make(chan sent, h.Credit)
	room := make(chan struct{}, int(h.Credit)/o.batch) // batches that the credit allows
	written := make(chan error, 1)
	go func() {
		defer close(under)
		next, begin := s.seq+1, time.Now()
		for n := 0; time.Now().Before(until) && ctx.Err() == nil; n++ {
			if rate > 0 {
				time.Sleep(time.Until(begin.Add(time.Duration(float64(n*o.batch) / rate * float64(time.Second)))))
			}
			room <- struct{}{}
			frame := s.frame(next, s.pick(o.batch))
			next += int64(o.batch)
			under <- sent{next - 1, time.Now()}
			if err := conn.WriteMessage(websocket.TextMessage, frame); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for b := range under {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(data, []byte(`{"op":"ack"`)) || !bytes.Contains(data, []byte(`"up_to":`+strconv.FormatInt(b.last, 10)+`,`)) ||
			bytes.Count(data, []byte(`"stored"`)) != o.batch {
			return nil, fmt.Errorf("%s: got %.200s, want an ack of %d events stored, up to %d", s.network, data, o.batch, b.last)
		}
		waits = append(waits, time.Since(b.at))
		s.seq = b.last
		total.Add(int64(o.batch))
		<-room
	}
	return waits, <-written
}

// shown is how long it takes from sending a lone event until a call would show it.
func (o *options) shown(s *source) (took []time.Duration, err error) {
	conn, _, err := o.dial(s.key)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	call := map[string]string{"caller": "+8613800000001", "callee": fmt.Sprint("+", s.first)}
	for i := range 200 {
		s.versions[0]++
		s.seq++
		said := fmt.Sprint("text ", i)
		frame := fmt.Appendf(nil, `{"op":"events","seq":[%d,%d],"events":[{"specversion":"1.0","type":"im.callsign.signature.changed","source":"x","id":"s%d","subject":"user0","time":%q,"accountversion":%d,"data":{"text":%q}}]}`,
			s.seq, s.seq, i, time.Now().UTC().Format(time.RFC3339Nano), s.versions[0], said)
		began := time.Now()
		if err := conn.WriteMessage(websocket.TextMessage, frame); err != nil {
			return nil, err
		}
		for {
			var would struct {
				Text    string
				Reasons []string
			}
			if err := o.ask(http.MethodPost, "/v1/whatif", call, &would); err != nil {
				return nil, err
			}
			if would.Text == said {
				break
			}
			if time.Since(began) > 10*time.Second {
				return nil, fmt.Errorf("a call shows %q after 10 s, not %q: %v", would.Text, said, would.Reasons)
			}
		}
		took = append(took, time.Since(began))
		if _, _, err := conn.ReadMessage(); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// idling is what connections cost that do nothing but answer pings.
func (o *options) idling() error {
	keys := make([]string, o.idle)
	var group sync.WaitGroup
	failed := make(chan error, 16)
	for part := range cap(failed) {
		group.Go(func() {
			for i := part; i < len(keys); i += cap(failed) {
				key, err := o.newKey("idle", fmt.Sprint(i))
				if err != nil {
					failed <- err
					return
				}
				keys[i] = key
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	time.Sleep(5 * time.Second) // what making them took is given back
	before, err := resident(o.pid)
	if err != nil {
		return err
	}
	for _, key := range keys {
		conn, _, err := o.dial(key)
		if err != nil {
			return err
		}
		defer conn.Close()
		go func() { _, _, _ = conn.ReadMessage() }()
	}
	time.Sleep(5 * time.Second)
	after, err := resident(o.pid)
	if err != nil {
		return err
	}
	fmt.Printf("%-44s %.1f KB each of %d, %d MB before\n", "an idle connection", float64(after-before)/float64(len(keys)), len(keys), before/1024)
	return nil
}

// resident is a process's memory in KB.
func resident(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, errors.New("the node has no VmRSS: is its pid right?")
}
