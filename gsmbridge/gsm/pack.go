package gsm

// Pack puts septets into octets as the air interface of SMS has them (TS 23.038 §6.1.2.1), for gateways that want them so.
// Before them stands a user data header of so many octets, 0 if none: the first septet begins on the next septet boundary
// after it (TS 23.040 §9.2.3.24). The header is not part of what Pack gives.
func Pack(septets []byte, header int) []byte {
	fill := fillBits(header)
	octets := make([]byte, (fill+7*len(septets)+7)/8)
	for i, s := range septets {
		bit := fill + 7*i
		s &= 0x7F
		octets[bit/8] |= s << (bit % 8)
		if bit%8 > 1 {
			octets[bit/8+1] |= s >> (8 - bit%8)
		}
	}
	return octets
}

// Unpack is the way back. How many septets there are SMS says beside them; at most as many as octets holds are given.
func Unpack(octets []byte, header, n int) []byte {
	fill := fillBits(header)
	n = max(0, min(n, (8*len(octets)-fill)/7))
	septets := make([]byte, n)
	for i := range septets {
		bit := fill + 7*i
		septets[i] = octets[bit/8] >> (bit % 8)
		if bit%8 > 1 {
			septets[i] |= octets[bit/8+1] << (8 - bit%8)
		}
		septets[i] &= 0x7F
	}
	return septets
}

// fillBits are the bits from the end of a header to the next septet boundary.
func fillBits(header int) int { return (7 - 8*header%7) % 7 }

const cr = 0x0D

// PackUSSD packs a USSD string. Nothing says how many septets that has, so seven spare bits would be an @: they are a
// carriage return instead, and a string that ends in a carriage return on an octet boundary gets a second one, which is
// seen as one (TS 23.038 §6.1.2.3.1).
func PackUSSD(septets []byte) []byte {
	n := len(septets)
	if n%8 == 7 || n > 0 && n%8 == 0 && septets[n-1] == cr {
		septets = append(septets[:n:n], cr)
	}
	return Pack(septets, 0)
}

// UnpackUSSD is the way back: a carriage return that ends on an octet boundary goes.
func UnpackUSSD(octets []byte) []byte {
	septets := Unpack(octets, 0, 8*len(octets)/7)
	if n := len(septets); n > 0 && n%8 == 0 && septets[n-1] == cr {
		septets = septets[:n-1]
	}
	return septets
}
