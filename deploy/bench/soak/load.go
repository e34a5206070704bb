package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callsign-as/callsign/api/client"
)

// serveIM is an IM system that is read: each of its accounts says something new every five minutes.
func serveIM(ctx context.Context, address string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{account}", func(w http.ResponseWriter, r *http.Request) {
		account := r.PathValue("account")
		n, err := strconv.Atoi(strings.TrimPrefix(account, "user"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		version := time.Now().Add(time.Duration(n)*time.Second).Unix() / 300
		_ = json.NewEncoder(w).Encode(map[string]any{"text": fmt.Sprintf("On the road since %d. Call you back at six.", version), "version": version})
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pusher is an IM system that pushes: the accounts of every second callee with a text, one after the other.
type pusher struct {
	o      *options
	client *client.Client
	acked  atomic.Int64

	mu  sync.Mutex
	odd map[string]int // events that were not stored, by status
}

func newPusher(o *options) (p *pusher, err error) {
	p = &pusher{o: o, odd: map[string]int{}}
	p.client, err = client.New(client.Options{URL: o.server, Key: o.key, Source: "https://pushed.example", Result: p.result})
	return p, err
}

func (p *pusher) result(r client.Result) {
	p.acked.Add(1)
	if r.Status != "stored" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.odd[r.Status]++
	}
}

// text is what an account says as its n-th, from 0 on.
func text(n int) string { return fmt.Sprintf("Text %d. Call you back at six.", n) }

func (p *pusher) accounts() int { return (p.o.callees + 1) / 2 }

// run pushes until ctx ends and everything is acknowledged; the first text of each account at once.
func (p *pusher) run(ctx context.Context) (err error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- p.client.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	push := func(n int) error {
		return p.client.Push(client.Event{Account: fmt.Sprint("user", n%p.accounts()*2), Text: text(n / p.accounts()), Version: int64(n/p.accounts()) + 1})
	}
	n := 0
	for ; n < p.accounts(); n++ {
		if err := push(n); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / p.o.pushes))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			if err := push(n); err != nil {
				return err
			}
			n++
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(running, time.Minute)
	defer cancel()
	if err := p.client.Flush(last); err != nil {
		return fmt.Errorf("what was pushed is not acknowledged: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(p.acked.Load()) != n || len(p.odd) > 0 {
		return fmt.Errorf("%d events of %d are acknowledged, not stored %v", p.acked.Load(), n, p.odd)
	}
	return nil
}

// lost is of how many accounts a call would not show what was acknowledged last.
func (p *pusher) lost(ctx context.Context) (n int, err error) {
	pushed := int(p.acked.Load())
	for i := range p.accounts() {
		want := text((pushed - 1 - i) / p.accounts())
		got, err := p.o.wouldShow(ctx, fmt.Sprintf("+86139%08d", p.o.silent+2*i))
		if err != nil {
			return n, err
		}
		if got != want {
			if n == 0 {
				fmt.Printf("a call to account user%d would show %q, acknowledged is %q\n", 2*i, got, want)
			}
			n++
		}
	}
	return n, nil
}

// wouldShow is the text that a call would show now.
func (o *options) wouldShow(ctx context.Context, callee string) (string, error) {
	call, err := json.Marshal(map[string]string{"caller": "+8613800000001", "callee": callee})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.server+"/v1/whatif", bytes.NewReader(call))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+o.admin)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var would struct{ Text string }
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("what a call to %s would show: %s: %s", callee, answer.Status, said)
	}
	return would.Text, json.Unmarshal(said, &would)
}
