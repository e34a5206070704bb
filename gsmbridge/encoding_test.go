package gsmbridge

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

// ussdStrings are USSD strings, and what of each is shown.
var ussdStrings = []struct {
	text, shown string
	dataCoding  byte
}{
	{"Back at six [€]", "Back at six [€]", 0x0F},
	{strings.Repeat("a", 182), strings.Repeat("a", 182), 0x0F},
	{strings.Repeat("a", 183), strings.Repeat("a", 179) + "...", 0x0F},
	{strings.Repeat("我", 80), strings.Repeat("我", 80), 0x48},
	{strings.Repeat("我", 81), strings.Repeat("我", 79) + "…", 0x48},
}

func TestTsharkReadsUSSD(t *testing.T) {
	tshark := peer.Tshark(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smsc.New(smsc.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	var tapped *capture
	b, _, stop := connected(t, USSD, ln.Addr().String(), func(conn net.Conn) net.Conn {
		tapped = newCapture(conn)
		return tapped
	})
	for i, c := range ussdStrings {
		if o := b.Deliver(t.Context(), onGERAN(c.text)); o.State != callsign.Accepted || o.Channel != USSD {
			t.Errorf("got %+v", o)
		}
		if m := server.Messages(caller)[i]; m.Text != c.shown || !m.USSD {
			t.Errorf("shown %+v, want %q by USSD", m, c.shown)
		}
	}
	stop()
	cancel()
	<-ended
	rows := dissect(t, tshark, tapped.file.Bytes(), []string{"-d", "tcp.port==2775,smpp", "-Y", "smpp.command_id==4"},
		"smpp.service_type", "smpp.data_coding", "smpp.ussd_service_op", "smpp.its_session.number", "smpp.its_session.sequence",
		"smpp.its_session.ind", "smpp.destination_addr", "_ws.malformed", "smpp.message")
	if len(rows) != len(ussdStrings) {
		t.Fatalf("tshark reads %d submit_sm, want %d: %q", len(rows), len(ussdStrings), rows)
	}
	for i, c := range ussdStrings {
		want := []string{"USSD", fmt.Sprintf("0x%02x", c.dataCoding), "3", fmt.Sprint(i + 1), "0x00", "0x01", "8613900000001", ""}
		if got := rows[i][:8]; !slices.Equal(got, want) {
			t.Errorf("tshark reads\n%q, want\n%q", got, want)
		}
		octets, err := hex.DecodeString(rows[i][8])
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := gsm.DecodeUSSD(c.dataCoding, octets); text != c.shown {
			t.Errorf("got %q, want %q", text, c.shown)
		}
	}
}

func TestNetSMPP(t *testing.T) {
	perl := peer.Program(t, "perl", "perl")
	if err := exec.Command(perl, "-MNet::SMPP", "-e", "1").Run(); err != nil {
		peer.Absent(t, "Perl's Net::SMPP is not installed (Debian's libnet-smpp-perl): deploy/test.sh installs it")
	}
	start := func(t *testing.T) (address string, saw func() []map[string]any) {
		cmd := exec.Command(perl, "testdata/smsc.pl")
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
		lines := bufio.NewScanner(stdout)
		if !lines.Scan() {
			t.Fatal("Perl doesn't say its port")
		}
		return "127.0.0.1:" + lines.Text(), func() (all []map[string]any) {
			for lines.Scan() {
				m := map[string]any{}
				if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
					t.Fatalf("%s: %v", lines.Text(), err)
				}
				all = append(all, m)
			}
			return all
		}
	}
	check := func(t *testing.T, got map[string]any, text string, dataCoding byte, decode func(byte, []byte) (string, string), more map[string]any) {
		t.Helper()
		octets, err := hex.DecodeString(got["octets"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if read, _ := decode(dataCoding, octets); read != text {
			t.Errorf("Perl reads the octets of %q, want %q", read, text)
		}
		want := map[string]any{
			"destination_addr": "8613900000001", "dest_addr_ton": 1.0, "dest_addr_npi": 1.0, "source_addr": "10086", "data_coding": float64(dataCoding),
			"esm_class": 0.0, "registered_delivery": 1.0, "service_type": "",
		}
		maps.Copy(want, more)
		for k, v := range want {
			if fmt.Sprint(got[k]) != fmt.Sprint(v) {
				t.Errorf("%q: Perl reads %s %v, want %v", text, k, got[k], v)
			}
		}
	}
	t.Run("flash SMS", func(t *testing.T) {
		address, saw := start(t)
		b, _, stop := connected(t, Flash, address, nil)
		for _, c := range texts {
			if o := b.Deliver(t.Context(), delivery(c.text)); o.State != callsign.Accepted {
				t.Errorf("got %+v", o)
			}
		}
		stop()
		all := saw()
		if len(all) != len(texts) {
			t.Fatalf("Perl was sent %d messages, want %d", len(all), len(texts))
		}
		for i, c := range texts {
			check(t, all[i], c.shown, c.dataCoding, gsm.Decode, nil)
		}
	})
	t.Run("USSD", func(t *testing.T) {
		address, saw := start(t)
		b, _, stop := connected(t, USSD, address, nil)
		for _, c := range ussdStrings {
			if o := b.Deliver(t.Context(), onGERAN(c.text)); o.State != callsign.Accepted {
				t.Errorf("got %+v", o)
			}
		}
		stop()
		all := saw()
		if len(all) != len(ussdStrings) {
			t.Fatalf("Perl was sent %d messages, want %d", len(all), len(ussdStrings))
		}
		for i, c := range ussdStrings {
			tlvs := map[string]any{"0501": "03", "1383": fmt.Sprintf("%02x01", i+1)}
			check(t, all[i], c.shown, c.dataCoding, gsm.DecodeUSSD, map[string]any{"service_type": "USSD", "tlvs": tlvs})
		}
	})
}

// TestKannelAsESME has another ESME send over our simulator: what it is good for as an SMSC.
func TestKannelAsESME(t *testing.T) {
	bearerbox, smsbox := peer.Program(t, "bearerbox", "kannel"), peer.Program(t, "smsbox", "kannel")
	server := smsc.New(smsc.Options{SystemID: "kannel", Password: "secret"})
	host := peer.Host()
	ln, err := net.Listen("tcp", host+":2775")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	receipts := make(chan string, 8)
	web := http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { receipts <- r.URL.Query().Get("type") })}
	webListener, err := net.Listen("tcp", host+":8800")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = web.Serve(webListener) }()
	t.Cleanup(func() { _ = web.Close() })
	dir := t.TempDir()
	config := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(`
group = core
admin-port = 13000
admin-interface = HOST
admin-password = x
smsbox-port = 13001
smsbox-interface = HOST
log-level = 1
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = ours
host = HOST
port = 2775
transceiver-mode = true
smsc-username = kannel
smsc-password = secret
system-type = ""

group = smsbox
bearerbox-host = HOST
bearerbox-port = 13001
sendsms-port = 13013
sendsms-interface = HOST
log-level = 1

group = sendsms-user
username = u
password = p
max-messages = 3
concatenation = true
`, "HOST", host)), 0o600); err != nil {
		t.Fatal(err)
	}
	box := peer.Start(t, bearerbox, nil, config)
	peer.Until(t, "Kannel to take smsboxes", func() bool {
		conn, err := net.Dial("tcp", host+":13001")
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	sms := peer.Start(t, smsbox, nil, config)
	peer.Until(t, "smsbox to be connected: a message that comes before ends it", func() bool {
		return strings.Contains(sms.Output(), "Connected to bearerbox")
	})
	send := func(parameters url.Values) (status int) {
		parameters.Set("username", "u")
		parameters.Set("password", "p")
		parameters.Set("from", "10086")
		parameters.Set("to", "8613900000001")
		parameters.Set("charset", "UTF-8")
		parameters.Set("dlr-mask", "1")
		parameters.Set("dlr-url", "http://"+host+":8800/?type=%d")
		resp, err := http.Get("http://" + host + ":13013/cgi-bin/sendsms?" + parameters.Encode())
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	long := strings.Repeat("long ", 50)
	first := url.Values{"text": {"Plain [€]"}}
	peer.Until(t, "Kannel to take a message", func() bool { return send(first) == http.StatusAccepted })
	for i, c := range []struct {
		parameters url.Values
		text       string
		flash      bool
	}{
		{nil, "Plain [€]", false},
		{url.Values{"text": {"Flash"}, "mclass": {"0"}}, "Flash", true},
		{url.Values{"text": {"我在开会"}, "coding": {"2"}, "mclass": {"0"}}, "我在开会", true},
		{url.Values{"text": {long}}, long, false},
	} {
		if c.parameters != nil {
			if status := send(c.parameters); status != http.StatusAccepted {
				t.Fatalf("Kannel answers %d: %s%s", status, box.Output(), sms.Output())
			}
		}
		messages, err := server.Wait(t.Context(), caller, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if m := messages[i]; m.Text != c.text || m.Flash != c.flash || m.From != "10086" {
			t.Errorf("shown %+v, want %q, flash: %t", m, c.text, c.flash)
		}
		if got := <-receipts; got != "1" {
			t.Errorf("Kannel tells receipt %s, want 1: delivered", got)
		}
	}
}
