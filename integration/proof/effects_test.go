//go:build integration

package proof

import (
	"slices"
	"strings"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// sight is what a transaction found.
type sight struct {
	request domain.Request
	lease   domain.Lease
}

func look(w *application.Work) sight {
	return sight{request: *w.Request.Clone(), lease: w.Resource.Lease}
}

// effects says in words what a transaction is about to commit. The words are those
// of the protocol; what depends on who was faster, such as which of the 17 lines
// is written by whom, is left out: nothing is said of a transaction that only adds
// such lines, or only looks.
func (s sight) effects(w *application.Work) string {
	var words []string
	say := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	a := w.Additions
	say(w.Resource.Lease.Epoch != s.lease.Epoch, "acquire")
	say(s.request.Verdict != w.Request.Verdict, "turn")
	say(len(a.Letters) > 0, "bury")
	say(len(a.Claims) > 0, "claim")
	for _, step := range a.Steps {
		name, planned := step.Name.Planned()
		say(planned && isTask(name) && step.Status == domain.StepSuccess, "record "+name)
	}
	say(s.request.Decided != w.Request.Decided, "decide")
	say(a.Free, "free")
	for _, e := range a.Events {
		say(true, "store "+kindOf(w, e.ID))
	}
	for _, id := range a.Armed {
		say(true, "arm "+kindOf(w, id))
	}
	for _, ack := range a.Acked {
		say(true, "acknowledge "+kindOf(w, ack.EventID))
	}
	say(s.request.Status != w.Request.Status, "finish")
	say(w.Resource.Lease.Epoch == s.lease.Epoch && w.Resource.Lease.Until.Before(s.lease.Until), "release")
	return strings.Join(slices.Compact(words), ", ")
}

// isTask tells the tasks of a plan from the remarks beside them.
func isTask(name string) bool {
	return strings.HasPrefix(name, "machine-") || strings.HasPrefix(name, "volume-") || strings.HasPrefix(name, "network-")
}

func kindOf(w *application.Work, eventID string) string {
	switch eventID {
	case domain.RequestedID(w.Request.MessageID):
		return "requested"
	case domain.ResultID(w.Request.MessageID):
		return "result"
	case domain.TerminalID(w.Request.MessageID):
		return "terminal"
	}
	return "dead letter"
}
