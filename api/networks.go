package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Network is how reading a network goes on this node. Times are zero for never.
type Network struct {
	Network   string        `json:"network"`
	Connector string        `json:"connector"`
	Parts     int           `json:"parts" doc:"of its accounts that this node reads; all nodes together have all"`
	OfParts   int           `json:"of_parts"`
	Interval  time.Duration `json:"-"`
	Lag       time.Duration `json:"-"`
	Read      time.Time     `json:"read_at,omitzero" doc:"when something was read last"`
	Failing   string        `json:"failing,omitempty" doc:"why nothing was read since; absent: it works"`
	Resting   time.Time     `json:"resting_until,omitzero" doc:"until when nothing is asked; absent: it is"`
	Watching  bool          `json:"watching,omitempty" doc:"its connection for changes stands"`
}

// network is a Network in JSON; sources that push are told of networks that nobody reads, too.
type network struct {
	Network
	Interval float64      `json:"interval_seconds,omitempty" doc:"within which each account is to be read"`
	Lag      float64      `json:"lag_seconds,omitempty" doc:"how late those are that are to be read now"`
	Sources  []pushSource `json:"sources,omitempty" nullable:"false" doc:"sources that are connected to this node and push"`
}

// pushSource is one that is connected.
type pushSource struct {
	Source  string `json:"source,omitempty" doc:"its name, where the network has several"`
	KeyID   string `json:"key_id"`
	Durable int64  `json:"durable" doc:"the last event that was acknowledged"`
	Taken   int64  `json:"taken" doc:"the last event that came"`
}

// ofNode is what this node knows.
type ofNode struct {
	Items []network `json:"items" nullable:"false" doc:"of this node: ask each one"`
}

func (s *Server) registerNetworks(api huma.API) {
	route(s, api, "GET /v1/networks", "How reading each network goes on this node, and who pushes to it", 0, operators(), s.listNetworks)
}

func (s *Server) listNetworks(_ context.Context, scope callsign.Scope, _ *struct{}) (*reply[ofNode], error) {
	byName := map[string]*network{}
	if s.o.Networks != nil {
		for _, n := range s.o.Networks() {
			byName[n.Network] = &network{Network: n, Interval: n.Interval.Seconds(), Lag: n.Lag.Seconds()}
		}
	}
	s.push.each(func(one *session) {
		if one.source.tenant != scope.Tenant {
			return
		}
		name := one.key.Scope.Network
		if byName[name] == nil {
			byName[name] = &network{Network: Network{Network: name, Connector: "push"}}
		}
		durable, taken := one.ledger.at()
		byName[name].Sources = append(byName[name].Sources, pushSource{one.key.Scope.Source, one.key.ID, durable, taken})
	})
	out := ofNode{Items: []network{}}
	for _, n := range byName {
		slices.SortFunc(n.Sources, func(a, b pushSource) int { return cmp.Compare(a.Source, b.Source) })
		out.Items = append(out.Items, *n)
	}
	slices.SortFunc(out.Items, func(a, b network) int { return cmp.Compare(a.Network.Network, b.Network.Network) })
	return ok(out), nil
}
