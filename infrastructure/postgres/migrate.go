package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrationTimeout bounds a first connection with all migrations that are due.
const migrationTimeout = 5 * time.Minute

// schema holds the migrations, 1.sql and on. One that was released is never
// changed; the next one leaves the release before it working, as both run during a
// rollout: columns are added with a default, and dropped one release after their
// last reader.
//
//go:embed schema/*.sql
var schema embed.FS

const versionQuery = "SELECT coalesce(max(version), 0) FROM schema_versions"

// migrate brings the tables up to date: one query where they are. Tables of a
// newer version are left alone, as that version has left us working.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := schema.ReadDir("schema")
	if err != nil {
		return err
	}
	var version int
	err = pool.QueryRow(ctx, versionQuery).Scan(&version)
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == "42P01" { // undefined_table
		err = nil
	}
	if err != nil || version >= len(files) {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return upgrade(ctx, tx, len(files)) })
}

// upgrade applies what is missing. All of it is one transaction, so a schema is of
// one version or of the next, and one process at a time does it. The lock is of our
// schema only: other installations of the database do not wait.
func upgrade(ctx context.Context, tx pgx.Tx, newest int) error {
	for _, query := range []string{
		"SET LOCAL statement_timeout = 0",
		"SET LOCAL lock_timeout = 0",
		"SELECT pg_advisory_xact_lock(hashtext('kbnt'), hashtext(current_schema()))",
		"CREATE TABLE IF NOT EXISTS schema_versions (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
	} {
		if _, err := tx.Exec(ctx, query); err != nil {
			return fmt.Errorf("prepare for migrations: %w", err)
		}
	}
	var version int
	if err := tx.QueryRow(ctx, versionQuery).Scan(&version); err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	for v := version + 1; v <= newest; v++ {
		script, err := schema.ReadFile(fmt.Sprintf("schema/%d.sql", v))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(script)); err != nil { // without arguments: many statements at once
			return fmt.Errorf("migrate to schema %d: %w", v, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO schema_versions (version) VALUES ($1)", v); err != nil {
			return fmt.Errorf("note schema %d: %w", v, err)
		}
	}
	return nil
}
