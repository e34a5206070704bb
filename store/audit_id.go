package store

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// AuditID names a line of the audit that an engine writes itself; as those of other lines it grows with time.
func AuditID(now time.Time) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%014x", now.UnixMicro()) + hex.EncodeToString(b[:])
}
