package ims

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strconv"
	"time"

	"github.com/callsign-as/callsign"
)

// Registration is what a third-party REGISTER tells of a user (TS 24.229 §5.4.1.7).
type Registration struct {
	MSISDNs []callsign.MSISDN // their numbers: the one registered and those registered with it
	Expires time.Duration     // how long it holds; 0: they are no longer registered
	Access  string            // as P-Access-Network-Info writes it, "" if unknown
	SMS     bool              // the phone takes SMS over IP (+g.3gpp.smsip)
	USSI    bool              // it takes USSD over IP from the network (+g.3gpp.nw-init-ussi)
}

// unsaid is how long a registration holds that doesn't say it readably (RFC 3261 §10.3, step 6).
const unsaid = time.Hour

// Registration reads a third-party REGISTER: To names the user, for From and Contact are the S-CSCF's. What the phone itself
// sent, and was answered, stands in its body where the filter criteria ask for it.
func (r Reader) Registration(register []byte) (Registration, error) {
	m := readMessage(register)
	if !bytes.HasPrefix(m.line, []byte("REGISTER ")) {
		return Registration{}, errors.New("read REGISTER: it is none")
	}
	reg := Registration{Expires: expires(m)}
	to := identities(m.all("to", "t"))
	for _, part := range append([]sipMessage{m}, embedded(m)...) {
		to = append(to, allIdentities(part.all("p-associated-uri", ""))...)
		if reg.Access == "" {
			reg.Access = access(part)
		}
		values(part.all("contact", "m"), func(v []byte) {
			params := addrSpec(v).params
			reg.SMS = reg.SMS || hasParam(params, "+g.3gpp.smsip")
			reg.USSI = reg.USSI || hasParam(params, "+g.3gpp.nw-init-ussi")
		})
	}
	for _, id := range to {
		if n, ok := r.number(id); ok && !slices.Contains(reg.MSISDNs, n) && len(reg.MSISDNs) < maxNumbers {
			reg.MSISDNs = append(reg.MSISDNs, n)
		}
	}
	if len(reg.MSISDNs) == 0 {
		return reg, errors.New("read REGISTER: neither To nor P-Associated-URI has a number")
	}
	return reg, nil
}

// maxNumbers bounds what one REGISTER may fill the memory with.
const maxNumbers = 16

// expires is a Contact's own, the longest of several, else the message's (RFC 3261 §10.2.1.1).
func expires(m sipMessage) time.Duration {
	longest := time.Duration(-1)
	values(m.all("contact", "m"), func(v []byte) {
		if e, found := lookup(addrSpec(v).params, "expires"); found {
			longest = max(longest, seconds(e))
		}
	})
	if longest >= 0 {
		return longest
	}
	return seconds(m.first("expires", ""))
}

func seconds(b []byte) time.Duration {
	n, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return unsaid
	}
	return time.Duration(n) * time.Second
}

// embedded are the messages in the body: the phone's REGISTER, the answer to it, or both.
func embedded(m sipMessage) (all []sipMessage) {
	kind, params, err := mime.ParseMediaType(string(m.first("content-type", "c")))
	switch {
	case err != nil:
	case kind == "message/sip":
		all = append(all, readMessage(m.body))
	case kind == "multipart/mixed" && params["boundary"] != "":
		parts := multipart.NewReader(bytes.NewReader(m.body), params["boundary"])
		for range maxParts {
			p, err := parts.NextRawPart()
			if err != nil {
				return all
			}
			if kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind != "message/sip" {
				continue
			}
			if body, err := io.ReadAll(p); err == nil {
				all = append(all, readMessage(body))
			}
		}
	}
	return all
}

const maxParts = 8
