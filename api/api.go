// Package api is every door for people and machines: REST and the push websocket; who may pass is decided here, from keys.
// It refuses to know how anything is kept or shown: it sees the store and the intake through interfaces of one to three methods.
// Run owns the HTTP server's goroutines and those of each push connection, and ends them all.
package api

import (
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api/console"
)

// Intake is where pushed and hand-set texts go. Put returns after the commit with a status for each change, in order, or
// when its context ends; its error wraps callsign.ErrUnavailable when none of them was kept.
type Intake interface {
	Put(context.Context, []callsign.Change) ([]callsign.Status, error)
}

// Options is what a Server is made of. The intake fills the first two and Judge, its room Linker, an engine all from Subscribers to Reviews;
// they are apart since no handler needs more than one of them.
type Options struct {
	Config Config

	// Required.
	Intake      Intake
	Importer    Importer
	Subscribers Subscribers
	Directory   Directory
	Accounts    Accounts
	Links       Links
	Calls       Calls
	Eraser      Eraser
	Keys        Keys
	KeyHashes   KeyHashes
	Cursors     Cursors
	Audits      Audits
	Reviews     Reviews
	Judge       Judge
	Linker      Linker
	Policies    Policies
	// PolicyIntake is the intake.
	PolicyIntake   PolicyIntake
	TenantPolicies TenantPolicies
	// OptOuts obeys on this node at once; OptOutRows is the engine.
	OptOuts    OptOuts
	OptOutRows OptOutRows
	Consents   Consents
	// Clean tells what of a text may be shown.
	Clean func(text string) string

	// WhatIf tells what a call would show; nil answers that this node takes no calls.
	WhatIf func(context.Context, WhatIfRequest) (WhatIfResult, error)
	// TestCall places a call through this node and waits until it is over; a TestCallRefusal says that it may not. nil: it places none.
	TestCall func(ctx context.Context, caller, callee callsign.MSISDN) ([]TestCallAnswer, error)
	// Linked hears of each account that is linked, so that its source is asked for what it says; nil: sources that are connected to this
	// node are. It doesn't block.
	Linked func(tenant, network, account string)
	// Networks tells how reading networks goes on this node; nil: it reads none.
	Networks func() []Network
	// Ready tells what doesn't work now; nil is nothing.
	Ready func() []Problem
	// Gatherer is what /metrics shows (nil: the route is off), Metrics is where this room's own series go (nil: nowhere).
	Gatherer prometheus.Gatherer
	Metrics  prometheus.Registerer
	Log      *slog.Logger // nil: nothing is logged
	Version  string       // of this build, as /openapi.json tells it
	// Admin is where Run serves Go's profiles; nil: nowhere.
	Admin net.Listener
}

// Server answers. It does so before its store is open: until then what needs the store is answered with 503.
type Server struct {
	o         Options
	log       *slog.Logger
	keys      *keyring
	push      *hub
	metrics   *metrics
	listeners atomic.Int32 // live streams
	testing   sync.Mutex   // held by the one test call
	tls       *tls.Config  // nil: plain HTTP
	// stopping is closed when Run's context ends.
	stopping chan struct{}
	handler  http.Handler
}

//go:embed asyncapi.json
var asyncAPI []byte

// New makes a Server; it listens when it Runs.
func New(o Options) (*Server, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.Intake == nil || o.Importer == nil || o.Subscribers == nil || o.Directory == nil || o.Accounts == nil || o.Calls == nil || o.Eraser == nil || o.Keys == nil ||
		o.KeyHashes == nil || o.Cursors == nil || o.Audits == nil || o.Reviews == nil || o.Judge == nil || o.Links == nil || o.Linker == nil || o.Policies == nil ||
		o.PolicyIntake == nil || o.TenantPolicies == nil || o.OptOuts == nil || o.OptOutRows == nil || o.Consents == nil || o.Clean == nil {
		return nil, errors.New("api: one of Options.Intake to Options.Clean is missing: all are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: register metrics: %w", err)
	}
	s := &Server{
		o: o, log: o.Log, metrics: m,
		keys:     newKeyring(o.KeyHashes),
		push:     &hub{limit: o.Config.Connections, open: m.connections, sessions: map[sourceID]*session{}, idle: make(chan struct{})},
		stopping: make(chan struct{}),
	}
	if s.tls, err = o.Config.TLS.server(); err != nil {
		return nil, err
	}
	if s.o.Linked == nil {
		s.o.Linked = func(tenant, network, account string) { s.Resync(tenant, network, account) }
	}
	mux := http.NewServeMux()
	rest := newREST(mux, o.Version)
	for _, register := range []func(huma.API){
		s.registerSubscribers, s.registerPerson, s.registerAccounts, s.registerLinks, s.registerImport, s.registerEvents, s.registerCalls, s.registerLive, s.registerTestCalls,
		s.registerKeys, s.registerAudit, s.registerReviews, s.registerPolicies, s.registerOptOuts, s.registerNetworks, s.registerResync, s.registerHealth,
	} {
		register(rest)
	}
	openAPI, err := json.Marshal(rest.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("api: write the OpenAPI document: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", serveDocument("application/openapi+json", openAPI))
	mux.HandleFunc("GET /asyncapi.json", serveDocument("application/json", asyncAPI))
	mux.HandleFunc("GET /v1/push", s.servePush)
	mux.Handle("GET /console/", console.Handler("/console/"))
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusFound))
	if o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	}
	s.handler = s.observe(mux)
	return s, nil
}

// Handler answers every path; Run serves it.
func (s *Server) Handler() http.Handler { return s.handler }

// operators may do all but make keys.
func operators() []callsign.Role { return []callsign.Role{callsign.RoleAdmin, callsign.RoleOperator} }

func serveDocument(contentType string, document []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(document) // the client may be gone
	}
}

// Problem is something that doesn't work now, and what a person can do about it.
type Problem struct {
	Part    string `json:"part" doc:"what it concerns, like store or smpp/a"`
	Problem string `json:"problem"`
	Do      string `json:"do"`
}

type health struct {
	Status   string    `json:"status" enum:"ok,ready,degraded"`
	Problems []Problem `json:"problems,omitempty" nullable:"false"`
}

func (s *Server) registerHealth(api huma.API) {
	huma.Get(api, "/healthz", func(context.Context, *struct{}) (*reply[health], error) {
		return ok(health{Status: "ok"}), nil
	})
	huma.Get(api, "/readyz", s.ready)
	alsoAnswers(api.OpenAPI().Paths["/readyz"].Get.Responses, http.StatusServiceUnavailable)
}

func (s *Server) ready(context.Context, *struct{}) (*reply[health], error) {
	var problems []Problem
	if s.o.Ready != nil {
		problems = s.o.Ready()
	}
	if s.push.draining() {
		problems = append(problems, Problem{"http", "this node is stopping", "send requests to another node"})
	}
	if len(problems) > 0 {
		return &reply[health]{http.StatusServiceUnavailable, health{"degraded", problems}}, nil
	}
	return ok(health{Status: "ready"}), nil
}
