package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// stalled is a reader of logs that reads nothing until it is released.
type stalled struct {
	release chan struct{}
	mu      sync.Mutex
	got     bytes.Buffer
}

func (s *stalled) Write(b []byte) (int, error) {
	<-s.release
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(b)
}

func TestALogThatNobodyReadsStallsNobody(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		to := &stalled{release: make(chan struct{})}
		config := LogConfig{Level: "info", Format: format}
		q, err := newLogQueue(to, config)
		if err != nil {
			t.Fatal(err)
		}
		log, err := newLog(q, config)
		if err != nil {
			t.Fatal(err)
		}
		const n = 3 * logLines
		for i := range n {
			log.Info("a line", "n", i) // returns, or the test never ends
		}
		close(to.release)
		q.flush()
		got := to.got.String()
		if lines := strings.Count(got, "a line"); lines < logLines || lines > logLines+1 {
			t.Errorf("%s: %d lines were kept, want the first %d", format, lines, logLines)
		}
		dropped := n - strings.Count(got, "a line")
		if want := fmt.Sprint(dropped); !strings.Contains(got, "lines="+want) && !strings.Contains(got, `"lines":`+want) {
			t.Errorf("%s: %s lines were dropped, which nobody says", format, want)
		}
	}
}

func TestALogThatIsNeverReadDelaysNoExit(t *testing.T) {
	q, err := newLogQueue(&stalled{release: make(chan struct{})}, LogConfig{Level: "info", Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * logLines {
		_, _ = q.Write([]byte("x\n"))
	}
	q.flush() // returns, or the test never ends
}
