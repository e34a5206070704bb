package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func TestEventsOverHTTP(t *testing.T) {
	s := serve(t, nil)
	s.memory.linked[[3]string{callsign.DefaultTenant, "qq", "10001"}] = 1
	source := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
	strict := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Source: "im.other"})
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	event := func(id, more string) string {
		return fmt.Sprintf(`{"specversion":"1.0","type":"im.callsign.signature.changed","source":"im.example","id":%q,"subject":"10001",%s"data":{"text":"hi"}}`, id, more)
	}
	said := func(ahead time.Duration, more string) string {
		return event("timed", fmt.Sprintf(`"time":%q,`, time.Now().Add(ahead).Format(time.RFC3339))+more)
	}
	versioned := func(v int) string { return event(fmt.Sprint("e", v), fmt.Sprintf(`"accountversion":%d,`, v)) }
	const structured, batch, binary = contentStructured, contentBatch, contentBinary
	headers := []string{
		"ce-specversion", "1.0", "ce-type", "im.callsign.signature.changed", "ce-source", "im.example", "ce-id", "b%201", "ce-subject", "10001",
		"ce-accountversion", "9",
	}
	cleared := append(slices.Clone(headers), "ce-type", "im.callsign.signature.cleared", "ce-id", "b%202", "ce-accountversion", "10")
	for _, step := range []struct {
		sentence, key, contentType, body string
		header                           []string
		status                           int
		contains                         string
		kept                             int
	}{
		{"without a key nothing is kept", "", structured, versioned(1), nil, 401, `"code":"unauthorized"`, 0},
		{"an administrator is no source", admin, structured, versioned(1), nil, 403, `"code":"forbidden"`, 0},
		{"a key may be another source's", strict, structured, versioned(1), nil, 403, "use im.other", 0},
		{"what is no CloudEvent is told how", source, "text/plain", versioned(1), nil, 415, contentBatch, 0},
		{"JSON without ce- headers is none", source, binary, versioned(1), nil, 415, "ce- headers", 0},
		{"what is not JSON is no event", source, structured, "{", nil, 422, `"code":"bad_event"`, 0},
		{"what is not UTF-8 is refused", source, structured, "\xd4", nil, 400, "send UTF-8", 0},
		{"an event without time and version could not be sent again", source, structured, event("e", ""), nil, 422, "add time", 0},
		{"nor could one of a clock that is ahead, whose time does not count", source, structured, said(2*callsign.MaxAhead, ""), nil, 422, "set the clock", 0},
		{"and it keeps none of its batch", source, batch, "[" + versioned(1) + "," + said(2*callsign.MaxAhead, "") + "]", nil, 422, `"location":"events[1]"`, 0},
		{"one bad event keeps none", source, batch, "[" + versioned(1) + `,{"id":"x"}]`, nil, 422, `"location":"events[1]"`, 0},
		{"no event is none", source, batch, "[]", nil, 400, "this one has 0", 0},
		{"too many are divided", source, batch, "[" + strings.Repeat(versioned(1)+",", maxPosted) + versioned(1) + "]", nil, 400, "divide it", 0},
		{"a batch is an array", source, batch, versioned(1), nil, 400, "no JSON array", 0},
		{"one event", source, structured, versioned(1), nil, 200, `{"results":[{"id":"e1","status":"stored"}]}`, 1},
		{"the same again is a duplicate", source, structured, versioned(1), nil, 200, `"status":"duplicate"`, 2},
		{"a batch, in its order", source, batch, "[" + versioned(3) + "," + versioned(2) + "]", nil, 200, `[{"id":"e3","status":"stored"},{"id":"e2","status":"stale"}]`, 4},
		{"the binary mode has its attributes in headers", source, binary, `{"text":"hi"}`, headers, 200, `{"results":[{"id":"b 1","status":"stored"}]}`, 5},
		{"and its data in the body", source, binary, `{"text":`, headers, 400, "not JSON", 5},
		{"a header is percent-encoded", source, binary, `{}`, append(headers[:len(headers):len(headers)], "ce-time", "%zz"), 400, "ce-time", 5},
		{"a cleared text has no data", source, binary, "", cleared, 200, `{"results":[{"id":"b 2","status":"stored"}]}`, 6},
		{"and needs no media type", source, "", "", cleared, 200, `"status":"duplicate"`, 7},
		{"which others need", source, "", versioned(1), nil, 415, contentBatch, 7},
		{"no body is no event", source, structured, "", nil, 422, `"code":"bad_event"`, 7},
		{"a media type may have parameters", source, structured + "; charset=UTF-8", versioned(20), nil, 200, "stored", 8},
		{"a clock may be a little ahead", source, structured, said(callsign.MaxAhead/2, ""), nil, 200, `"id":"timed"`, 9},
		{"and any much where a version counts", source, structured, said(2*callsign.MaxAhead, `"accountversion":21,`), nil, 200, "stored", 10},
	} {
		a := s.do(t, step.key, "POST", "/v1/events", step.body, append([]string{"Content-Type", step.contentType}, step.header...)...)
		if got := strings.TrimSpace(string(a.raw)); a.status != step.status || !strings.Contains(got, step.contains) {
			t.Errorf("%s: got %d %s, want %d %s", step.sentence, a.status, got, step.status, step.contains)
		}
		if a.status >= 400 {
			checkProblem(t, step.sentence, a)
		}
		s.memory.mu.Lock()
		if got := len(s.memory.changes); got != step.kept {
			t.Errorf("%s: %d events went in, want %d", step.sentence, got, step.kept)
		}
		s.memory.mu.Unlock()
	}
	s.memory.set(func(m *memory) { m.down = callsign.ErrUnavailable })
	if a := s.do(t, source, "POST", "/v1/events", versioned(30), "Content-Type", structured); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("while the store is away: got %d %s", a.status, a.raw)
	}
}
