package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

var errNewer = errors.New("its schema is newer than this program knows")

// migrate brings the schema up to date and tells its version. Of nodes that start at once one does it and the others wait
// (an advisory lock of the session).
func migrate(ctx context.Context, config *pgx.ConnConfig) (version int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return 0, err
	}
	config = config.Copy()
	config.RuntimeParams["statement_timeout"] = "0" // a migration takes what it takes
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithSessionLocker(locker))
	if err != nil {
		return 0, err
	}
	if err := db.PingContext(ctx); err != nil {
		return 0, err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return 0, err
	}
	if have > known {
		return have, fmt.Errorf("%w (%d, up to %d): start the newer version, or restore the backup from before its first start",
			errNewer, have, known)
	}
	if have == known {
		return known, nil
	}
	_, err = p.Up(ctx)
	return known, err
}
