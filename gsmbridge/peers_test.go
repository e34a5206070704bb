package gsmbridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

// connected runs a bridge with one link of a channel to address until the test ends; stop ends it sooner.
func connected(t *testing.T, channel, address string, tap func(net.Conn) net.Conn) (b *Bridge, timeline *recorder, stop func()) {
	t.Helper()
	timeline = &recorder{}
	b, err := New(Options{Recorder: timeline, Config: Config{Links: []LinkConfig{
		{Name: "a", Address: address, SystemID: "callsign", Password: "secret", Sender: "10086", Channel: channel},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if dial := b.links[0].dial; tap != nil {
		b.links[0].dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return tap(conn), nil
		}
	}
	stop = running(t, b)
	peer.Until(t, "the link is bound", func() bool { return b.Links()[0].Bound })
	return b, timeline, stop
}

// running runs b until the test ends; stop ends it sooner.
func running(t *testing.T, b *Bridge) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// texts are what the peers are sent, what of it, and how.
var texts = []struct {
	text, shown string
	dataCoding  byte
}{
	{"On holiday. Call me tomorrow!", "On holiday. Call me tomorrow!", 0xF0},
	{"Grüße [€] {~} @ ÇΔ", "Grüße [€] {~} @ ÇΔ", 0xF0},
	{"我在开会 😀 稍后回电", "我在开会 😀 稍后回电", 0x18},
	{"İstanbul'dayım, çok meşgul", "İstanbul'dayım, çok meşgul", 0x18},
	{"أنا في اجتماع", "أنا في اجتماع", 0x18},
	{"👨‍👩‍👧‍👦 at the sea 👍🏽", "👨‍👩‍👧‍👦 at the sea 👍🏽", 0x18},
	{strings.Repeat("a", 160), strings.Repeat("a", 160), 0xF0},
	{strings.Repeat("a", 161), strings.Repeat("a", 157) + "...", 0xF0},
	{strings.Repeat("我", 70), strings.Repeat("我", 70), 0x18},
	{strings.Repeat("我", 71), strings.Repeat("我", 69) + "…", 0x18},
}

func TestLoopback(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smsc.New(smsc.Options{SystemID: "callsign", Password: "secret"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	b, timeline, stop := connected(t, Flash, ln.Addr().String(), nil)
	for _, c := range texts {
		if got := b.Deliver(t.Context(), delivery(c.text)); got.State != callsign.Accepted {
			t.Errorf("%q: got %+v, want it accepted", c.text, got)
		}
	}
	messages, err := server.Wait(t.Context(), caller, len(texts))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		if m.Text != texts[i].shown || m.DataCoding != texts[i].dataCoding || !m.Flash || m.From != "10086" {
			t.Errorf("got %+v, want %+v as a Flash SMS from 10086", m, texts[i])
		}
	}
	peer.Until(t, "each text has its receipt", func() bool { return strings.Count(timeline.String(), "DELIVRD") == len(texts) })
	stop()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the SMSC ended with %v", err)
	}
}

func TestNodeSMPP(t *testing.T) {
	node, modules := peer.Node(t, "smpp")
	cmd := exec.Command(node, "testdata/smsc.js")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = stdin.Close(), cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("node does not say its port")
	}
	b, timeline, stop := connected(t, Flash, "127.0.0.1:"+lines.Text(), nil)
	for _, c := range texts {
		if got := b.Deliver(t.Context(), delivery(c.text)); got.State != callsign.Accepted {
			t.Errorf("%q: got %+v, want it accepted", c.text, got)
		}
	}
	peer.Until(t, "each text has its receipt", func() bool { return strings.Count(timeline.String(), "DELIVRD") == len(texts) })
	stop()
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	happened := map[string]int{}
	for lines.Scan() {
		var e struct {
			Event, To, From, Text string
			TON, NPI              int
			DataCoding            byte `json:"data_coding"`
			Registered, Status    int
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("node says %q: %v", lines.Text(), err)
		}
		n := happened[e.Event]
		happened[e.Event]++
		switch e.Event {
		case "submitted":
			if e.To != "8613900000001" || e.TON != 1 || e.NPI != 1 || e.From != "10086" || e.Registered != 1 || e.Text != texts[n].shown || e.DataCoding != texts[n].dataCoding {
				t.Errorf("node reads %+v, want %+v", e, texts[n])
			}
		case "receipted":
			if e.Status != 0 {
				t.Errorf("node's receipt was refused with %d", e.Status)
			}
		case "error":
			t.Errorf("node says %s", e.Text)
		}
	}
	want := map[string]int{"bound": 1, "alive": 1, "submitted": len(texts), "receipted": len(texts), "unbound": 1}
	if !maps.Equal(happened, want) {
		t.Errorf("at node %v happened, want %v", happened, want)
	}
}

// capture writes what goes over a connection as a pcap file, each write in an Ethernet, IPv4 and TCP frame of its own.
type capture struct {
	net.Conn
	mu   sync.Mutex
	file *bytes.Buffer
	next [2]uint32 // TCP sequence numbers, ours first
}

func newCapture(conn net.Conn) *capture {
	header := []uint32{0xA1B2C3D4, 2 | 4<<16, 0, 0, 0xFFFF, 1} // pcap 2.4, Ethernet
	file := &bytes.Buffer{}
	_ = binary.Write(file, binary.LittleEndian, header)
	return &capture{Conn: conn, file: file, next: [2]uint32{1, 1}}
}

func (c *capture) Write(b []byte) (int, error) {
	c.frame(0, b)
	return c.Conn.Write(b)
}

func (c *capture) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.frame(1, b[:n])
	return n, err
}

func (c *capture) frame(from int, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(payload) == 0 {
		return
	}
	ports := [2]uint16{40000, 2775}
	length := 20 + 20 + len(payload)
	frame := append(make([]byte, 12), 0x08, 0x00) // Ethernet
	frame = append(frame, 0x45, 0)                // IPv4
	frame = binary.BigEndian.AppendUint16(frame, uint16(length))
	frame = append(frame, 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, byte(1+from), 127, 0, 0, byte(2-from))
	frame = binary.BigEndian.AppendUint16(frame, ports[from]) // TCP
	frame = binary.BigEndian.AppendUint16(frame, ports[1-from])
	frame = binary.BigEndian.AppendUint32(frame, c.next[from])
	frame = binary.BigEndian.AppendUint32(frame, c.next[1-from])
	frame = append(frame, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0)
	frame = append(frame, payload...)
	c.next[from] += uint32(len(payload))
	_ = binary.Write(c.file, binary.LittleEndian, []uint32{0, 0, uint32(len(frame)), uint32(len(frame))})
	c.file.Write(frame)
}

func TestTsharkReadsWhatWeSend(t *testing.T) {
	tshark := peer.Tshark(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smsc.New(smsc.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	var taps []*capture
	b, timeline, stop := connected(t, Flash, ln.Addr().String(), func(conn net.Conn) net.Conn {
		taps = append(taps, newCapture(conn))
		return taps[len(taps)-1]
	})
	for _, c := range texts {
		b.Deliver(t.Context(), delivery(c.text))
	}
	peer.Until(t, "each text has its receipt", func() bool { return strings.Count(timeline.String(), "DELIVRD") == len(texts) })
	stop()
	cancel()
	<-ended
	rows := dissect(t, tshark, taps[0].file.Bytes(), []string{"-d", "tcp.port==2775,smpp", "-Y", "smpp.command_id==4"},
		"smpp.destination_addr", "smpp.dest_addr_ton", "smpp.data_coding", "smpp.esm.submit.msg_type", "smpp.validity_period_r",
		"smpp.regdel.receipt", "_ws.malformed", "smpp.message_text", "smpp.message")
	if len(rows) != len(texts) {
		t.Fatalf("tshark reads %d submit_sm, want %d: %q", len(rows), len(texts), rows)
	}
	for i, c := range texts {
		text := ""
		if c.dataCoding == 0xF0 { // 0x18 is reserved in SMPP 3.4 §5.2.19, so its dissector shows the octets alone
			text = c.shown
		}
		want := []string{"8613900000001", "0x01", fmt.Sprintf("0x%02x", c.dataCoding), "0x00", "30.000000000", "0x01", "", text}
		if got := rows[i][:8]; !slices.Equal(got, want) {
			t.Errorf("tshark's smpp reads\n%q, want\n%q", got, want)
		}
		octets, err := hex.DecodeString(rows[i][8])
		if err != nil {
			t.Fatal(err)
		}
		// The same octets as the handset gets them: in an SMS-DELIVER, data_coding as its TP-DCS.
		got := dissect(t, tshark, tpdu(c.dataCoding, octets),
			[]string{"-o", `uat:user_dlts:"User 0 (DLT=147)","gsm_sms","0","","0",""`}, "gsm_sms.dcs.message_class", "gsm_sms.sms_text")
		if want := [][]string{{"0x00", c.shown}}; !reflect.DeepEqual(got, want) {
			t.Errorf("tshark's gsm_sms reads %q, want %q", got, want)
		}
	}
}

// dissect gives tshark's fields of each packet of a capture.
func dissect(t *testing.T, tshark string, capture []byte, args []string, fields ...string) (rows [][]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.pcap")
	if err := os.WriteFile(path, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-r", path, "-T", "fields"}, args...)
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(tshark, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &stderr)
	}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// tpdu is an SMS-DELIVER (TS 23.040 §9.2.2.1) in a pcap file of its own.
func tpdu(dcs byte, userData []byte) []byte {
	length := byte(len(userData))
	if dcs == 0xF0 {
		userData = packed(userData)
	}
	b := append([]byte{0x04, 5, 0x81, 0x01, 0x80, 0xF6, 0, dcs, 0x42, 0x11, 0x32, 0x21, 0x82, 0, 0, length}, userData...)
	n := uint32(len(b))
	file := &bytes.Buffer{}
	_ = binary.Write(file, binary.LittleEndian, []uint32{0xA1B2C3D4, 2 | 4<<16, 0, 0, 0xFFFF, 147, 0, 0, n, n})
	file.Write(b)
	return file.Bytes()
}

// packed puts septets into octets as the air interface has them (TS 23.038 §6.1.2.1).
func packed(septets []byte) []byte {
	octets := make([]byte, (7*len(septets)+7)/8)
	for i, s := range septets {
		bit := 7 * i
		octets[bit/8] |= s << (bit % 8)
		if bit%8 > 1 {
			octets[bit/8+1] |= s >> (8 - bit%8)
		}
	}
	return octets
}
