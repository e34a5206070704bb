package msn

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheNetworkThatIsNamed(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	t.Setenv("CALLSIGN_TEST_MSN", "address=127.0.0.1:1863\nnexus=https://nexus.test/x?a=b\naccount=buddy@callsign.test\npassword=a=b c\ncontact=bob@example.test\nchange=printf %s \"$1\" > "+said)
	n := Named(t, "")
	if n.Address != "127.0.0.1:1863" || n.Nexus != "https://nexus.test/x?a=b" || n.Login != "buddy@callsign.test" || n.Password != "a=b c" || n.Account != "bob@example.test" || n.Server != nil {
		t.Errorf("got %+v", n)
	}
	for _, text := range []string{"在高铁上 🚄", `<b> & "c" 'd' $HOME`, ""} {
		n.Says(t, text)
		if got, err := os.ReadFile(said); err != nil || string(got) != text {
			t.Errorf("the command was given %q, %v; want %q", got, err, text)
		}
	}
}
