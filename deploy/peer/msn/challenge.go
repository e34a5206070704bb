package msn

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/big"
)

const productID, productKey = "PROD0090YUAUV{2B", "YMM8C_H7KCQ2S_KL"

// Digest is the answer to a challenge, as the documents describe it: in whole numbers of any size, so that nothing is cut by chance.
func Digest(challenge string) string {
	n := func(v uint32) *big.Int { return big.NewInt(int64(v)) }
	prime := n(0x7FFFFFFF)
	mod := func(v *big.Int) *big.Int { return new(big.Int).Mod(v, prime) }
	sum := md5.Sum([]byte(challenge + productKey))
	var parts [4]*big.Int
	for i := range parts {
		parts[i] = n(binary.LittleEndian.Uint32(sum[4*i:]) & 0x7FFFFFFF)
	}
	text := challenge + productID
	for len(text)%8 != 0 {
		text += "0"
	}
	high, low := new(big.Int), new(big.Int)
	for ; text != ""; text = text[8:] {
		a, b := n(binary.LittleEndian.Uint32([]byte(text))), n(binary.LittleEndian.Uint32([]byte(text[4:])))
		t := mod(a.Mul(a, n(0x0E79A9C1)))
		t = t.Add(t, high)
		t = mod(t.Add(t.Mul(t, parts[0]), parts[1]))
		high = mod(b.Add(b, t))
		high = mod(high.Add(high.Mul(high, parts[2]), parts[3]))
		low.Add(low, high)
		low.Add(low, t)
	}
	high, low = mod(high.Add(high, parts[1])), mod(low.Add(low, parts[3]))
	// The key's halves are swapped as it is laid upon the two halves of the digest.
	key := uint64(low.Uint64())<<32 | high.Uint64()
	return fmt.Sprintf("%016x%016x", swapped(binary.LittleEndian.Uint64(sum[:8])^key), swapped(binary.LittleEndian.Uint64(sum[8:])^key))
}

// swapped is v with its bytes in the other order, as it goes over the wire.
func swapped(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return binary.BigEndian.Uint64(b[:])
}
