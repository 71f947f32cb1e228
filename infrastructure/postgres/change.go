package postgres

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// work is what a change is shown, and what it found.
type work struct {
	application.Work
	seq      int64
	request  row
	resource row
}

// Change implements [application.Store].
func (s *Store) Change(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
	return s.changes.transact(ctx, "Change", lane(scope), scope, changing(scope, change))
}

// changing is a change with what it means for the store.
func changing(scope application.Scope, change func(*application.Work) error) func(*work) (choice, error) {
	return func(w *work) (choice, error) {
		now, message, uid := w.Now, w.Request.MessageID, w.Resource.UID
		if err := change(&w.Work); err != nil {
			return choice{}, err
		}
		switch {
		case w.Request == nil || w.Resource == nil:
			return choice{}, refuse("Change", domain.Internal, "a change must leave the request and the resource")
		case w.Request.MessageID != message || w.Resource.UID != uid:
			return choice{}, refuse("Change", domain.Internal, "a change must not rename the request or the resource")
		}
		e := changed{uid: uid, now: now, claims: slices.Clone(w.Additions.Claims)}
		if w.Additions.Free {
			e.freed, e.until = true, now.Add(w.Additions.CoolDown)
		}
		return choice{writes: w.writes(scope.Arrival, now), effect: e}, nil
	}
}

// lane tells which changes had better not run side by side: those of one request,
// and those that claim, as they lock the same pools.
func lane(scope application.Scope) uint32 {
	if len(scope.Pools) > 0 {
		return 0
	}
	return hash(scope.MessageID + scope.RequestID)
}

func hash(text string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(text))
	return h.Sum32()
}

// commitChanges runs a batch. Changes that name their request by message id, as
// all but the client's own do, share a transaction.
func (s *Store) commitChanges(jobs []*job[application.Scope, work]) (again []*job[application.Scope, work]) {
	var together []*job[application.Scope, work]
	for _, j := range jobs {
		if j.scope.MessageID != "" {
			together = append(together, j)
			continue
		}
		commit(s, s.loadWorkByName, []*job[application.Scope, work]{j})
	}
	return commit(s, s.loadWorks, together)
}

// writes is what a change did, as rows. Rows that are as they were are not
// written, and columns that the protocol never changes only when one did after all:
// writing them means writing their indexes.
func (w *work) writes(arrival *application.Arrival, now time.Time) *writes {
	all := new(writes)
	at := stamp(now)
	switch is := resourceRow(w.Resource); {
	case !slices.Equal(is.fixed, w.resource.fixed):
		all.add(rewriteResources, is.all(w.Resource.UID)[1:]...)
	case !slices.Equal(is.moving, w.resource.moving):
		all.add(moveResources, append(is.moving, w.Resource.UID)...)
	}
	switch is := requestRow(w.Request); {
	case !slices.Equal(is.fixed, w.request.fixed):
		all.add(rewriteRequests, is.all(w.seq)...)
	case !slices.Equal(is.moving, w.request.moving):
		all.add(moveRequests, append(is.moving, w.seq)...)
	}
	all[addSteps] = stepRows(w.seq, w.Additions.Steps, func(name domain.StepName) int {
		return slices.IndexFunc(w.Steps, func(x domain.Step) bool { return x.Name == name })
	})
	if a := arrival; a != nil {
		all.add(addArrivals, w.seq, a.Function, a.EventID, at, at, int64(1), int64(a.Partition), a.Offset, stamp(a.SentAt))
	}
	claimWrites(all, &w.Work, now)
	for _, e := range w.Additions.Events {
		all.add(addEvents, append([]any{w.seq, at}, eventRow(e)...)...)
	}
	// Work has kept account of the times; bytes stay those that were stored first.
	touched := slices.Clone(w.Additions.Armed)
	for _, a := range w.Additions.Acked {
		touched = append(touched, a.EventID)
	}
	slices.Sort(touched)
	for _, id := range slices.Compact(touched) {
		o := w.Outbox[id]
		all.add(moveEvents, w.seq, id, stamp(o.ArmedAt), stamp(o.AckedAt), int64(o.Sends))
	}
	for _, d := range w.Additions.Letters {
		all.add(addLetters, letterRow(d)...)
	}
	return all
}
