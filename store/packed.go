package store

import (
	"encoding/binary"

	"github.com/callsign-as/callsign"
)

// Pack makes all of a profile but its number and revision one string, its policy last. What is shown mostly is the text as it was said: then
// it stands there once.
func Pack(p *callsign.Profile) string {
	g := &p.Signature
	b := make([]byte, 0, 256)
	for _, n := range [...]int64{g.Stamp.Epoch, g.Stamp.Version, Micros(g.At), Micros(g.Expires)} {
		b = binary.AppendVarint(b, n)
	}
	parts := [...]string{p.Tenant, p.Name, g.Network, g.Account, g.Lang, g.Origin, g.Text}
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
	}
	shown := g.Shown
	if shown == g.Text {
		b, shown = append(b, 0), ""
	} else {
		b = binary.AppendUvarint(b, uint64(len(shown))+1)
	}
	for _, part := range parts {
		b = append(b, part...)
	}
	b = append(b, shown...)
	if p.Policy != nil {
		b = append(b, packPolicy(p.Policy)...)
	}
	return string(b)
}

// Unpack is what was packed; false: nothing was, the string is something else.
func Unpack(m callsign.MSISDN, rev uint64, packed string) (p callsign.Profile, ok bool) {
	p, policy, ok := unpack(m, rev, packed)
	if ok && policy != "" {
		var err error
		p.Policy, err = unpackPolicy(policy)
		ok = err == nil
	}
	return p, ok
}

// unpack leaves the policy packed: memory has it compiled.
func unpack(m callsign.MSISDN, rev uint64, packed string) (p callsign.Profile, policy string, ok bool) {
	u := unpacker{packed, true}
	p.MSISDN, p.Rev = m, rev
	g := &p.Signature
	g.Stamp.Epoch, g.Stamp.Version = u.int(), u.int()
	g.At, g.Expires = FromMicros(u.int()), FromMicros(u.int())
	var lengths [8]uint64
	for i := range lengths {
		lengths[i] = u.uint()
	}
	for i, part := range [...]*string{&p.Tenant, &p.Name, &g.Network, &g.Account, &g.Lang, &g.Origin, &g.Text} {
		*part = u.cut(lengths[i])
	}
	if g.Shown = g.Text; lengths[7] > 0 {
		g.Shown = u.cut(lengths[7] - 1)
	}
	return p, u.rest, u.ok
}

// unpacker reads from a string, of which its strings stay parts, what encoding/binary appends.
type unpacker struct {
	rest string
	ok   bool
}

func (u *unpacker) uint() (n uint64) {
	for i := range min(len(u.rest), binary.MaxVarintLen64) {
		n |= uint64(u.rest[i]&0x7f) << (7 * i)
		if u.rest[i] < 0x80 {
			u.rest = u.rest[i+1:]
			return n
		}
	}
	u.ok = false
	return 0
}

func (u *unpacker) int() int64 {
	n := u.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) cut(n uint64) (part string) {
	if n > uint64(len(u.rest)) {
		u.ok, n = false, 0
	}
	part, u.rest = u.rest[:n], u.rest[n:]
	return part
}
