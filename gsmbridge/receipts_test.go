package gsmbridge

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

func hexadecimal(id string) string {
	n, _ := strconv.ParseUint(id, 10, 64)
	return strconv.FormatUint(n, 16)
}

// TestReceiptsOfAnSMSC is how an SMSC may send them.
func TestReceiptsOfAnSMSC(t *testing.T) {
	const taken = "submitted a hi | accepted a 4097"
	for name, c := range map[string]struct {
		behaviour smsc.Behaviour
		want      string
	}{
		"as it wrote the id":        {smsc.Behaviour{}, taken + " | receipt a 4097 DELIVRD"},
		"before the id":             {smsc.Behaviour{ReceiptFirst: true}, taken + " | receipt a 4097 DELIVRD"},
		"before the id, in hex":     {smsc.Behaviour{ReceiptFirst: true, ReceiptFormOf: hexadecimal}, taken + " | receipt a 4097 DELIVRD"},
		"twice":                     {smsc.Behaviour{ReceiptTwice: true}, taken + " | receipt a 4097 DELIVRD"},
		"twice, before the id":      {smsc.Behaviour{ReceiptTwice: true, ReceiptFirst: true}, taken + " | receipt a 4097 DELIVRD"},
		"with leading zeros":        {smsc.Behaviour{ReceiptFormOf: func(id string) string { return "0000" + id }}, taken + " | receipt a 4097 DELIVRD"},
		"in hexadecimal":            {smsc.Behaviour{ReceiptFormOf: hexadecimal}, taken + " | receipt a 4097 DELIVRD"},
		"in capitals, with zeros":   {smsc.Behaviour{ReceiptFormOf: func(string) string { return "0X00001001" }}, taken + " | receipt a 4097 DELIVRD"},
		"saying that it was late":   {smsc.Behaviour{ReceiptStat: "EXPIRED"}, taken + " | receipt a 4097 EXPIRED"},
		"of nobody's":               {smsc.Behaviour{ReceiptFormOf: func(string) string { return "77" }}, taken},
		"never":                     {smsc.Behaviour{NoReceipts: true}, taken},
		"of a text that it refuses": {smsc.Behaviour{SubmitStatus: smpp.StatusInvalidDest}, "submitted a hi | failed a submit_sm refused: invalid destination address (0x0B)"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, []*smsc.Options{{Behaviour: c.behaviour}}, nil, func(t *testing.T, l *lab) {
				l.Deliver(t.Context(), delivery("hi"))
				synctest.Wait()
				if got := l.timeline.String(); got != c.want {
					t.Errorf("\ngot  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// TestReceiptsFindTheirText is about texts that are alike.
func TestReceiptsFindTheirText(t *testing.T) {
	other := delivery("")
	other.Call.Caller = 8613900000002
	receipt := func(id, stat, source string) early {
		return early{smpp.Receipt{MessageID: id, Stat: stat}, source, "10086"}
	}
	for name, c := range map[string]struct {
		ids      []string // of texts to caller on link a, other on link b, in turn
		receipts []early  // all on link b
		want     string
	}{
		"on another link":                     {[]string{"5"}, []early{receipt("5", "DELIVRD", "8613900000001")}, "receipt a 5 DELIVRD"},
		"of two links' same id by its number": {[]string{"5", "5"}, []early{receipt("5", "DELIVRD", "+8613900000001")}, "receipt a 5 DELIVRD"},
		"and by its link where no number helps": {
			[]string{"5", "5"}, []early{receipt("5", "DELIVRD", "")}, "receipt b 5 DELIVRD",
		},
		"16 is 10 in hexadecimal only if the number says so": {
			[]string{"10", "16"},
			[]early{receipt("10", "DELIVRD", "13900000001"), receipt("16", "DELIVRD", "008613900000002")},
			"receipt a 10 DELIVRD | receipt b 16 DELIVRD",
		},
		"another base without a number is nobody's": {[]string{"16"}, []early{receipt("10", "DELIVRD", "")}, ""},
		"on its way, then there, then there again": {
			[]string{"5"},
			[]early{receipt("5", "ENROUTE", ""), receipt("5", "ENROUTE", ""), receipt("5", "DELIVRD", ""), receipt("5", "EXPIRED", "")},
			"receipt a 5 ENROUTE | receipt a 5 DELIVRD",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, []*smsc.Options{nil, nil}, nil, func(t *testing.T, l *lab) {
				for i, id := range c.ids {
					l.links[i].await(t.Context(), []callsign.Delivery{delivery(""), other}[i], id, time.Now())
				}
				for _, e := range c.receipts {
					l.receipt(l.links[1], e)
				}
				if got := l.timeline.String(); got != c.want {
					t.Errorf("\ngot  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

func TestReceiptsBeforeTheirTextKeepTheirOrder(t *testing.T) {
	inLab(t, []*smsc.Options{nil}, nil, func(t *testing.T, l *lab) {
		for _, stat := range []string{"ACCEPTD", "ENROUTE", "DELIVRD"} {
			l.receipt(l.links[0], early{smpp.Receipt{MessageID: "5", Stat: stat}, "", ""})
		}
		l.links[0].await(t.Context(), delivery(""), "5", time.Now())
		if got, want := l.timeline.String(), "receipt a 5 ACCEPTD | receipt a 5 ENROUTE | receipt a 5 DELIVRD"; got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	})
}

func TestReceiptsAreBounded(t *testing.T) {
	inLab(t, []*smsc.Options{nil}, nil, func(t *testing.T, l *lab) {
		for i := range maxAwaited + 3 {
			l.links[0].await(t.Context(), delivery(""), strconv.Itoa(1_000_000+i), time.Now())
		}
		if got := testutil.ToFloat64(l.metrics.lost.WithLabelValues("overflow")); got != 3 {
			t.Errorf("got an overflow of %v, want 3", got)
		}
		for i := range maxEarly + 2 {
			l.receipt(l.links[0], early{smpp.Receipt{MessageID: "x" + strconv.Itoa(i)}, "", ""})
		}
		if got := testutil.ToFloat64(l.metrics.lost.WithLabelValues("unknown")); got != 2 {
			t.Errorf("got %v unknown, want 2", got)
		}
		time.Sleep(awaitedFor + time.Second)
		l.links[0].await(t.Context(), delivery(""), "1", time.Now())
		l.receipt(l.links[0], early{smpp.Receipt{MessageID: "y"}, "", ""})
		r := l.receipts
		if len(r.awaited.byKey) != 1 || r.awaited.size != 1 || len(r.early.byKey) != 1 || r.early.size != 1 {
			t.Errorf("got %d, %d, %d, %d left, want one of each", len(r.awaited.byKey), r.awaited.size, len(r.early.byKey), r.early.size)
		}
		if got := testutil.ToFloat64(l.metrics.lost.WithLabelValues("unknown")); got != maxEarly+2 {
			t.Errorf("got %v unknown, want %d", got, maxEarly+2)
		}
	})
}

func TestReceiptThatWasUsedIsNoLoss(t *testing.T) {
	inLab(t, []*smsc.Options{{Behaviour: smsc.Behaviour{ReceiptFirst: true}}}, nil, func(t *testing.T, l *lab) {
		l.Deliver(t.Context(), delivery("hi"))
		time.Sleep(earlyFor + time.Second)
		l.receipt(l.links[0], early{smpp.Receipt{MessageID: "x"}, "", ""})
		if got := testutil.ToFloat64(l.metrics.lost.WithLabelValues("unknown")); got != 0 {
			t.Errorf("got %v unknown, want none", got)
		}
	})
}
