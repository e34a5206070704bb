package msn

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
)

// We pass for MSN Messenger 7.5.
const productID, productKey = "PROD0090YUAUV{2B", "YMM8C_H7KCQ2S_KL"

// answer is what QRY says to a CHL (MSNP11's challenge): a 64-bit checksum of challenge and product over the digest of challenge
// and product key, laid upon that digest.
func answer(challenge, product, key string) string {
	const prime, factor = 0x7FFFFFFF, 0x0E79A9C1
	digest := md5.Sum([]byte(challenge + key))
	var d [4]uint64
	for i := range d {
		d[i] = uint64(binary.LittleEndian.Uint32(digest[4*i:]) & prime)
	}
	text := []byte(challenge + product)
	for len(text)%8 != 0 {
		text = append(text, '0')
	}
	var high, low uint64
	for i := 0; i < len(text); i += 8 {
		even, odd := uint64(binary.LittleEndian.Uint32(text[i:])), uint64(binary.LittleEndian.Uint32(text[i+4:]))
		first := (d[0]*(even*factor%prime+high) + d[1]) % prime
		high = (d[2]*((odd+first)%prime) + d[3]) % prime
		low += high + first
	}
	high, low = (high+d[1])%prime, (low+d[3])%prime
	var key64 [8]byte
	binary.LittleEndian.PutUint32(key64[:], uint32(high))
	binary.LittleEndian.PutUint32(key64[4:], uint32(low))
	for i := range digest {
		digest[i] ^= key64[i%8]
	}
	return hex.EncodeToString(digest[:])
}
