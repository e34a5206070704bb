package sqlite

import (
	"context"
	"errors"
	"testing"

	"github.com/callsign-as/callsign"
)

// TestAContextThatEndsWithinAWriteIsItsOwnError: database/sql rolls back behind its back, and then says something else.
func TestAContextThatEndsWithinAWriteIsItsOwnError(t *testing.T) {
	e := New(Options{Path: t.TempDir() + "/x.db"})
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err := e.write(ctx, "end", func(w *writing) (err error) {
		cancel()
		for err == nil {
			_, err = w.ExecContext(t.Context(), `UPDATE revision SET rev = rev`)
		}
		return err
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, callsign.ErrUnavailable) {
		t.Errorf("got %v, want that the context was canceled", err)
	}
}
