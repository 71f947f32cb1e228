package postgres

import (
	"time"

	"kbnt.dev/virtualization/domain"
)

// Columns of requests: those written at admission, and those that change on
// the way. The last one is derived and never read back.
var (
	requestFixed = columnsOf(`tenant text, id text, message_id text, body_hash text, type text, "user" text, correlation_id text, causation_id text,
		priority text, transport text, trace_parent text, labels json, spec json, decision json, resource_uid text, from_state text, to_state text,
		queue_position bigint, cost bigint, accepted_at timestamptz`)
	requestMoving = columnsOf(`estimate bigint, response_time bigint, goal text, verdict text, reason text, decided text, status text, phase text,
		begun boolean, attempts bigint, not_ready bigint, deadline_at timestamptz, touched_at timestamptz, begun_at timestamptz,
		decided_at timestamptz, finished_at timestamptz, turns_at timestamptz`)
	requestKey = columnsOf("seq bigint")
)

// requestColumns is what requestDest reads, of the table r.
var requestColumns = requestFixed.and(requestMoving[:len(requestMoving)-1]).names("r.")

func requestRow(r *domain.Request) row {
	var turns any
	if r.Decided == domain.Undecided && r.Goal == domain.ToTarget && !(r.Type.Deletes() && r.Begun) {
		turns = r.DeadlineAt.UTC().Truncate(time.Microsecond) // one without a deadline is overdue at once
	}
	return row{[]any{
		r.Tenant, r.ID, r.MessageID, r.BodyHash, string(r.Type), r.User, r.CorrelationID, r.CausationID, string(r.Priority), r.Transport, r.TraceParent,
		document(r.Labels), document(r.Spec), document(r.Decision), r.ResourceUID, string(r.From), string(r.To),
		int64(r.QueuePosition), int64(r.Cost), stamp(r.AcceptedAt),
	}, []any{
		int64(r.Estimate), int64(r.ResponseTime), string(r.Goal), string(r.Verdict), r.Reason, string(r.Decided), string(r.Status), string(r.Phase),
		r.Begun, int64(r.Attempts), int64(r.NotReady),
		stamp(r.DeadlineAt), stamp(r.TouchedAt), stamp(r.BegunAt), stamp(r.DecidedAt), stamp(r.FinishedAt), turns,
	}}
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

// numbered is a request with its number.
type numbered struct {
	seq     int64
	request domain.Request
}

func scanNumbered(scan scanner, n *numbered) error {
	return scan(append([]any{&n.seq}, requestDest(&n.request)...)...)
}

// stored is a request with its number and its resource.
type stored struct {
	numbered
	resource domain.Resource
}

var storedQuery = "SELECT r.seq, " + requestColumns + ", " + resourceColumns + " FROM requests r JOIN resources v ON v.uid = r.resource_uid WHERE "

func scanStored(scan scanner, s *stored) error {
	return scan(append(append([]any{&s.seq}, requestDest(&s.request)...), resourceDest(&s.resource)...)...)
}

// line is a step with the number of its request.
type line struct {
	seq  int64
	step domain.Step
}

const stepsQuery = "SELECT request, name, at, duration, status, detail FROM steps WHERE request = ANY(ARRAY("

func scanLine(scan scanner, l *line) error {
	s := &l.step
	return scan(&l.seq, (*string)(&s.Name), moment{&s.At}, (*int64)(&s.Duration), (*string)(&s.Status), (*[]byte)(&s.Detail))
}

var stepColumns = columnsOf("request bigint, name text, n bigint, at timestamptz, duration bigint, status text, detail json")

// stepRows are lines of a history: new ones, and those to replace where they
// are. Of two of a name the later one counts: a statement writes a row once.
func stepRows(seq int64, steps []domain.Step, place func(domain.StepName) int) rows {
	var all rows
	at := map[domain.StepName]int{}
	for _, s := range steps {
		var detail any
		if s.Detail != nil {
			detail = string(s.Detail)
		}
		row := []any{seq, string(s.Name), int64(place(s.Name)), stamp(s.At), int64(s.Duration), string(s.Status), detail}
		if i, ok := at[s.Name]; ok {
			all[i] = row
			continue
		}
		at[s.Name] = len(all)
		all = append(all, row)
	}
	return all
}
