package domain

import (
	"encoding/json"
	"strings"
	"time"
)

// StepStatus is how one step of a request's history ended.
type StepStatus string

const (
	StepSuccess     StepStatus = "SUCCESS"
	StepFailed      StepStatus = "FAILED"
	StepCompensated StepStatus = "COMPENSATED"
)

// StepName names one of the 17 steps, or one step of the plan inside step 11
// ("resource-provisioned/volume-created").
type StepName string

// The 17 steps, in the order of the list. The order in time may differ: 5
// counts what 6 confirmed.
const (
	RequestReceived            StepName = "request-received"
	DomainValidated            StepName = "domain-validated"
	UseCaseProcessed           StepName = "use-case-processed"
	MessagePublished           StepName = "message-published"
	RequestMetricsRecorded     StepName = "request-metrics-recorded"
	PublicationConfirmed       StepName = "publication-confirmed"
	RequestAccepted            StepName = "request-accepted"
	MessageConsumed            StepName = "message-consumed"
	MessageVerified            StepName = "message-verified"
	ConsumptionMetricsRecorded StepName = "consumption-metrics-recorded"
	ResourceProvisioned        StepName = "resource-provisioned"
	ProcessingMetricsRecorded  StepName = "processing-metrics-recorded"
	ResourceReady              StepName = "resource-ready"
	ResourceMetricsRecorded    StepName = "resource-metrics-recorded"
	EventPublished             StepName = "event-published"
	CompletionMetricsRecorded  StepName = "completion-metrics-recorded"
	EventAcknowledged          StepName = "event-acknowledged"
)

// Position is where a step stands in the list, and who takes it.
type Position struct {
	Number   int    // 1..17
	Function string // intake, provision, notify
	Layer    string // entry, domain, application, infrastructure
}

var positions = map[StepName]Position{
	RequestReceived:            {1, "intake", "entry"},
	DomainValidated:            {2, "intake", "domain"},
	UseCaseProcessed:           {3, "intake", "application"},
	MessagePublished:           {4, "intake", "infrastructure"},
	RequestMetricsRecorded:     {5, "intake", "infrastructure"},
	PublicationConfirmed:       {6, "intake", "infrastructure"},
	RequestAccepted:            {7, "intake", "entry"},
	MessageConsumed:            {8, "provision", "entry"},
	MessageVerified:            {9, "provision", "infrastructure"},
	ConsumptionMetricsRecorded: {10, "provision", "infrastructure"},
	ResourceProvisioned:        {11, "provision", "application"},
	ProcessingMetricsRecorded:  {12, "provision", "infrastructure"},
	ResourceReady:              {13, "provision", "infrastructure"},
	ResourceMetricsRecorded:    {14, "provision", "infrastructure"},
	EventPublished:             {15, "notify", "infrastructure"},
	CompletionMetricsRecorded:  {16, "notify", "infrastructure"},
	EventAcknowledged:          {17, "notify", "infrastructure"},
}

// Steps is how many there are.
const Steps = 17

// Position returns where the step stands; a step of the plan stands in step 11.
func (n StepName) Position() Position {
	if whole, _, ok := strings.Cut(string(n), "/"); ok {
		return positions[StepName(whole)]
	}
	return positions[n]
}

// Planned reports whether n is a step of the plan inside step 11, and its own name.
func (n StepName) Planned() (name string, ok bool) {
	_, name, ok = strings.Cut(string(n), "/")
	return name, ok
}

// InPlan names a step of the plan.
func InPlan(name string) StepName { return ResourceProvisioned + "/" + StepName(name) }

// Step is one line of a request's history. A line is written once; only its
// status may change later, to COMPENSATED.
type Step struct {
	Name     StepName
	At       time.Time       // when it ended
	Duration time.Duration   // how long it took; 0 when it took no time of its own
	Status   StepStatus      //
	Detail   json.RawMessage // a JSON object, or nil
}

// NewStep makes a line that ended well. A detail that does not apply is left
// out: entries whose value is nil, "" or an empty list are dropped.
func NewStep(name StepName, at time.Time, took time.Duration, detail map[string]any) Step {
	s := Step{Name: name, At: at, Duration: took, Status: StepSuccess}
	for k, v := range detail {
		if list, ok := v.([]string); v == nil || v == "" || ok && len(list) == 0 {
			delete(detail, k)
		}
	}
	if len(detail) > 0 {
		s.Detail, _ = json.Marshal(detail) // maps of strings, numbers and plain structs: cannot fail
	}
	return s
}
