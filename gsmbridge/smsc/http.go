package smsc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// maxBody is how long a request's body may be.
const maxBody = 64 << 10

// Handler serves the handsets:
//
//	GET  /handsets                     all, each with its last message
//	GET  /handsets/{msisdn}            one's messages
//	POST /handsets/{msisdn}/messages   {"to","text"}: the handset sends a message; 202 once an ESME took it
//	POST /handsets/{msisdn}/ussd       {"text"}: it answers the USSD request that it shows
//	PUT, DELETE /handsets/{msisdn}/connected    its call is connected, or not any more
//	GET  /events                       each message as it is shown, as server-sent events
//	GET  /behaviour, PUT /behaviour    a Behaviour; what PUT doesn't name is 0
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /handsets", func(w http.ResponseWriter, _ *http.Request) { s.serveJSON(w, s.handsets.last()) })
	mux.HandleFunc("GET /handsets/{msisdn}", func(w http.ResponseWriter, r *http.Request) {
		to, ok := handsetOf(w, r)
		if !ok {
			return
		}
		messages := s.Messages(to)
		if messages == nil {
			http.Error(w, to.E164()+" has been sent nothing", http.StatusNotFound)
			return
		}
		s.serveJSON(w, messages)
	})
	mux.HandleFunc("POST /handsets/{msisdn}/messages", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ To, Text string }
		from, ok := handsetOf(w, r)
		if !ok || !readJSON(w, r, &in) {
			return
		}
		if in.Text == "" {
			http.Error(w, `text: it is empty: send {"to":"10086","text":"STOP"}`, http.StatusBadRequest)
			return
		}
		answer(w, s.Send(r.Context(), from, in.To, in.Text))
	})
	mux.HandleFunc("POST /handsets/{msisdn}/ussd", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Text string }
		if from, ok := handsetOf(w, r); ok && readJSON(w, r, &in) {
			answer(w, s.Reply(r.Context(), from, in.Text))
		}
	})
	for method, connected := range map[string]bool{"PUT": true, "DELETE": false} {
		mux.HandleFunc(method+" /handsets/{msisdn}/connected", func(w http.ResponseWriter, r *http.Request) {
			if m, ok := handsetOf(w, r); ok {
				s.Connect(m, connected)
				w.WriteHeader(http.StatusNoContent)
			}
		})
	}
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /behaviour", func(w http.ResponseWriter, _ *http.Request) { s.serveJSON(w, s.behaviour.Load()) })
	mux.HandleFunc("PUT /behaviour", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		b, parse := ParseBehaviour(body)
		if err := errors.Join(err, parse); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := s.Behave(b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.serveJSON(w, b)
	})
	return mux
}

func handsetOf(w http.ResponseWriter, r *http.Request) (callsign.MSISDN, bool) {
	m, err := callsign.ParseMSISDN(r.PathValue("msisdn"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return m, err == nil
}

func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err != nil {
		http.Error(w, fmt.Sprintf("the body is not what is asked for: %v: send JSON like {\"text\":\"STOP\"}", err), http.StatusBadRequest)
	}
	return err == nil
}

// answer tells how an ESME took what a handset sent.
func answer(w http.ResponseWriter, err error) {
	var refused *smpp.StatusError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &refused):
		http.Error(w, fmt.Sprintf("the ESME refused it: %v: its log says why", refused), http.StatusBadGateway)
	case errors.Is(err, errNoQuestion):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// events streams messages until the reader goes, or is too slow.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	messages, stop := s.handsets.read()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	for {
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			line, err := json.Marshal(m)
			if err != nil {
				return
			}
			_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := fmt.Fprintf(w, "event: shown\ndata: %s\n\n", line); err != nil {
				return
			}
		}
	}
}

func (s *Server) serveJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.Log.Debug("handsets were not read to the end", "err", err)
	}
}
