package application

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Journal is a Store that logs every step of a history when it is committed: one
// line each, with the ids that tie a request's lines together. Steps are recorded
// in one transaction or another by several use cases; here none is forgotten.
type Journal struct {
	Store
	Log *slog.Logger
}

// Admit implements [Store].
func (j Journal) Admit(ctx context.Context, scope AdmitScope, decide func(*Tenancy) error) error {
	var seen *Tenancy
	err := j.Store.Admit(ctx, scope, func(t *Tenancy) error {
		seen = t
		return decide(t)
	})
	if err == nil && seen != nil && seen.Admitted != nil {
		j.tell(ctx, seen.Admitted.Request, seen.Admitted.Steps)
	}
	return err
}

// Change implements [Store].
func (j Journal) Change(ctx context.Context, scope Scope, change func(*Work) error) error {
	var seen *Work
	err := j.Store.Change(ctx, scope, func(w *Work) error {
		seen = w
		return change(w)
	})
	if err == nil && seen != nil {
		j.tell(ctx, seen.Request, seen.Additions.Steps)
	}
	return err
}

func (j Journal) tell(ctx context.Context, q *domain.Request, steps []domain.Step) {
	for _, s := range steps {
		at := s.Name.Position()
		j.Log.LogAttrs(ctx, slog.LevelInfo, "step",
			slog.String("step", string(s.Name)), slog.Int("number", at.Number), slog.String("status", string(s.Status)),
			slog.String("function", at.Function), slog.String("layer", at.Layer), slog.Float64("tookMs", float64(s.Duration)/float64(time.Millisecond)),
			slog.String("requestId", q.ID), slog.String("correlationId", q.CorrelationID), slog.String("messageId", q.MessageID),
			slog.String("tenant", q.Tenant), slog.String("user", q.User), slog.String("type", string(q.Type)), slog.String("traceId", TraceID(q.TraceParent)))
	}
}

// TraceID is the part of a W3C traceparent that all spans of a trace share, ""
// when there is none.
func TraceID(parent string) string {
	if parts := strings.Split(parent, "-"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}
