package smsc

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

var destination = smpp.Address{TON: 1, NPI: 1, Number: "8613900000001"}

// esme is bound to a server, with what it was sent.
type esme struct {
	*smpp.Session
	server *Server
	mu     sync.Mutex
	came   []*smpp.Message
}

func (e *esme) messages() []*smpp.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.came
}

// submit gives what became of n messages, in words: an id, a status, or "sent, but not answered".
func (e *esme) submit(t *testing.T, n int) (results []string) {
	t.Helper()
	for i := range n {
		id, err := e.Submit(t.Context(), &smpp.Message{Dest: destination, RegisteredDelivery: 1, ShortMessage: fmt.Append(nil, i)}, nil)
		var refused *smpp.StatusError
		switch {
		case errors.As(err, &refused):
			id = fmt.Sprintf("0x%02X", uint32(refused.Status))
		case errors.Is(err, smpp.ErrAmbiguous):
			id = "unanswered"
		case errors.Is(err, smpp.ErrNotSent):
			id = "unsent"
		case err != nil:
			id = err.Error()
		}
		results = append(results, id)
	}
	return results
}

// behaving runs test with an ESME bound to a server of a behaviour, in a bubble.
func behaving(t *testing.T, b Behaviour, test func(t *testing.T, e *esme)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, bind := running(t, Options{Behaviour: b, Seed: 1})
		e := &esme{server: s}
		var err error
		if e.Session, err = bind(smpp.BindRequest{SystemID: "x"}, func(m *smpp.Message) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.came = append(e.came, m)
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // its session is kept now
		test(t, e)
	})
}

func TestBehaviour(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour Behaviour
		submits   int
		want      string // what becomes of them
		receipts  int
	}{
		"silent after the bind":                 {Behaviour{SilentAfterBind: true}, 1, "unanswered", 0},
		"refusing":                              {Behaviour{SubmitStatus: 0x45}, 2, "0x45 0x45", 0},
		"refusing half of them by chance":       {Behaviour{SubmitStatus: 0x45, SubmitShare: 0.5}, 6, "4097 0x45 4098 0x45 0x45 0x45", 2},
		"refusing a range, not one within it":   {Behaviour{Prefixes: map[string]smpp.Status{"86": 0x0B, "8613": smpp.StatusOK}}, 1, "4097", 1},
		"throttling above two a second":         {Behaviour{Rate: 2}, 4, "4097 4098 0x58 0x58", 2},
		"losing all answers":                    {Behaviour{LoseAnswers: 1}, 1, "unanswered", 0},
		"losing all receipts":                   {Behaviour{LoseReceipts: 1}, 2, "4097 4098", 0},
		"closing after two":                     {Behaviour{CloseAfter: 2}, 3, "4097 unanswered unsent", 1},
		"closing in the middle of an answer":    {Behaviour{CutAfter: 1}, 2, "unanswered unsent", 0},
		"answering twice":                       {Behaviour{AnswersTwice: true}, 2, "4097 4098", 4},
		"sending PDUs that nobody knows":        {Behaviour{UnknownPDUs: true}, 2, "4097 4098", 2},
		"sending PDUs of 5 kB, and unknown too": {Behaviour{OversizedPDUs: true, UnknownPDUs: true}, 2, "4097 4098", 2},
		"with everybody's USSD busy, SMS goes":  {Behaviour{USSDBusy: 0x400}, 1, "4097", 1},
	} {
		t.Run(name, func(t *testing.T) {
			behaving(t, c.behaviour, func(t *testing.T, e *esme) {
				if got := strings.Join(e.submit(t, c.submits), " "); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				synctest.Wait()
				receipts := 0
				for _, m := range e.messages() {
					if _, ok := smpp.ReceiptOf(m); ok {
						receipts++
					}
				}
				if receipts != c.receipts {
					t.Errorf("got %d receipts, want %d", receipts, c.receipts)
				}
			})
		})
	}
}

func TestAnswersOutOfOrder(t *testing.T) {
	behaving(t, Behaviour{OutOfOrder: true, NoReceipts: true}, func(t *testing.T, e *esme) {
		answered := make(chan int, 2)
		for i := range 2 {
			go func() {
				if got := e.submit(t, 1); got[0] == "unanswered" {
					t.Errorf("%d was not answered", i)
				}
				answered <- i
			}()
			synctest.Wait()
		}
		<-answered
		<-answered
	})
}

func TestDelays(t *testing.T) {
	b := Behaviour{Delay: Duration(time.Second), Jitter: Duration(time.Second), ReceiptDelay: Duration(3 * time.Second)}
	behaving(t, b, func(t *testing.T, e *esme) {
		start := time.Now()
		e.submit(t, 1)
		if took := time.Since(start); took < time.Second || took > 2*time.Second {
			t.Errorf("answered after %v, want one to two seconds", took)
		}
		time.Sleep(2900 * time.Millisecond)
		synctest.Wait()
		if n := len(e.messages()); n != 0 {
			t.Errorf("got %d receipts already", n)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if n := len(e.messages()); n != 1 {
			t.Errorf("got %d receipts, want one", n)
		}
	})
}

func TestReceiptForms(t *testing.T) {
	for form, want := range map[string]string{"": "4097", "hex": "1001", "zeros": "00004097"} {
		behaving(t, Behaviour{ReceiptForm: form}, func(t *testing.T, e *esme) {
			e.submit(t, 1)
			synctest.Wait()
			if r, _ := smpp.ReceiptOf(e.messages()[0]); r.MessageID != want {
				t.Errorf("%q: got %s, want %s", form, r.MessageID, want)
			}
		})
	}
}

func TestQueryAndCancel(t *testing.T) {
	behaving(t, Behaviour{ShowAfter: Duration(time.Minute)}, func(t *testing.T, e *esme) {
		ids := e.submit(t, 2)
		state := func(id string) string {
			s, err := e.Query(t.Context(), id, smpp.Address{})
			if err != nil {
				return err.Error()
			}
			return s.String()
		}
		if err := e.Cancel(t.Context(), smpp.Cancel{MessageID: ids[0], Dest: destination}); err != nil {
			t.Error(err)
		}
		if got := state(ids[0]) + " " + state(ids[1]); got != "DELETED ENROUTE" {
			t.Errorf("got %s", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if shown := e.server.Messages(handsetNumber); len(shown) != 1 || shown[0].ID != ids[1] || state(ids[1]) != "DELIVRD" {
			t.Errorf("got %+v, and %s", shown, state(ids[1]))
		}
		for _, id := range []string{ids[1], "77"} {
			if err := e.Cancel(t.Context(), smpp.Cancel{MessageID: id}); !strings.Contains(message(err), "(0x11)") {
				t.Errorf("%s: got %v", id, err)
			}
		}
		if got := state("77"); !strings.Contains(got, "0x67") {
			t.Errorf("got %s of what was never sent", got)
		}
	})
}

func TestStatesAreBounded(t *testing.T) {
	m := messages{byID: map[string]*state{}}
	for i := range maxStates + 1 {
		m.add(fmt.Sprint(i))
	}
	if m.of("0") != nil || m.of("1") == nil || len(m.byID) != maxStates || len(m.order) != maxStates {
		t.Errorf("got %d of %d", len(m.byID), len(m.order))
	}
}

func TestConcatenatedTextsAreJoined(t *testing.T) {
	behaving(t, Behaviour{}, func(t *testing.T, e *esme) {
		long := strings.Repeat("我", 100)
		parts := gsm.Form{Parts: 3}.Fit(long).UserData(7)
		for _, data := range [][]byte{parts[1], parts[1], parts[0]} { // in any order, one of them twice
			if _, err := e.Submit(t.Context(), &smpp.Message{Dest: destination, ESMClass: 0x40, DataCoding: 0x18, ShortMessage: data}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if shown := e.server.Messages(handsetNumber); len(shown) != 1 || shown[0].Text != long {
			t.Errorf("got %+v", shown)
		}
		// A reference of 16 bits is another text's.
		wide := append([]byte{6, 8, 4, 0, 7, 1, 1}, "\x62\x11"...)
		if _, err := e.Submit(t.Context(), &smpp.Message{Dest: destination, ESMClass: 0x40, DataCoding: 0x18, ShortMessage: wide}, nil); err != nil {
			t.Fatal(err)
		}
		if shown := e.server.Messages(handsetNumber); len(shown) != 2 || shown[1].Text != "我" {
			t.Errorf("got %+v", shown)
		}
	})
	p := parts{sets: map[partKey]*partSet{}}
	part := func(from int, at time.Time) {
		p.join(handsetNumber, &smpp.Message{Source: smpp.Address{Number: fmt.Sprint(from)}, ESMClass: 0x40, ShortMessage: []byte{5, 0, 3, 1, 2, 1, 'a'}}, at)
	}
	now := time.Unix(0, 0)
	for i := range 2 * maxPartSets {
		part(i, now)
	}
	if len(p.sets) > maxPartSets || len(p.order) > maxPartSets {
		t.Errorf("got %d of %d", len(p.sets), len(p.order))
	}
	part(0, now.Add(2*partsKept))
	if len(p.sets) != 1 || len(p.order) != 1 {
		t.Errorf("got %d of %d, want the old ones gone", len(p.sets), len(p.order))
	}
}

func FuzzPartOf(f *testing.F) {
	f.Add([]byte{5, 0, 3, 1, 2, 1, 'a'})
	f.Add([]byte{6, 8, 4, 0, 1, 2, 2})
	f.Add([]byte{255, 0, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, total, n, ok := partOf(&smpp.Message{ESMClass: 0x40, ShortMessage: data})
		if ok && (n < 1 || n > total || total > 255) {
			t.Errorf("part %d of %d", n, total)
		}
	})
}

// notification is a text by USSD; op 3 tells, op 2 asks.
func notification(op byte) *smpp.Message {
	return &smpp.Message{
		ServiceType: "USSD", Source: smpp.Address{Number: "100"}, Dest: destination, DataCoding: 0x0F, ShortMessage: []byte("hi"),
		TLVs: smpp.TLVs{smpp.TagUSSDServiceOp: {op}, smpp.TagITSSessionInfo: {9, 0}},
	}
}

func TestUSSD(t *testing.T) {
	t.Run("a notification is shown and confirmed", func(t *testing.T) {
		behaving(t, Behaviour{}, func(t *testing.T, e *esme) {
			if _, err := e.Submit(t.Context(), notification(3), nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			shown, came := e.server.Messages(handsetNumber), e.messages()
			if len(shown) != 1 || !shown[0].USSD || shown[0].Flash || shown[0].Text != "hi" {
				t.Errorf("shown %+v", shown)
			}
			if len(came) != 1 || came[0].TLVs[smpp.TagUSSDServiceOp][0] != 19 || string(came[0].TLVs[smpp.TagITSSessionInfo]) != "\x09\x01" ||
				came[0].Source != destination || came[0].Dest.Number != "100" {
				t.Errorf("confirmed by %+v", came)
			}
		})
	})
	t.Run("a request is answered once, when its user does", func(t *testing.T) {
		behaving(t, Behaviour{}, func(t *testing.T, e *esme) {
			if err := e.server.Reply(t.Context(), handsetNumber, "1"); !errors.Is(err, errNoQuestion) {
				t.Errorf("got %v", err)
			}
			if _, err := e.Submit(t.Context(), notification(2), nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := e.server.Reply(t.Context(), handsetNumber, "忙"); err != nil {
				t.Error(err)
			}
			if err := e.server.Reply(t.Context(), handsetNumber, "2"); !errors.Is(err, errNoQuestion) {
				t.Errorf("got %v", err)
			}
			came := e.messages()
			if len(came) != 1 || came[0].TLVs[smpp.TagUSSDServiceOp][0] != 18 || came[0].DataCoding != 8 || string(came[0].ShortMessage) != "\x5f\xd9" {
				t.Errorf("got %+v", came)
			}
		})
	})
	t.Run("busy handsets refuse it", func(t *testing.T) {
		behaving(t, Behaviour{USSDBusy: 0x40A}, func(t *testing.T, e *esme) {
			if _, err := e.Submit(t.Context(), notification(3), nil); !strings.Contains(message(err), "0x40A") {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("or only until they are connected", func(t *testing.T) {
		behaving(t, Behaviour{USSDUntilConnected: 0x40B}, func(t *testing.T, e *esme) {
			for _, connected := range []bool{false, true, false} {
				e.server.Connect(handsetNumber, connected)
				if _, err := e.Submit(t.Context(), notification(3), nil); (err == nil) != connected {
					t.Errorf("connected %t: got %v", connected, err)
				}
			}
			synctest.Wait()
		})
	})
}

func TestHandsetsSend(t *testing.T) {
	behaving(t, Behaviour{}, func(t *testing.T, e *esme) {
		for text, dataCoding := range map[string]byte{"STOP": 0, "退订": 8} {
			if err := e.server.Send(t.Context(), handsetNumber, "10086", text); err != nil {
				t.Error(err)
			}
			m := e.messages()[len(e.messages())-1]
			if got, _ := gsm.Decode(m.DataCoding, m.ShortMessage); got != text || m.DataCoding != dataCoding || m.Source != destination || m.Dest.Number != "10086" {
				t.Errorf("got %+v", m)
			}
		}
	})
	if err := New(Options{}).Send(t.Context(), handsetNumber, "1", "x"); !errors.Is(err, errNoReceiver) {
		t.Errorf("got %v", err)
	}
}

func TestSeveralSystemIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bind := running(t, Options{SystemID: "one", Password: "1", Accounts: map[string]string{"two": "2"}})
		for _, c := range []struct{ id, password, want string }{
			{"one", "1", ""},
			{"two", "2", ""},
			{"one", "2", "bind_transceiver refused: invalid password (0x0E)"},
			{"two", "1", "bind_transceiver refused: invalid password (0x0E)"},
			{"three", "3", "bind_transceiver refused: invalid system id (0x0F)"},
		} {
			if _, err := bind(smpp.BindRequest{SystemID: c.id, Password: c.password}, func(*smpp.Message) {}); message(err) != c.want {
				t.Errorf("%s:%s: got %v, want %q", c.id, c.password, err, c.want)
			}
		}
	})
}

func TestReceiptsGoToWhoReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bind := running(t, Options{})
		var mu sync.Mutex
		came := map[string]int{}
		taking := func(name string) func(*smpp.Message) {
			return func(*smpp.Message) {
				mu.Lock()
				defer mu.Unlock()
				came[name]++
			}
		}
		sender, err := bind(smpp.BindRequest{Mode: smpp.Transmitter, SystemID: "x"}, taking("sender"))
		if err != nil {
			t.Fatal(err)
		}
		for name, id := range map[string]string{"receiver": "x", "stranger": "y"} {
			if _, err := bind(smpp.BindRequest{Mode: smpp.Receiver, SystemID: id}, taking(name)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, err := sender.Submit(t.Context(), &smpp.Message{Dest: destination, RegisteredDelivery: 1, ShortMessage: []byte("a")}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(came) != 1 || came["receiver"] != 1 {
			t.Errorf("got %v, want one at the receiver of the same system id", came)
		}
	})
}

func TestSlowReadersAreCutOff(t *testing.T) {
	s := New(Options{})
	messages, stop := s.handsets.read()
	defer stop()
	for i := range readerQueue + 2 {
		s.handsets.add(Message{To: callsign.MSISDN(1 + i)})
	}
	n := 0
	for range messages {
		n++
	}
	if n != readerQueue || len(s.handsets.readers) != 0 {
		t.Errorf("got %d messages and %d readers, want %d and none", n, len(s.handsets.readers), readerQueue)
	}
}

func TestBehaviourThatCanNotBe(t *testing.T) {
	for body, want := range map[string]string{
		`{"delay":"soon"}`:        `"soon" is no duration: write it like 1.5s`,
		`{"delay":"2h"}`:          "delay: 2h0m0s is out of range: use 0s to 1h",
		`{"lose_answers":2}`:      "lose_answers: 2 is out of range: use 0 to 1",
		`{"receipt_form":"oct"}`:  `receipt_form: "oct" is none: use hex or zeros, or leave it empty`,
		`{"prefixes":{"+86":11}}`: `prefixes: "+86": write the digits with which numbers begin`,
		`{"rate":-1}`:             "rate: -1 is below 0",
		`{"dealy":"1s"}`:          `unknown field "dealy": GET /behaviour shows all keys`,
		`{} {}`:                   "something follows the behaviour: send one JSON object",
	} {
		if _, err := ParseBehaviour([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
	if b, err := ParseBehaviour([]byte(`{"delay":"1.5s","submit_status":69}`)); err != nil || b.Delay != Duration(1500*time.Millisecond) || b.SubmitStatus != 0x45 {
		t.Errorf("got %+v, %v", b, err)
	}
	if err := New(Options{}).Behave(Behaviour{Rate: -1}); err == nil {
		t.Error("Behave takes what can't be")
	}
}
