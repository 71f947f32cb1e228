//go:build integration

package proof

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// readOnly are the methods of ports that change nothing. All others have points.
var readOnly = []string{
	"Agenda.Armed", "Agenda.Overdue", "Agenda.Stalled", "Agenda.Standing",
	"Graveyard.DeadLetter", "Graveyard.DeadLetters", "Hypervisor.Capabilities", "Hypervisor.List",
	"Records.Request", "Records.Requests", "Records.Resource", "Records.Resources", "Records.Usage",
	"Statistics.Census", "Statistics.Durations",
}

// TestEveryEffectHasPoints calls every method of the ports of the flow that is not
// known to be read only, and wants a point before its effect and one after. A
// method that is added to a port is taken for one with effects.
func TestEveryEffectHasPoints(t *testing.T) {
	t.Parallel()
	g := newGate("test", true)
	fake := fakePorts{}
	db := &database{store: fake, agenda: fake, graveyard: fake, gate: g}
	known := map[string]bool{}
	for name, port := range map[string]struct {
		of  reflect.Type
		our any
	}{
		"Store":      {reflect.TypeFor[application.Store](), db},
		"Records":    {reflect.TypeFor[application.Records](), db},
		"Agenda":     {reflect.TypeFor[application.Agenda](), db},
		"Graveyard":  {reflect.TypeFor[application.Graveyard](), db},
		"Statistics": {reflect.TypeFor[application.Statistics](), db},
		"Sender":     {reflect.TypeFor[application.Sender](), &sender{fake, g}},
		"Hypervisor": {reflect.TypeFor[application.Hypervisor](), &hypervisor{behind: fake, gate: g}},
	} {
		for i := range port.of.NumMethod() {
			method := name + "." + port.of.Method(i).Name
			known[method] = true
			if slices.Contains(readOnly, method) {
				continue
			}
			var points []string
			g.told = func(point string) { points = append(points, point) }
			reflect.ValueOf(port.our).MethodByName(port.of.Method(i).Name).Call(arguments(t, port.of.Method(i).Type))
			if len(points) != 2 || !strings.HasSuffix(points[0], "/before") || !strings.HasSuffix(points[1], "/after") {
				t.Errorf("%s passes the points %q, want one before and one after its effect", method, points)
			}
		}
	}
	for _, method := range readOnly {
		if !known[method] {
			t.Errorf("%s is said to be read only, and no port has it", method)
		}
	}
}

// arguments are zero values, but for a context and for functions, which do nothing.
func arguments(t *testing.T, method reflect.Type) (in []reflect.Value) {
	for i := range method.NumIn() {
		switch a := method.In(i); {
		case a == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(t.Context()))
		case a == reflect.TypeFor[func(*application.Tenancy) error]():
			in = append(in, reflect.ValueOf(func(t *application.Tenancy) error { t.Admitted = &application.Admission{}; return nil }))
		case a == reflect.TypeFor[func(*application.Work) error]():
			in = append(in, reflect.ValueOf(func(w *application.Work) error { w.Request.Decided = domain.Completed; return nil }))
		default:
			in = append(in, reflect.Zero(a))
		}
	}
	return in
}

// fakePorts does nothing, well.
type fakePorts struct {
	application.Agenda
	application.Graveyard
}

func (fakePorts) Admit(_ context.Context, _ application.AdmitScope, decide func(*application.Tenancy) error) error {
	return decide(&application.Tenancy{})
}
func (fakePorts) Change(_ context.Context, _ application.Scope, change func(*application.Work) error) error {
	return change(&application.Work{Request: &domain.Request{}, Resource: &domain.Resource{}})
}
func (fakePorts) Acknowledge(context.Context, string, time.Time) error { return nil }
func (fakePorts) Bury(context.Context, application.DeadLetter, *application.Event) error {
	return nil
}
func (fakePorts) Resumed(context.Context, string, string) error             { return nil }
func (fakePorts) Moot(context.Context) (int, error)                         { return 0, nil }
func (fakePorts) Send(context.Context, application.Event) error             { return nil }
func (fakePorts) List(context.Context) iter.Seq2[domain.Observation, error] { return nil }
func (fakePorts) Ensure(context.Context, domain.Desired) (domain.Observation, error) {
	return domain.Observation{}, nil
}
func (fakePorts) Observe(context.Context, domain.Key) (domain.Observation, error) {
	return domain.Observation{}, nil
}
func (fakePorts) Delete(context.Context, domain.Key) (domain.Observation, error) {
	return domain.Observation{}, nil
}
func (fakePorts) Capabilities(context.Context) (application.Capabilities, error) {
	return application.Capabilities{}, nil
}
