package peer

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Kamailio is the path of Kamailio, with the modules of an S-CSCF and an HSS.
func Kamailio(t testing.TB) string {
	t.Helper()
	path := Program(t, "kamailio", "kamailio")
	for module, debian := range map[string]string{"ims_isc.so": "kamailio-ims-modules", "presence.so": "kamailio-presence-modules"} {
		// Debian keeps modules below the machine's triplet.
		if found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/" + module); found == nil {
			Absent(t, "Kamailio's "+module+" is not installed (Debian's "+debian+"): deploy/test.sh installs it")
		}
	}
	return path
}

// StartKamailio runs Kamailio with a configuration, in that one's folder, with little memory unless more says -m. At the test's end it
// is asked to stop, and killed with its children where it doesn't: it hangs at its end now and then, whatever was tested.
func StartKamailio(t testing.TB, config string, more ...string) *Process {
	t.Helper()
	dir := filepath.Dir(config)
	p := Start(t, Kamailio(t), nil, append([]string{"-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-w", dir, "-f", config}, more...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Terminate(ctx); ctx.Err() != nil {
			p.signal(syscall.SIGKILL)
			t.Logf("kamailio was killed: %v", err)
		}
	})
	return p
}
