package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

// messageID is what every submit_sm is answered with.
const messageID = "0123456789"

// serve is an SMSC that says yes to everything and looks at nothing but headers; it knows no library. For each connection it
// prints how long its submits were, so that all can be seen to send as much.
func serve(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			submits, octets, err := answer(conn)
			fmt.Printf("submits=%d octets=%.2f\n", submits, float64(octets)/float64(submits))
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// answer answers what comes in, many PDUs in one write.
func answer(conn net.Conn) (submits, octets int, err error) {
	const headerLen, submitSM = 16, 0x04
	in, out := bufio.NewReaderSize(conn, 64<<10), make([]byte, 0, 64<<10)
	for {
		h, err := in.Peek(headerLen)
		if err != nil {
			return submits, octets, err
		}
		length, id, seq := int(binary.BigEndian.Uint32(h)), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[12:])
		body := ""
		switch id {
		case 0x01, 0x02, 0x09: // the binds
			body = "sink\x00"
		case submitSM:
			body = messageID + "\x00"
			submits, octets = submits+1, octets+length
		}
		if _, err := in.Discard(length); err != nil {
			return submits, octets, err
		}
		if id&0x80000000 == 0 {
			out = binary.BigEndian.AppendUint32(out, uint32(headerLen+len(body)))
			out = binary.BigEndian.AppendUint32(out, id|0x80000000)
			out = binary.BigEndian.AppendUint32(out, 0)
			out = binary.BigEndian.AppendUint32(out, seq)
			out = append(out, body...)
		}
		if in.Buffered() < headerLen || len(out) > 48<<10 {
			if _, err := conn.Write(out); err != nil {
				return submits, octets, err
			}
			out = out[:0]
		}
	}
}
