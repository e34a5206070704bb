package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

var errNewer = errors.New("its schema is newer than this program knows")

// migrate brings the schema up to date and tells its version. Several processes may open a new file at once: those that
// come second fail in the transaction that the first has run, and find it done when they try again. So it tries as
// long as the version rises, and gives up after three attempts that found the same.
func migrate(ctx context.Context, db *sql.DB) (version int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, err
	}
	for found, left := int64(0), 3; left > 0; left-- {
		if version, err = upgrade(ctx, p); err == nil || errors.Is(err, errNewer) {
			break
		}
		if version > found {
			found, left = version, 3
		}
	}
	return version, err
}

func upgrade(ctx context.Context, p *goose.Provider) (int64, error) {
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return 0, err
	}
	if have > known {
		return have, fmt.Errorf("%w (%d, up to %d): start the newer version, or restore the backup from before its first start",
			errNewer, have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return have, err
	}
	return known, nil
}
