package intake

import (
	"log/slog"
	"net/http"

	"kbnt.dev/virtualization/application"
)

// refuse answers an error: a problem for the client, one line for the operator
// and, for a posted request, one count. Nothing else is left of it.
func (x *exchange) refuse(err error) {
	p, header := problemOf(err)
	p.Instance = x.r.URL.EscapedPath()
	if r := []rune(p.Instance); len(r) > 256 {
		p.Instance = string(r[:256])
	}
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError && x.r.Context().Err() == nil { // a client that went away is no trouble
		level = slog.LevelError
	}
	x.f.Log.LogAttrs(x.ctx, level, "refused",
		slog.Int("status", p.Status), slog.String("code", p.Code), slog.String("method", x.r.Method), slog.String("path", p.Instance),
		slog.String("tenant", x.caller.Tenant), slog.String("user", x.caller.User), slog.String("correlationId", x.correlation), slog.String("error", err.Error()))
	if x.r.Method == http.MethodPost && !x.counted {
		x.f.Meter.Add(application.MessagesFailed, 1, failure(p.Status))
	}
	if x.w.begun {
		return
	}
	for name, value := range header {
		x.w.Header().Set(name, value)
	}
	x.w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusRequestEntityTooLarge {
		x.w.Header().Set("Connection", "close") // the rest of the body is not read
	}
	_ = x.send(p.Status, "application/problem+json", encode(p))
}

// failure is the reason a refusal is counted by.
func failure(status int) string {
	if status >= http.StatusInternalServerError {
		return "exception"
	}
	return "refused-at-entry"
}
