package simulated

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// FaultLabel is the label of a request that lists its faults.
const FaultLabel = "kbnt.dev/fault"

// longest bounds what a label may say, so that times stay within a calendar.
const longest = 24 * time.Hour

// faults of one thing.
type faults struct {
	transient, lost, deleteTransient int
	slow                             time.Duration
	stuck, partial                   bool
	refusal                          string // the first of refusals
}

// refusals keep a thing from being made.
var refusals = map[string]domain.Error{
	"capacity":  {Kind: domain.Unavailable, Code: "no-capacity", Detail: "no host has room"},
	"host-down": {Kind: domain.Unavailable, Code: "host-down", Detail: "the host is down"},
	"terminal":  {Kind: domain.Invalid, Code: "refused", Detail: "the hypervisor refuses to make this"},
	"denied":    {Kind: domain.Forbidden, Code: "denied", Detail: "the hypervisor denies access"},
	"quota":     {Kind: domain.Exhausted, Code: "quota", Detail: "the hypervisor's quota is used up"},
}

// parseFaults reads the words that apply to a kind, and returns those it does not
// know.
func parseFaults(words string, kind domain.ThingKind) (f faults, unknown []string) {
	for word := range strings.SplitSeq(words, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		text, only, _ := strings.Cut(word, "@")
		name, arg, _ := strings.Cut(text, "=")
		if name == "terminal-at" {
			name, arg, only = "terminal", "", cmp.Or(arg, "?")
		}
		if only != "" && !slices.Contains(kinds, domain.ThingKind(only)) || !f.add(name, arg, only == "" || only == string(kind)) {
			unknown = append(unknown, word)
		}
	}
	return f, unknown
}

var kinds = []domain.ThingKind{domain.ThingMachine, domain.ThingVolume, domain.ThingNetwork}

// add takes one fault up, if it applies, and reports whether it is known.
func (f *faults) add(name, arg string, applies bool) bool {
	to := f
	if !applies {
		to = new(faults) // understood and forgotten
	}
	var times *int
	switch name {
	case "transient":
		times = &to.transient
	case "lost":
		times = &to.lost
	case "delete-transient":
		times = &to.deleteTransient
	case "slow":
		d, err := time.ParseDuration(cmp.Or(arg, "5s"))
		to.slow = min(d, longest)
		return err == nil && d >= 0
	case "stuck":
		to.stuck = true
		return arg == ""
	case "partial":
		to.partial = true
		return arg == ""
	default:
		if _, ok := refusals[name]; !ok || arg != "" {
			return false
		}
		to.refusal = cmp.Or(to.refusal, name)
		return true
	}
	n, err := strconv.ParseUint(cmp.Or(arg, "1"), 10, 16)
	*times = int(n)
	return err == nil
}

// faultWords are those of the label and those that the key draws by rate.
func (h *Hypervisor) faultWords(key domain.Key, labels domain.Labels) string {
	words := labels[FaultLabel]
	for _, word := range slices.Sorted(maps.Keys(h.rates)) {
		if draw(key.Name(), "fault/"+word) < h.rates[word] {
			words += "," + word
		}
	}
	return words
}

// inject makes the error of a fault, and says in the log that nothing is wrong but
// what was asked for.
func (h *Hypervisor) inject(ctx context.Context, key domain.Key, fault string, e domain.Error) error {
	h.log.LogAttrs(ctx, slog.LevelInfo, "fault injected", slog.String("driver", driver), slog.String("thing", key.Name()), slog.String("fault", fault))
	return &e
}

// unansweredFault is the error of a fault that is over after some calls.
func unansweredFault(number, of int) domain.Error {
	return domain.Error{Kind: domain.Unavailable, Code: "no-answer", Detail: fmt.Sprintf("the hypervisor did not answer (injected fault, %d of %d)", number, of)}
}

// answeredFault is the answer to a call that was refused before it did anything.
func answeredFault(number, of int) domain.Error {
	return domain.Error{Kind: domain.Unavailable, Code: "try-again", Detail: fmt.Sprintf("the hypervisor is not itself (injected fault, %d of %d)", number, of)}
}
