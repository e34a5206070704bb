package ims

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign"
)

var sipgo = sip.NewParser(sip.WithHeadersParsers(sip.HeadersParser{}))

// bySipgo is the callee by sipgo's reading of the same message: its fields, unfolded, and what it calls the Request-URI's line.
func bySipgo(r Reader, b []byte) (m callsign.MSISDN, accepted bool) {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	header, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	msg, err := sipgo.ParseSIP(b)
	if err != nil || bytes.Count(header, []byte("\n")) != bytes.Count(header, []byte("\r\n")) || // it knows no bare line ends,
		bytes.ContainsAny(header, "\v\f\u0085\u00a0") { // and takes all of Unicode's white space for white space
		return 0, false
	}
	req, ok := msg.(*sip.Request)
	if !ok {
		return 0, false
	}
	first := func(names ...string) (value []byte, found bool) {
		for _, h := range req.Headers() {
			for _, n := range names {
				if strings.EqualFold(strings.TrimRight(h.Name(), " \t"), n) {
					return []byte(h.Value()), true
				}
			}
		}
		return nil, false
	}
	if served, found := first("P-Served-User"); found {
		m, _ = r.number(addrSpec(served))
		return m, true
	}
	uri := identity{uri: []byte(strings.Split(string(line), " ")[1])}
	m, ok = r.number(uri)
	if r.routed(uri, m, ok) {
		to, _ := first("To", "t")
		m, _ = r.number(addrSpec(to))
	}
	return m, true
}

// FuzzRead holds the cheap scan against the full reading and both against sipgo: none panics, and they name the same callee.
func FuzzRead(f *testing.F) {
	f.Add(message(""))
	f.Add(message("P-Served-User: \"a\" <tel:+861>;sescase=orig\nHistory-Info: <sip:+1@x?Reason=a>;index=1\nDiversion: x\n"))
	f.Add(message("P-Access-Network-Info: 3GPP-GERAN;np, a\nPrivacy: id;header\nP-Charging-Vector: icid-value=\"a;b\"\nc: multipart/mixed;boundary=b\n"))
	f.Add([]byte(strings.NewReplacer("sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001;npdi;rn=+861344", "To: <", "t:\r\n <").Replace(string(message("")))))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Reader{Region: "CN", CallerFrom: From, Roaming: visited}
		scanned, ok := r.Callee(b)
		if ok != (scanned != 0) {
			t.Fatalf("got %v %v", scanned, ok)
		}
		call, err := r.Read(b)
		if err == nil && (call.Callee != scanned || (call.Access == "") != (call.AccessFrom == "")) {
			t.Fatalf("Read says %+v, Callee %v", call, scanned)
		}
		if want, accepted := bySipgo(r, b); accepted && want != scanned {
			t.Fatalf("sipgo's reading says %v, Callee %v", want.E164(), scanned.E164())
		}
	})
}

// An INVITE of the size and order that an S-CSCF sends.
var full = message(strings.Repeat("X-Header: some value of the usual length, as it comes from a phone in a network;with=parameters\n", 14) +
	"P-Charging-Vector: icid-value=\"AyretyU0dm+6O2IrT5tAFrbHLso=\";icid-generated-at=192.0.2.1;orig-ioi=home1.test\n" +
	"P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=234151D0FCE11\nPrivacy: none\n")

func BenchmarkCallee(b *testing.B) {
	change := func(old, with string) []byte { return bytes.Replace(full, []byte(old), []byte(with), 1) }
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"RequestURI", full},
		{"ServedUser", change("Privacy: none", "P-Served-User: <sip:+8613900000002@ims.test>;sescase=term;regstate=reg")},
		{"MSRN", change("sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001")},
		{"National", change("+8613900000002", "13900000002")},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := Reader{Region: "CN", Roaming: visited}
			b.ReportAllocs()
			b.SetBytes(int64(len(c.in)))
			for b.Loop() {
				if m, _ := r.Callee(c.in); m != bob {
					b.Fatalf("got %v", m.E164())
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	r := Reader{Region: "CN"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(full); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIsFixedLine(b *testing.B) {
	for _, m := range []callsign.MSISDN{bob, 861062345678, 442071838750} {
		b.Run(m.E164(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				IsFixedLine(m)
			}
		})
	}
}
