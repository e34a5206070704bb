package fetion

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// challenge is what the server asks in its W field: Digest algorithm="SHA1-sess-v4",nonce="…",key="…",signature="…".
type challenge struct{ nonce, key string }

func parseChallenge(value string) (c challenge, err error) {
	rest, isDigest := strings.CutPrefix(value, "Digest ")
	params := map[string]string{}
	for param := range strings.SplitSeq(rest, ",") {
		name, quotedValue, _ := strings.Cut(strings.TrimSpace(param), "=")
		params[name] = strings.Trim(quotedValue, `"`)
	}
	c = challenge{params["nonce"], params["key"]}
	if !isDigest || params["algorithm"] != "SHA1-sess-v4" || c.nonce == "" || len(c.nonce) > 64 {
		return c, fmt.Errorf("fetion: the challenge %.100q can't be answered", value)
	}
	return c, nil
}

// response answers c: the nonce, the hashed password and a key of ours, encrypted for the server. Without the account's number inside
// the service the hash of a password would be the same everywhere.
func (c challenge) response(user uint32, password string) (string, error) {
	at := len(c.key) - 6 // hexadecimal digits of the exponent; the modulus is before it
	if at < 256 || at > 1024 {
		return "", errors.New("fetion: the server's key has neither 1024 bits nor up to 4096")
	}
	modulus, ok := new(big.Int).SetString(c.key[:at], 16)
	exponent, err := strconv.ParseUint(c.key[at:], 16, 24)
	if !ok || err != nil || modulus.Sign() <= 0 {
		return "", errors.New("fetion: the server's key is no hexadecimal number")
	}
	hashed := sha1.Sum([]byte("fetion.com.cn:" + password))
	ofUser := sha1.Sum(append(binary.LittleEndian.AppendUint32(nil, user), hashed[:]...))
	plain := append(append([]byte(c.nonce), ofUser[:]...), make([]byte, 32)...)
	_, _ = rand.Read(plain[len(plain)-32:]) // it never fails
	//lint:ignore SA1019 the protocol knows no other padding
	cipher, err := rsa.EncryptPKCS1v15(rand.Reader, &rsa.PublicKey{N: modulus, E: int(exponent)}, plain)
	if err != nil {
		return "", fmt.Errorf("fetion: the server's key can't be used: %w", err)
	}
	return strings.ToUpper(hex.EncodeToString(cipher)), nil
}
