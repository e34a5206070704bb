package sipas

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/relay"
)

const (
	alice = callsign.MSISDN(8613800000001)
	bob   = callsign.MSISDN(8613900000002)
)

var invite = strings.ReplaceAll(`INVITE sip:+8613900000002@ims.test SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:6060;branch=z9hG4bK1
From: <sip:+8613800000001@ims.test>;tag=f1
To: <tel:+8613900000002>
Call-ID: c1@ims.test
CSeq: 1 INVITE
P-Asserted-Identity: <tel:+8613800000001>
Content-Length: 0

`, "\n", "\r\n")

// rooms are the fakes of the rooms beside this one.
type rooms struct {
	mu         sync.Mutex
	known      bool // memory knows the callee
	profile    callsign.Profile
	lookup     func(context.Context) error
	claims     []callsign.Delivery
	refusal    string
	claimErr   error
	deliver    func(context.Context) callsign.Outcome
	deliveries []callsign.Delivery
	settled    []callsign.OutcomeState
	lines      []string
	events     []callsign.Event
	told       int // events of the relay
}

func (r *rooms) Peek(m callsign.MSISDN) (callsign.Profile, bool, bool) {
	return r.profile, r.profile.MSISDN == m, r.known
}

func (r *rooms) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	if r.lookup != nil {
		if err := r.lookup(ctx); err != nil {
			return callsign.Profile{}, err
		}
	}
	if r.profile.MSISDN != m {
		return callsign.Profile{}, callsign.ErrNotFound
	}
	return r.profile, nil
}

func (r *rooms) Claim(_ context.Context, d callsign.Delivery) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims = append(r.claims, d)
	return r.refusal, r.claimErr
}

func (r *rooms) Settle(_ context.Context, _ callsign.Delivery, o callsign.Outcome) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = append(r.settled, o.State)
	return nil
}

func (r *rooms) Deliver(ctx context.Context, d callsign.Delivery) callsign.Outcome {
	r.mu.Lock()
	r.deliveries = append(r.deliveries, d)
	r.mu.Unlock()
	if r.deliver != nil {
		return r.deliver(ctx)
	}
	return callsign.Outcome{State: callsign.Accepted}
}

func (r *rooms) Record(e callsign.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := string(e.Kind)
	if e.Reason != "" {
		line += ": " + e.Reason
	}
	r.lines, r.events = append(r.lines, line), append(r.events, e)
}

// step is an event, a pause, or both.
type step struct {
	event relay.Event
	after time.Duration
}

func status(code uint16) step { return step{event: relay.Event{Status: code}} }

var (
	invited   = step{event: relay.Event{Invite: []byte(invite)}}
	cancelled = step{event: relay.Event{Cancel: true}}
)

// roaming is the same call, as it goes on to a visited network.
var roaming = step{event: relay.Event{Invite: []byte(strings.Replace(invite, "sip:+8613900000002@ims.test", "tel:+8613444000001", 1))}}

var private = step{event: relay.Event{Invite: []byte(strings.Replace(invite, "Content-Length", "Privacy: id\r\nContent-Length", 1))}}

func pause(d time.Duration) step { return step{after: d} }

// play runs steps of one branch through a worker in a bubble of time and returns what the rooms saw. What the worker wants to
// hear no more of isn't told.
func play(t *testing.T, r *rooms, config Config, steps ...step) (delivered []string, metrics *metrics) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hushed := map[callsign.BranchKey]bool{}
		hush := func(b callsign.BranchKey) {
			if hushed[b] {
				t.Error("hushed twice")
			}
			hushed[b] = true
		}
		ws, err := New(Options{Config: config, Profiles: r, Claims: r, Bridge: r, Recorder: r, Hush: hush, Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		metrics = ws.metrics
		ctx, cancel := context.WithCancel(t.Context())
		events, done := make(chan relay.Event), make(chan error, 1)
		go func() { done <- ws.Run(ctx, events) }()
		for _, s := range steps {
			if s.after != 0 {
				time.Sleep(s.after)
				continue
			}
			e := s.event
			if e.Branch == (callsign.BranchKey{}) {
				e.Branch = callsign.BranchKey{1}
			}
			e.At, e.Peer = time.Now(), netip.MustParseAddrPort("127.0.0.1:6060")
			if !hushed[e.Branch] {
				r.told++
				events <- e
			}
			synctest.Wait()
		}
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for _, d := range r.deliveries {
		delivered = append(delivered, fmt.Sprintf("%s to %s", d.Text, d.Call.Caller.E164()))
	}
	return delivered, metrics
}

func subscriber() *rooms {
	return &rooms{known: true, profile: callsign.Profile{MSISDN: bob, Tenant: "default", Signature: callsign.Signature{Shown: "On the road", Origin: "im/1"}}}
}

func config(change func(*Config)) Config {
	c := DefaultConfig()
	c.CallerRanges = []string{"+86138"}
	if change != nil {
		change(&c)
	}
	return c
}

func TestWhenATextIsSent(t *testing.T) {
	const text = "On the road to +8613800000001"
	for _, c := range []struct {
		name   string
		config func(*Config)
		steps  []step
		want   []string
	}{
		{"at 180", nil, []step{invited, status(100), status(180)}, []string{text}},
		{"not before 180", nil, []step{invited, status(100), status(183), pause(5 * time.Second)}, nil},
		{"once, however often it rings", nil, []step{invited, status(180), status(180), status(183), status(180)}, []string{text}},
		{"once, however often the INVITE comes", nil, []step{invited, invited, status(180), invited, pause(10 * time.Second), invited, status(180)}, []string{text}},
		{"a 180 before its INVITE", nil, []step{status(180), invited}, []string{text}},
		{"a 180 after 183", nil, []step{invited, status(183), pause(time.Second), status(180), pause(20 * time.Second)}, []string{text}},
		{"183 and no 180, after six seconds", nil, []step{invited, status(183), pause(7 * time.Second)}, []string{text}},
		{"183 and no 180, with a window that is shorter", func(c *Config) { c.Window = 5 * time.Second }, []step{invited, status(183), pause(7 * time.Second)}, []string{text}},
		{"183 retransmitted and no 180, once", nil, []step{invited, status(183), status(183), pause(20 * time.Second)}, []string{text}},
		{"181, 182 and 199 are no ringing", nil, []step{invited, status(181), status(182), status(199), pause(20 * time.Second)}, nil},
		{"early 200: answered before it rang", nil, []step{invited, status(200)}, nil},
		{"a 200 before its INVITE", nil, []step{status(180), status(200), invited}, nil},
		{"cancelled before 180", nil, []step{invited, cancelled, status(180)}, nil},
		{"cancelled before its INVITE is known", nil, []step{cancelled, invited, status(180)}, nil},
		{"busy", nil, []step{invited, status(486)}, nil},
		{"183, cancelled, and time passes", nil, []step{invited, status(183), cancelled, pause(time.Minute)}, nil},
		{"at INVITE", func(c *Config) { c.At = "invite" }, []step{invited}, []string{text}},
		{"at answer", func(c *Config) { c.At = "answer" }, []step{invited, status(180), pause(time.Second), status(200)}, []string{text}},
		{"at answer, until the window is over", func(c *Config) { c.At, c.Until = "answer", "window" }, []step{invited, status(180), pause(time.Second), status(200)}, []string{text}},
		{"at answer, not at ringing", func(c *Config) { c.At = "answer" }, []step{invited, status(180), pause(time.Minute)}, nil},
		{"a visited network's number, and To was dialled", func(c *Config) { c.MSRNRanges = []string{"+8613444"} }, []step{roaming, status(180)}, []string{text}},
		{"to a caller who wants to stay unknown", nil, []step{private, status(180)}, []string{text}},
		{"a set-up that was forgotten", nil, []step{invited, pause(liveFor + time.Second), status(180)}, nil},
		{"a set-up that rings late", nil, []step{invited, pause(liveFor - 10*time.Second), status(180)}, []string{text}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := play(t, subscriber(), config(c.config), c.steps...); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoMoreIsToldThanIsOfUse(t *testing.T) {
	call := []step{invited, status(180), status(180), status(200), invited, status(200)}
	for name, c := range map[string]struct {
		rooms func(r *rooms)
		steps []step
		want  int
	}{
		"a callee who is no subscriber":            {func(r *rooms) { r.profile.MSISDN = 0 }, call, 1},
		"a callee who has no text":                 {func(r *rooms) { r.profile.Signature.Shown = "" }, call, 1},
		"a call that may be shown a text, its end": {func(*rooms) {}, call, 4},
		"one whose answer came first":              {func(r *rooms) { r.profile.MSISDN = 0 }, []step{status(180), invited, status(200)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			c.rooms(r)
			if play(t, r, config(nil), c.steps...); r.told != c.want {
				t.Errorf("%d events were told, want %d", r.told, c.want)
			}
		})
	}
}

func TestEveryLineOfAPrivateCallSaysSo(t *testing.T) {
	r := subscriber()
	play(t, r, config(nil), private, status(180), status(200))
	if len(r.events) < 4 {
		t.Fatalf("only %q", r.lines)
	}
	for _, e := range r.events {
		if kept := e.Kept(); !e.Call.Private || kept.Call.Caller != 0 || kept.Call.Callee != bob {
			t.Errorf("%s: %+v would be kept", e.Kind, kept.Call)
		}
	}
}

func TestWhyNothingIsSent(t *testing.T) {
	with := func(header string) step {
		return step{event: relay.Event{Invite: []byte(strings.Replace(invite, "Content-Length", header+"\r\nContent-Length", 1))}}
	}
	edit := func(old, with string) step {
		return step{event: relay.Event{Invite: []byte(strings.Replace(invite, old, with, 1))}}
	}
	for _, c := range []struct {
		name   string
		rooms  func(*rooms)
		config func(*Config)
		invite step
		want   string
	}{
		{"the callee is none of ours", func(r *rooms) { r.profile.MSISDN = 86 }, nil, invited, NoSubscriber},
		{"no number is called", nil, nil, edit("sip:+8613900000002@", "sip:bob@"), NoCallee},
		{"the subscriber has no text", func(r *rooms) { r.profile.Signature.Shown = "" }, nil, invited, NoText},
		{"the text has expired", func(r *rooms) { r.profile.Signature.Expires = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }, nil, invited, NoText},
		{"the caller is out of range", nil, func(c *Config) { c.CallerRanges = []string{"+1"} }, invited, CallerOutOfRange},
		{"no range is configured", nil, func(c *Config) { c.CallerRanges = nil }, invited, CallerOutOfRange},
		{"the caller is unknown", nil, nil, edit("P-Asserted-Identity", "X"), NoCaller},
		{"subscribers call themselves", nil, nil, edit("<tel:+8613800000001>", "<tel:+8613900000002>"), OwnNumber},
		{"the caller's is a fixed line", nil, func(c *Config) { c.CallerRanges = []string{"any"} }, edit("<tel:+8613800000001>", "<tel:+861062345678>"), FixedLine},
		{"a visited network's number, and To names nobody", nil, func(c *Config) { c.MSRNRanges = []string{"+86139"} }, edit("To: <tel:+8613900000002>", "To: <sip:bob@ims.test>"), NoCallee},
		{"an emergency", nil, nil, with("Priority: emergency"), "emergency"},
		{"a diverted call", nil, nil, with("Diversion: <tel:+8613700000003>"), "diverted"},
		{"an INVITE that can't be read", nil, nil, edit("Call-ID", "X"), Unreadable},
		{"the store has never answered", func(r *rooms) {
			r.known, r.lookup = false, func(context.Context) error { return callsign.ErrUnavailable }
		}, nil, invited, Unavailable},
		{"the store hangs", func(r *rooms) {
			r.known, r.lookup = false, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		}, nil, invited, Unavailable},
		{"the store says it is none of ours", func(r *rooms) { r.known, r.profile.MSISDN = false, 86 }, nil, invited, NoSubscriber},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := subscriber()
			if c.rooms != nil {
				c.rooms(r)
			}
			got, metrics := play(t, r, config(c.config), c.invite, status(180), pause(5*time.Second))
			if got != nil {
				t.Errorf("sent %q", got)
			}
			if n := testutil.ToFloat64(metrics.calls.WithLabelValues(c.want)); n != 1 {
				t.Errorf("%s was counted %v times, want once", c.want, n)
			}
			unserved := []string{NoSubscriber, NoCallee, NoText, Unavailable, Unreadable}
			if got, want := len(r.lines) > 0, !slices.Contains(unserved, c.want); got != want {
				t.Errorf("a timeline is kept: %v, want %v: %q", got, want, r.lines)
			}
		})
	}
}

func TestACallThatHasNothingToShowLeavesNoTimelineWhoeverRefusedIt(t *testing.T) {
	policy, err := callsign.Policy{}.Compile(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		invite step
		config func(*Config)
		want   string
	}{
		"an emergency": {step{event: relay.Event{Invite: []byte(strings.Replace(invite, "Content-Length", "Resource-Priority: esnet.0\r\nContent-Length", 1))}}, nil, "priority"},
		"out of range": {invited, func(c *Config) { c.CallerRanges = []string{"+1"} }, CallerOutOfRange},
	} {
		r := subscriber()
		r.profile.Signature.Shown, r.profile.Policy = "", policy
		_, m := play(t, r, config(c.config), c.invite, status(180), status(200))
		if len(r.lines) > 0 || testutil.ToFloat64(m.calls.WithLabelValues(c.want)) != 1 {
			t.Errorf("%s leaves %q, and isn't counted as %s", name, r.lines, c.want)
		}
	}
}

func TestTheLoadLaddersRungs(t *testing.T) {
	for _, c := range []struct {
		name        string
		now         rung
		eighths     int
		lookupsFull bool
		want        rung
	}{
		{"nothing waits", fullService, 0, false, fullService},
		{"a little waits", fullService, 3, false, fullService},
		{"half of the queue", fullService, 4, false, memoryOnly},
		{"nearly all of it", fullService, 7, false, pureRelay},
		{"all of it", memoryOnly, 8, true, pureRelay},
		{"it stays down while half waits", pureRelay, 5, false, pureRelay},
		{"up one rung when less does", pureRelay, 3, false, memoryOnly},
		{"it stays there while something waits", memoryOnly, 1, false, memoryOnly},
		{"up again when nothing does", memoryOnly, 0, false, fullService},
		{"the store hangs", fullService, 0, true, memoryOnly},
		{"the store still hangs", memoryOnly, 0, true, memoryOnly},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.now.next(c.eighths, c.lookupsFull); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAStoreThatHangsCostsOnlyThoseWhomMemoryDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := subscriber()
		r.known, r.lookup = false, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		ws, err := New(Options{Config: config(nil), Profiles: r, Claims: r, Bridge: r, Recorder: r})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		events, done := make(chan relay.Event, 4096), make(chan error, 1)
		go func() { done <- ws.Run(ctx, events) }()
		call := func(n int, e relay.Event) {
			e.Branch, e.At = callsign.BranchKey{byte(n), byte(n >> 8)}, time.Now()
			events <- e
		}
		for n := range inFlight {
			call(n, relay.Event{Invite: []byte(invite)})
		}
		synctest.Wait()
		time.Sleep(time.Second) // the next look
		if got := testutil.ToFloat64(ws.load.gauge); got != float64(memoryOnly) {
			t.Errorf("the rung is %v, want %v", got, float64(memoryOnly))
		}
		call(inFlight, relay.Event{Invite: []byte(invite)})
		synctest.Wait()
		if got := testutil.ToFloat64(ws.metrics.calls.WithLabelValues(Overloaded)); got != 1 {
			t.Errorf("%v calls were left out, want the one whose callee memory doesn't know", got)
		}
		r.known = true
		call(inFlight+1, relay.Event{Invite: []byte(invite)})
		call(inFlight+1, relay.Event{Status: 180})
		synctest.Wait()
		if len(r.deliveries) != 1 {
			t.Errorf("%d texts, want one to the caller of whom memory knows", len(r.deliveries))
		}
		time.Sleep(2 * lookupTime)
		if got := testutil.ToFloat64(ws.load.gauge); got != float64(fullService) {
			t.Errorf("after the look-ups ended the rung is %v, want full service", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestACapHoldsTheTextBack(t *testing.T) {
	for name, c := range map[string]struct {
		refusal string
		err     error
		want    string
	}{"refused": {"caller_cap", nil, "caller_cap"}, "unknown": {"", errors.New("away"), Unavailable}} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			r.refusal, r.claimErr = c.refusal, c.err
			got, metrics := play(t, r, config(nil), invited, status(180))
			if got != nil || testutil.ToFloat64(metrics.deliveries.WithLabelValues(c.want)) != 1 {
				t.Errorf("sent %q, or %s was not counted", got, c.want)
			}
		})
	}
}

func TestALookUpBesideTheWorkerComesBackAsAnEvent(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  int
	}{
		"then it rings":                {[]step{invited, pause(time.Second), status(180)}, 1},
		"it rings meanwhile":           {[]step{invited, status(180), pause(time.Second)}, 1},
		"it is answered meanwhile":     {[]step{invited, status(180), status(200), pause(time.Second)}, 0},
		"it is retransmitted meantime": {[]step{invited, invited, status(180), pause(time.Second)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			r.known = false
			r.lookup = func(context.Context) error { time.Sleep(500 * time.Millisecond); return nil }
			if got, _ := play(t, r, config(nil), c.steps...); len(got) != c.want {
				t.Errorf("got %q, want %d", got, c.want)
			}
		})
	}
}

func TestTheTimelineIsWholeHoweverLateTheCalleeIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"cancelled before it rings":    {[]step{invited, cancelled}, []string{"invite", "ended: the caller hung up", "decided: im/1", "skipped: the caller hung up"}},
		"busy":                         {[]step{invited, status(486)}, []string{"invite", "ended: the call failed with 486", "decided: im/1", "skipped: the call failed with 486"}},
		"rang and answered":            {[]step{invited, status(180), status(200)}, []string{"invite", "ringing: 180", "answered", "decided: im/1", "skipped: the call was answered"}},
		"an answer before its INVITE":  {[]step{status(180), invited}, []string{"invite", "ringing: 180", "decided: im/1"}},
		"more answers than are needed": {[]step{invited, status(200), status(200), status(200), status(200), status(200), status(200)}, []string{"invite", "answered", "decided: im/1", "skipped: the call was answered"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			r.known = false
			r.lookup = func(context.Context) error { time.Sleep(500 * time.Millisecond); return nil }
			play(t, r, config(nil), append(c.steps, pause(time.Second))...)
			if !slices.Equal(r.lines, c.want) {
				t.Errorf("the timeline says %q, want %q", r.lines, c.want)
			}
		})
	}
}

func TestATextThatIsReadTooLateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := subscriber()
		r.deliver = func(ctx context.Context) callsign.Outcome {
			cause = context.Cause(ctx)
			return callsign.Outcome{State: callsign.Dropped}
		}
		ws, err := New(Options{Config: config(nil), Profiles: r, Claims: r, Bridge: r, Recorder: r})
		if err != nil {
			t.Fatal(err)
		}
		events := make(chan relay.Event, 2) // a worker that stalled finds them two minutes later
		at := time.Now()
		events <- relay.Event{Branch: callsign.BranchKey{1}, At: at, Invite: []byte(invite)}
		events <- relay.Event{Branch: callsign.BranchKey{1}, At: at.Add(time.Second), Status: 180}
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ws.Run(ctx, events) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(r.deliveries) > 0 && !errors.Is(cause, errTooLate) {
			t.Errorf("the delivery went on, its context ended with %v, want %v", cause, errTooLate)
		}
	})
}

func TestADeliveryEndsWithItsCall(t *testing.T) {
	for name, c := range map[string]struct {
		config func(*Config)
		steps  []step
		want   string
	}{
		"answered":                      {nil, []step{status(200)}, "the call was answered"},
		"cancelled":                     {nil, []step{cancelled}, "the caller hung up"},
		"failed":                        {nil, []step{status(480)}, "the call failed with 480"},
		"too late":                      {nil, []step{pause(31 * time.Second)}, "show.window is over"},
		"answered, but the window runs": {func(c *Config) { c.Until = "window" }, []step{status(200), pause(5 * time.Second)}, "context canceled"},
		"cancelled in the window":       {func(c *Config) { c.Until = "window" }, []step{cancelled}, "the caller hung up"},
	} {
		t.Run(name, func(t *testing.T) {
			var got error
			r := subscriber()
			r.deliver = func(ctx context.Context) callsign.Outcome {
				<-ctx.Done()
				got = context.Cause(ctx)
				return callsign.Outcome{State: callsign.Dropped}
			}
			play(t, r, config(c.config), append([]step{invited, status(180)}, c.steps...)...)
			if got == nil || got.Error() != c.want {
				t.Errorf("the delivery's context ended with %v, want %q", got, c.want)
			}
			if !slices.Equal(r.settled, []callsign.OutcomeState{callsign.Dropped}) {
				t.Errorf("settled %v, want dropped", r.settled)
			}
		})
	}
}

func TestAPanicCostsOneCallItsTextAndNothingElse(t *testing.T) {
	other := func(s step) step {
		s.event.Branch = callsign.BranchKey{2}
		return s
	}
	for name, harm := range map[string]func(*rooms, *int){
		"in memory": func(r *rooms, n *int) { r.known = false; r.lookup = func(context.Context) error { return boom(n) } },
		"in the bridge": func(r *rooms, n *int) {
			r.deliver = func(context.Context) callsign.Outcome { _ = boom(n); return callsign.Outcome{} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, n := subscriber(), 0
			harm(r, &n)
			_, metrics := play(t, r, config(nil), invited, status(180), other(invited), other(status(180)))
			if got := testutil.ToFloat64(metrics.panics); got != 1 {
				t.Errorf("counted %v panics, want 1", got)
			}
			if last := r.deliveries[len(r.deliveries)-1]; last.Text != "On the road" || n != 2 {
				t.Errorf("the next call got %q after %d tries", last.Text, n)
			}
		})
	}
}

// boom panics the first time.
func boom(n *int) error {
	*n++
	if *n == 1 {
		panic("boom")
	}
	return nil
}

func TestTheTimelineTellsTheCall(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"shown":              {[]step{invited, status(180), status(200)}, []string{"invite", "decided: im/1", "ringing: 180", "answered"}},
		"cancelled":          {[]step{invited, cancelled}, []string{"invite", "decided: im/1", "ended: the caller hung up", "skipped: the caller hung up"}},
		"rang first":         {[]step{status(180), invited}, []string{"invite", "ringing: 180", "decided: im/1"}},
		"busy after it rang": {[]step{invited, status(180), status(486)}, []string{"invite", "decided: im/1", "ringing: 180", "ended: the call failed with 486"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := subscriber()
			play(t, r, config(nil), c.steps...)
			if !slices.Equal(r.lines, c.want) {
				t.Errorf("got %q, want %q", r.lines, c.want)
			}
		})
	}
}

func TestASetUpWhoseINVITEWasLostIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  float64
	}{
		"its answers come after a restart": {[]step{status(180), status(200), pause(liveFor + time.Minute)}, 1},
		"it rings for ever":                {[]step{status(180), pause(liveFor + time.Minute)}, 1},
		"its INVITE comes last":            {[]step{status(180), invited, pause(liveFor + time.Minute)}, 0},
		"a whole one":                      {[]step{invited, status(180), status(200), pause(liveFor + time.Minute)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if _, m := play(t, subscriber(), config(nil), c.steps...); testutil.ToFloat64(m.unknown) != c.want {
				t.Errorf("got %v, want %v", testutil.ToFloat64(m.unknown), c.want)
			}
		})
	}
}

func TestATableIsBounded(t *testing.T) {
	start := time.Now()
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	tab := newTable(3)
	for i := range 10 {
		s, evicted := tab.touch(callsign.BranchKey{byte(i)}, at(i))
		if evicted != (i >= 3) {
			t.Errorf("set-up %d: evicted %v", i, evicted)
		}
		if s.over = i == 7; s.over {
			tab.requeue(s)
		}
	}
	for _, c := range []struct {
		branch byte
		want   bool
	}{{6, true}, {7, false}, {8, true}, {9, true}} {
		if got := tab.byBranch[callsign.BranchKey{c.branch}] != nil; got != c.want {
			t.Errorf("set-up %d is remembered: %v, want %v: what is over goes first", c.branch, got, c.want)
		}
	}
	tab.expire(at(9 + int(liveFor/time.Second)))
	if len(tab.byBranch) != 0 || tab.live != (queue{}) || tab.done != (queue{}) {
		t.Errorf("after their time %d set-ups are left", len(tab.byBranch))
	}
}

func TestOfAFinishedSetUpItsBranchStays(t *testing.T) {
	start := time.Now()
	tab := newTable(100)
	finish := func(b byte, after time.Duration) {
		if s, _ := tab.touch(callsign.BranchKey{b}, start.Add(after)); s != nil {
			tab.finish(s)
		}
	}
	finish(1, 0)
	finish(2, doneFor-time.Second)
	for _, c := range []struct {
		name  string
		after time.Duration
		want  [2]bool // known: the first, the second
	}{
		{"while retransmissions come", doneFor - time.Second, [2]bool{true, true}},
		{"a generation later", doneFor, [2]bool{true, true}},
		{"until the later one's time is over", 2*doneFor - 2*time.Second, [2]bool{true, true}},
		{"not for ever", 2 * doneFor, [2]bool{false, false}},
	} {
		tab.expire(start.Add(c.after))
		if got := [2]bool{tab.finished.has(callsign.BranchKey{1}), tab.finished.has(callsign.BranchKey{2})}; got != c.want {
			t.Errorf("%s: known %v, want %v", c.name, got, c.want)
		}
	}
	if len(tab.byBranch) != 0 {
		t.Errorf("%d set-ups are kept whole", len(tab.byBranch))
	}
	for b := range byte(250) {
		finish(b, 3*doneFor)
	}
	if n := len(tab.finished.now) + len(tab.finished.old); n > 200 {
		t.Errorf("%d branches are kept, want no more than twice 100", n)
	}
}

func TestConfigErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"at":               {func(c *Config) { c.At = "never" }, "use ringing or invite or answer"},
		"until":            {func(c *Config) { c.Until = "" }, "use answer or window"},
		"window":           {func(c *Config) { c.Window = time.Hour }, "use 1s to 2m0s"},
		"repeat":           {func(c *Config) { c.Repeat = "twice" }, "use always, once, or a period"},
		"short repeat":     {func(c *Config) { c.Repeat = "1s" }, "use always, once, or a period"},
		"ranges":           {func(c *Config) { c.CallerRanges = []string{"+86", "0138"} }, "show.caller_ranges[1]"},
		"MSRNs":            {func(c *Config) { c.MSRNRanges = []string{"+86", "x"} }, "show.msrn_ranges[1]"},
		"a peer's network": {func(c *Config) { c.AccessByPeer = []PeerAccess{{Access: "3GPP-GERAN"}} }, "show.access_by_peer[0].network"},
		"a peer's access":  {func(c *Config) { c.AccessByPeer = []PeerAccess{{Network: netip.MustParsePrefix("127.0.0.0/8")}} }, "show.access_by_peer[0].access"},
		"a range's number": {func(c *Config) { c.AccessByRange = []RangeAccess{{Range: "x", Access: "3GPP-GERAN"}} }, "show.access_by_range[0].range"},
		"a range's access": {func(c *Config) { c.AccessByRange = []RangeAccess{{Range: "+86", Access: "2G; x"}} }, "show.access_by_range[0].access"},
		"access_default":   {func(c *Config) { c.AccessDefault = "a b" }, "show.access_default"},
		"turned range":     {func(c *Config) { c.CallerRanges = []string{"+869-+861"} }, "show.caller_ranges[0]"},
		"region":           {func(c *Config) { c.Region = "China" }, "like CN"},
		"identity":         {func(c *Config) { c.CallerIdentity = "any" }, "use asserted or from"},
		"cap":              {func(c *Config) { c.PerSecond = -1 }, "use 0 for no limit"},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultConfig()
			c.change(&config)
			if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	config := DefaultConfig()
	if err := config.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestCallerRanges(t *testing.T) {
	for _, c := range []struct {
		ranges string
		want   bool
	}{
		{"+86138", true},
		{"86138", true},
		{"+86138*", true},
		{"+86139", false},
		{"+8613800000001", true},
		{"+86138000000011", false},
		{"+138", false},
		{"+86137", false},
		{"+861380000000", true},
		{"+8613800000000-+8613800000009", true},
		{"+8613800000002-+8613800000009", false},
		{"any", true},
		{"*", true},
		{"+", true},
		{"+8", true},
	} {
		op, err := NewOperator(config(func(into *Config) { into.CallerRanges = []string{"+1", c.ranges} }))
		if got := op.callers.contain(alice); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v; want %v", c.ranges, got, err, c.want)
		}
	}
}
