package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

func newLog(w io.Writer, c LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level is %q: use debug, info, warn or error", c.Level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch c.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("log.format is %q: use text or json", c.Format)
}

// logQueue stands between those who log and who reads it, for a reader that stalls must not stall a call. When 4096 lines
// wait, more are dropped, and how many is said once there is room.
type logQueue struct {
	lines   chan []byte
	dropped atomic.Int64
	done    chan struct{}
}

const (
	logLines = 4096
	logFlush = time.Second // what is left for writing at the end
)

func newLogQueue(to io.Writer, c LogConfig) (*logQueue, error) {
	direct, err := newLog(to, c)
	if err != nil {
		return nil, err
	}
	q := &logQueue{lines: make(chan []byte, logLines), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for line := range q.lines {
			if line == nil {
				return
			}
			_, _ = to.Write(line)
			if n := q.dropped.Swap(0); n > 0 {
				direct.Warn("log lines were dropped because they were not read in time", "lines", n)
			}
		}
	}()
	return q, nil
}

// Write never blocks.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- bytes.Clone(line):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// flush ends the queue once what waits is written, or the reader had its time. What is logged later is lost.
func (q *logQueue) flush() {
	late := time.After(logFlush)
	select {
	case q.lines <- nil:
	case <-late:
		return
	}
	select {
	case <-q.done:
	case <-late:
	}
}
