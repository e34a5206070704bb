package gsmbridge

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

func TestALinkOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate, which is 127.0.0.1's
	defer web.Close()
	ca := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- smsc.New(smsc.Options{}).Run(t.Context(), ln) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		tls  TLSConfig
		want string // what health says; "": bound
	}{
		"who signed it is known":          {TLSConfig{On: true, CA: ca}, ""},
		"nobody known signed it":          {TLSConfig{On: true}, "certificate signed by unknown authority"},
		"it is somebody else's":           {TLSConfig{On: true, CA: ca, ServerName: "smsc.test"}, "certificate is valid for"},
		"TLS is spoken to who expects it": {TLSConfig{}, "no bind"},
	} {
		t.Run(name, func(t *testing.T) {
			link := LinkConfig{Name: "a", Address: ln.Addr().String(), SystemID: "callsign", TLS: c.tls}
			b, err := New(Options{Config: Config{Links: []LinkConfig{link}}})
			if err != nil {
				t.Fatal(err)
			}
			stop := running(t, b)
			defer stop()
			peer.Until(t, "the link is bound, or says why not", func() bool {
				h := b.Links()[0]
				return h.Bound || c.want != "" && strings.Contains(h.LastError, c.want)
			})
			if c.want == "" {
				if o := b.Deliver(t.Context(), delivery("hi")); o.State != callsign.Accepted {
					t.Errorf("got %+v", o)
				}
			} else if b.Links()[0].Bound {
				t.Errorf("it is bound")
			}
		})
	}
	for want, c := range map[string]TLSConfig{
		"smpp.links[0].tls: ca: open /nowhere.pem: no such file or directory":                {On: true, CA: "/nowhere.pem"},
		"smpp.links[0].tls: ca: /dev/null has no certificate in it: write a PEM file's name": {On: true, CA: "/dev/null"},
		"smpp.links[0].tls: cert and key: open : no such file or directory":                  {On: true, Cert: ca},
	} {
		err := (Config{Links: []LinkConfig{{Name: "a", Address: "h:1", SystemID: "x", TLS: c}}}).Validate()
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
