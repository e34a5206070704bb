package callsign

import (
	"crypto/sha256"
	"regexp"
	"strings"
	"time"
)

// Link is an account's tie to a subscriber: how it was proved or, while Proved is zero, is to be until Expires.
type Link struct {
	Tenant           string
	MSISDN           MSISDN
	Network, Account string
	Proof            Proof
	By               string   // id of the key that asked for it
	Code             CodeHash // of one that waits
	Tries            int      // different wrong codes that came for it
	Asked, Expires   time.Time
	Proved           time.Time
}

// Word is the link that an operator's word makes.
func Word(sc Scope, m MSISDN, network, account string, now time.Time) Link {
	return Link{Tenant: sc.Tenant, MSISDN: m, Network: network, Account: account, Proof: ByOperator, By: sc.KeyID, Asked: now, Proved: now}
}

// Waits reports whether l can still be proved at now.
func (l Link) Waits(now time.Time) bool {
	return l.Proved.IsZero() && now.Before(l.Expires) && l.Tries < MaxTries
}

// Proof says who vouches for it that an account is a subscriber's.
type Proof string

// The proofs of a Link.
const (
	ByOperator  Proof = "operator"  // an operator's word
	BySignature Proof = "signature" // the account said the code that was given for the number
	BySMS       Proof = "sms"       // the number sent the code that was given for the account
	ByNetwork   Proof = "network"   // the network has verified the account's number
)

// Showing is a code that was shown: by an account, or, where it has none, by a number.
type Showing struct {
	Tenant, Network, Account string
	MSISDN                   MSISDN
	Code                     CodeHash
	At                       time.Time
}

// Proving is what became of a Showing.
type Proving string

// What becomes of a Showing.
const (
	Unawaited Proving = "unawaited" // nobody waits for a code there
	Proved    Proving = "linked"    // the account is its subscriber's now
	Wrong     Proving = "wrong"     // it is another code
	Taken     Proving = "taken"     // the account became another's meanwhile, and stays so
)

// The bounds of what waits for its proof.
const (
	MaxWaiting   = 5 // links of one number, and links of one account
	MaxTries     = 5 // different wrong codes; after them the right one proves nothing
	CodeValidFor = 15 * time.Minute
)

// CodeHash is the SHA-256 of a code: the code itself is never kept.
type CodeHash [32]byte

// codeDigits are Crockford's, without the letters that look like others.
const codeDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// MakeCode writes 40 random bits as a person types them, like CS-7K3M-9Q2X.
func MakeCode(random [5]byte) string {
	code := []byte("CS-XXXX-XXXX")
	var bits uint64
	for _, b := range random {
		bits = bits<<8 | uint64(b)
	}
	for i := len(code) - 1; i > 2; i-- {
		if code[i] == 'X' {
			code[i] = codeDigits[bits%32]
			bits /= 32
		}
	}
	return string(code)
}

var code = regexp.MustCompile(`(?i)\bCS-[0-9A-Z]{4}-[0-9A-Z]{4}\b`)

// mayHoldCode is false for nearly all texts, which then needn't be looked through.
func mayHoldCode(text string) bool {
	return len(text) >= len("CS-XXXX-XXXX") && strings.Count(text, "-") >= 2
}

// CodeIn finds the first code in a text: who writes several guesses has one of them looked at.
func CodeIn(text string) (_ CodeHash, found bool) {
	if !mayHoldCode(text) {
		return CodeHash{}, false
	}
	written := code.FindString(text)
	if written == "" {
		return CodeHash{}, false
	}
	return HashCode(written), true
}

// HashCode is the hash of a code in any case, also with the letters that are no digits of one but look like them.
func HashCode(written string) CodeHash {
	written = strings.ToUpper(written)
	return sha256.Sum256([]byte(written[:3] + strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(written[3:])))
}

// WithoutCodes has a space for each code in a text: it is between its writer and us.
func WithoutCodes(text string) string {
	if !mayHoldCode(text) {
		return text
	}
	return code.ReplaceAllLiteralString(text, " ")
}
