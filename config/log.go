package config

import (
	"io"
	"log/slog"
)

// Log is what is logged and how.
type Log struct {
	Level  slog.Level `default:"INFO" desc:"DEBUG, INFO, WARN or ERROR"`
	Format Format     `default:"text" desc:"text for people or json for machines"`
}

// Logger writes lines of that level and above in that format.
func (l Log) Logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == JSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// ClusterLog is [Log] with the default of a cluster, where machines read it.
type ClusterLog struct {
	Level  slog.Level `default:"INFO" desc:"DEBUG, INFO, WARN or ERROR"`
	Format Format     `default:"json" desc:"text for people or json for machines"`
}
