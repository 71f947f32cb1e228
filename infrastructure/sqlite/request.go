package sqlite

import (
	"encoding/json"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Columns of requests: those written at admission, and those that change on
// the way. The last one is derived and never read back.
var (
	requestFixed = names(`tenant id message_id body_hash type user correlation_id causation_id priority transport trace_parent
		labels spec decision resource_uid from_state to_state queue_position cost accepted_at`)
	requestMoving = names(`estimate response_time goal verdict reason decided status phase begun attempts not_ready
		deadline_at touched_at begun_at decided_at finished_at turns_at`)
)

// requestColumns is what scanRequest reads, of the table r.
const requestColumns = `r.tenant, r.id, r.message_id, r.body_hash, r.type, r.user, r.correlation_id, r.causation_id, r.priority, r.transport, r.trace_parent,
	r.labels, r.spec, r.decision, r.resource_uid, r.from_state, r.to_state, r.queue_position, r.cost, r.accepted_at,
	r.estimate, r.response_time, r.goal, r.verdict, r.reason, r.decided, r.status, r.phase, r.begun, r.attempts, r.not_ready,
	r.deadline_at, r.touched_at, r.begun_at, r.decided_at, r.finished_at`

func requestRow(r *domain.Request) (fixed, moving []any) {
	var turns any
	if r.Decided == domain.Undecided && r.Goal == domain.ToTarget && !(r.Type.Deletes() && r.Begun) {
		turns = r.DeadlineAt.UnixMicro()
	}
	return []any{
			r.Tenant, r.ID, r.MessageID, r.BodyHash, string(r.Type), r.User, r.CorrelationID, r.CausationID, string(r.Priority), r.Transport, r.TraceParent,
			document(r.Labels), document(r.Spec), document(r.Decision), r.ResourceUID, string(r.From), string(r.To),
			int64(r.QueuePosition), int64(r.Cost), stamp(r.AcceptedAt),
		}, []any{
			int64(r.Estimate), int64(r.ResponseTime), string(r.Goal), string(r.Verdict), r.Reason, string(r.Decided), string(r.Status), string(r.Phase),
			number(r.Begun), int64(r.Attempts), int64(r.NotReady),
			stamp(r.DeadlineAt), stamp(r.TouchedAt), stamp(r.BegunAt), stamp(r.DecidedAt), stamp(r.FinishedAt), turns,
		}
}

func requestDest(r *domain.Request) []any {
	return []any{
		&r.Tenant, &r.ID, &r.MessageID, &r.BodyHash, (*string)(&r.Type), &r.User, &r.CorrelationID, &r.CausationID, (*string)(&r.Priority), &r.Transport, &r.TraceParent,
		structure{&r.Labels}, structure{&r.Spec}, structure{&r.Decision}, &r.ResourceUID, (*string)(&r.From), (*string)(&r.To),
		&r.QueuePosition, (*int64)(&r.Cost), moment{&r.AcceptedAt},
		(*int64)(&r.Estimate), (*int64)(&r.ResponseTime), (*string)(&r.Goal), (*string)(&r.Verdict), &r.Reason, (*string)(&r.Decided), (*string)(&r.Status), (*string)(&r.Phase),
		&r.Begun, &r.Attempts, &r.NotReady,
		moment{&r.DeadlineAt}, moment{&r.TouchedAt}, moment{&r.BegunAt}, moment{&r.DecidedAt}, moment{&r.FinishedAt},
	}
}

func scanRequest(scan scanner, r *domain.Request) error { return scan(requestDest(r)...) }

// stored is a request with its number, its resource and its history.
type stored struct {
	seq int64
	application.Record
}

const storedQuery = "SELECT r.seq, " + requestColumns + ", " + resourceColumns + `,
	(SELECT json_group_array(json_object('name', name, 'at', at, 'duration', duration, 'status', status, 'detail', detail) ORDER BY n)
		FROM steps WHERE request = r.seq)
	FROM requests r JOIN resources v ON v.uid = r.resource_uid WHERE `

func scanStored(scan scanner, s *stored) error {
	var lines []line
	if err := scan(slices.Concat([]any{&s.seq}, requestDest(&s.Request), resourceDest(&s.Resource), []any{structure{&lines}})...); err != nil {
		return err
	}
	for _, l := range lines {
		step := domain.Step{Name: l.Name, Duration: l.Duration, Status: l.Status}
		if l.At != nil {
			step.At = time.UnixMicro(*l.At).UTC()
		}
		if l.Detail != nil {
			step.Detail = json.RawMessage(*l.Detail)
		}
		s.Steps = append(s.Steps, step)
	}
	return nil
}

// line is a step as storedQuery writes it.
type line struct {
	Name     domain.StepName
	At       *int64
	Duration time.Duration
	Status   domain.StepStatus
	Detail   *string
}

// writeStep adds a line to a history, or replaces it where it is.
func writeStep(seq int64, n int, s domain.Step) write {
	var detail any
	if s.Detail != nil {
		detail = string(s.Detail)
	}
	return write{query: `INSERT INTO steps (request, name, n, at, duration, status, detail) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (request, name) DO UPDATE SET at = excluded.at, duration = excluded.duration, status = excluded.status, detail = excluded.detail`,
		args: []any{seq, string(s.Name), int64(n), stamp(s.At), int64(s.Duration), string(s.Status), detail}}
}
