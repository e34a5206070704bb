package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	fiorix "github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/linxGnu/gosmpp"
	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// callsignClient is our session, with all its deadlines.
func callsignClient(ctx context.Context, address string, window int) (library, func(), error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	s, err := smpp.Bind(ctx, conn, smpp.BindRequest{SystemID: "bench"}, smpp.Options{Window: window})
	if err != nil {
		return nil, nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(running)
	}()
	submit := func() (string, error) {
		return s.Submit(ctx, &smpp.Message{
			Source: smpp.Address{TON: 5, Number: from}, Dest: smpp.Address{TON: 1, NPI: 1, Number: to},
			Validity: smpp.RelativeTime(validity), RegisteredDelivery: 1, DataCoding: dataCoding, ShortMessage: []byte(text),
		}, nil)
	}
	return submit, func() { stop(); <-ended }, nil
}

// coding gives fiorix's session our octets with our data coding.
type coding []byte

func (coding) Type() pdutext.DataCoding { return dataCoding }
func (c coding) Encode() []byte         { return c }
func (c coding) Decode() []byte         { return c }

// fiorixClient is fiorix's Transceiver. Its own window errors when it is full, so there is none: as many submit as ours has places.
func fiorixClient(_ context.Context, address string, _ int) (library, func(), error) {
	t := &fiorix.Transceiver{Addr: address, User: "bench", RespTimeout: 10 * time.Second}
	if status := <-t.Bind(); status.Status() != fiorix.Connected {
		return nil, nil, fmt.Errorf("%v: %w", status.Status(), status.Error())
	}
	submit := func() (string, error) {
		sm, err := t.Submit(&fiorix.ShortMessage{
			Src: from, Dst: to, Text: coding(text), Validity: validity, Register: 1, SourceAddrTON: 5, DestAddrTON: 1, DestAddrNPI: 1,
		})
		if err != nil {
			return "", err
		}
		return sm.RespID(), nil
	}
	return submit, func() { _ = t.Close() }, nil
}

// waiting is who waits for which answer: gosmpp leaves that to its user. (Its request store would tell an answer's request, not
// who waits; it is slower.)
type waiting struct {
	sync.Mutex
	by map[int32]chan *pdu.SubmitSMResp
}

func (w *waiting) take(seq int32) chan *pdu.SubmitSMResp {
	w.Lock()
	defer w.Unlock()
	c := w.by[seq]
	delete(w.by, seq)
	return c
}

// gosmppClient is linxGnu/gosmpp's Transceiver.
func gosmppClient(_ context.Context, address string, _ int) (library, func(), error) {
	w := waiting{by: map[int32]chan *pdu.SubmitSMResp{}}
	failed := make(chan error, 1)
	settings := gosmpp.Settings{
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		OnPDU: func(p pdu.PDU, _ bool) {
			if r, ok := p.(*pdu.SubmitSMResp); ok {
				if c := w.take(r.SequenceNumber); c != nil {
					c <- r
				}
			}
		},
		OnSubmitError: func(_ pdu.PDU, err error) {
			select {
			case failed <- err:
			default:
			}
		},
	}
	s, err := gosmpp.NewSession(gosmpp.TRXConnector(gosmpp.NonTLSDialer, gosmpp.Auth{SMSC: address, SystemID: "bench"}), settings, 0)
	if err != nil {
		return nil, nil, err
	}
	trx := s.Transceiver()
	submit := func() (string, error) {
		p, err := gosmppMessage()
		if err != nil {
			return "", err
		}
		c := make(chan *pdu.SubmitSMResp, 1)
		w.Lock()
		w.by[p.SequenceNumber] = c
		w.Unlock()
		if err := trx.Submit(p); err != nil {
			return "", err
		}
		select {
		case r := <-c:
			return r.MessageID, nil
		case err := <-failed:
			return "", err
		}
	}
	return submit, func() { _ = s.Close() }, nil
}

// octets gives gosmpp our octets with our data coding.
type octets struct{}

func (octets) Encode(s string) ([]byte, error) { return []byte(s), nil }
func (octets) Decode(b []byte) (string, error) { return string(b), nil }
func (octets) DataCoding() byte                { return dataCoding }

func gosmppMessage() (*pdu.SubmitSM, error) {
	p := pdu.NewSubmitSM().(*pdu.SubmitSM)
	source, dest := pdu.NewAddress(), pdu.NewAddress()
	source.SetTon(5)
	source.SetNpi(0)
	dest.SetTon(1)
	dest.SetNpi(1)
	if err := source.SetAddress(from); err != nil {
		return nil, err
	}
	if err := dest.SetAddress(to); err != nil {
		return nil, err
	}
	p.SourceAddr, p.DestAddr = source, dest
	p.ValidityPeriod, p.RegisteredDelivery = "000000000030000R", 1
	return p, p.Message.SetMessageWithEncoding(text, data.Encoding(octets{}))
}
