package peer

import (
	"fmt"
	"os/exec"
	"testing"
)

// Disk is an empty disk of a test's own, in memory, so small that the test can fill it. Only root can mount one.
func Disk(t testing.TB, megabytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	size := fmt.Sprintf("size=%dm,mode=700", megabytes)
	if out, err := exec.Command(Program(t, "mount", "mount"), "-t", "tmpfs", "-o", size, "callsign-test", dir).CombinedOutput(); err != nil {
		Absent(t, fmt.Sprintf("a disk can't be mounted: %v: %s: run the test as root", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%s stays mounted: %v: %s", dir, err, out)
		}
	})
	return dir
}
