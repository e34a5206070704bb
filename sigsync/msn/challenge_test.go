package msn

import (
	"fmt"
	"math/rand/v2"
	"testing"

	network "github.com/callsign-as/callsign/deploy/peer/msn"
)

// The answers are the published ones of MSN Messenger 7.5's product.
func TestTheAnswersToPublishedChallenges(t *testing.T) {
	for challenge, want := range map[string]string{
		"22210219642164014968": "85ecb0db8f32113df79ce0892b9a102c",
		"36819795137093047918": "e7ad3cb09d3e9e4e7c720175984809e9",
		"21948129323261853323": "59bcf63ed21f44906c3d3e121ddbed65",
		"41525959199453244913": "dcb8ff529e4dd12cc43389851128d2db",
		"31744216663023315951": "d15553d0ea89c9f63bbb98a208fa4235",
		"14494180082586329971": "4e11d4cd56a65bdf04f60aa133db7ebc",
	} {
		if got := answer(challenge, productID, productKey); got != want {
			t.Errorf("%s: got %s, want %s", challenge, got, want)
		}
		if got := network.Digest(challenge); got != want {
			t.Errorf("%s: the test's server wants %s, want %s", challenge, got, want)
		}
	}
	for range 10_000 {
		challenge := fmt.Sprint(rand.Uint64())
		if got, want := answer(challenge, productID, productKey), network.Digest(challenge); got != want {
			t.Fatalf("%s: got %s, and %s where it is derived in another way", challenge, got, want)
		}
	}
}
