package postgres

import (
	"strings"
	"testing"

	"kbnt.dev/virtualization/domain"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason  string
		options Options
	}{
		"nothing":               {"an empty address would mean a local default", Options{}},
		"another scheme":        {"it is not a PostgreSQL", Options{URL: "mysql://kbnt:secret@db/kbnt"}},
		"keywords":              {"a password in them could not be recognised", Options{URL: "host=db password=secret"}},
		"an unusable port":      {"it can never be reached", Options{URL: "postgres://kbnt:secret@db:99999999/kbnt"}},
		"no URL at all":         {"it can never be reached", Options{URL: "postgres://kbnt:secret@db:port/%zz"}},
		"negative connections":  {"none could be used", Options{URL: "postgres://db/kbnt", Connections: -1}},
		"too many connections":  {"the database has no room for them", Options{URL: "postgres://db/kbnt", Connections: 100_000}},
		"an unknown TLS demand": {"it would be ignored", Options{URL: "postgres://kbnt:secret@db/kbnt?sslmode=perhaps"}},
	} {
		_, err := New(test.options)
		if err == nil || domain.KindOf(err) != domain.Invalid {
			t.Errorf("%s: New: got %v, want Invalid: %s", name, err, test.reason)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: New: got %q, want the password left out", name, err)
		}
	}
}

// New opens nothing: there is no such host.
func TestNewOpensNothing(t *testing.T) {
	t.Parallel()
	s, err := New(Options{URL: "postgres://kbnt:secret@does-not-exist.invalid/kbnt?lock_timeout=1s"})
	if err != nil {
		t.Fatalf("New: %v, want no error", err)
	}
	if s.opened != nil {
		t.Error("New: the database was asked, want it left alone until the first use")
	}
	if got := s.config.MaxConns; got != connectionsDefault {
		t.Errorf("connections: got %d, want %d", got, connectionsDefault)
	}
	if got := s.config.ConnConfig.RuntimeParams; got["lock_timeout"] != "1s" || got["statement_timeout"] != "10s" {
		t.Errorf("settings: got %v, want the address's in preference to ours", got)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v, want no error", err)
	}
}
