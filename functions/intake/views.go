package intake

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// price is what a resource costs while it lives.
type price struct {
	HourlyUSD float64 `json:"hourlyUsd"`
	Currency  string  `json:"currency"`
}

func moneyView(m domain.Money) price { return price{m.USD(), domain.Currency} }

// requestView is a request without its history.
type requestView struct {
	RequestID     string        `json:"requestId"`
	Status        string        `json:"status"`
	Phase         string        `json:"phase,omitempty"` // while unfinished
	Type          string        `json:"type"`
	Priority      string        `json:"priority"`
	UserID        string        `json:"userId"`
	CorrelationID string        `json:"correlationId"`
	CausationID   string        `json:"causationId,omitempty"`
	MessageID     string        `json:"messageId"`
	Transport     string        `json:"transport"`
	Labels        domain.Labels `json:"labels,omitempty"`

	AcceptedAt time.Time `json:"acceptedAt"`
	DeadlineAt time.Time `json:"deadlineAt"`
	DecidedAt  time.Time `json:"decidedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`

	EstimatedTime string `json:"estimatedTime"`
	QueuePosition int    `json:"queuePosition"`
	Attempts      int    `json:"attempts"` // deliveries that were trouble, or may be

	Outcome     string `json:"outcome,omitempty"` // as soon as it is decided
	Reason      string `json:"reason,omitempty"`
	Cost        price  `json:"cost"`
	TrackingURL string `json:"trackingUrl"`
}

// recordView is a request with everything about it.
type recordView struct {
	requestView
	VirtualResourceID string       `json:"virtualResourceId"`
	VMID              string       `json:"vmId,omitempty"`
	ResourceID        string       `json:"resourceId,omitempty"`
	Resource          resourceView `json:"resource"`
	Steps             []stepView   `json:"steps"`
}

func viewRequest(q domain.Request) requestView {
	v := requestView{
		RequestID: q.ID, Status: string(q.Status), Type: string(q.Type), Priority: string(q.Priority), UserID: q.User,
		CorrelationID: q.CorrelationID, CausationID: q.CausationID, MessageID: q.MessageID, Transport: q.Transport, Labels: q.Labels,
		AcceptedAt: utc(q.AcceptedAt), DeadlineAt: utc(q.DeadlineAt), DecidedAt: utc(q.DecidedAt), FinishedAt: utc(q.FinishedAt),
		EstimatedTime: iso8601(q.Estimate), QueuePosition: q.QueuePosition, Attempts: q.Attempts,
		Outcome: string(q.Decided), Reason: q.Reason, Cost: moneyView(q.Cost), TrackingURL: trackingURL(q.ID),
	}
	if q.Unfinished() {
		v.Phase = string(q.Phase)
	}
	return v
}

func viewRecord(r application.Record) recordView {
	v := recordView{
		requestView: viewRequest(r.Request), VirtualResourceID: r.Resource.VirtualID, VMID: r.Resource.DisplayID,
		ResourceID: r.Resource.ClientName, Resource: viewResource(r.Resource), Steps: []stepView{},
	}
	for _, line := range application.Timeline(r.Steps) {
		v.Steps = append(v.Steps, viewLine(line))
	}
	return v
}

// stepView is one of the 17 steps, or one of the plan inside step 11.
type stepView struct {
	Number     int             `json:"number,omitempty"`
	Name       string          `json:"name"`
	Layer      string          `json:"layer,omitempty"`
	Function   string          `json:"function,omitempty"`
	At         time.Time       `json:"at"`
	DurationMs float64         `json:"durationMs"`
	Status     string          `json:"status"`
	Detail     json.RawMessage `json:"detail,omitempty"`
}

func viewStep(s domain.Step) stepView {
	at := s.Name.Position()
	return stepView{
		Number: at.Number, Name: string(s.Name), Layer: at.Layer, Function: at.Function,
		At: utc(s.At), DurationMs: float64(s.Duration) / float64(time.Millisecond), Status: string(s.Status), Detail: s.Detail,
	}
}

func viewLine(l application.Line) stepView {
	v := viewStep(l.Step)
	if len(l.Plan) == 0 {
		return v
	}
	var plan []stepView
	for _, s := range l.Plan {
		p := viewStep(s)
		p.Name, _ = s.Name.Planned()
		p.Number, p.Layer, p.Function = 0, "", "" // those of the step it is part of
		plan = append(plan, p)
	}
	detail := map[string]any{}
	_ = json.Unmarshal(v.Detail, &detail) // no detail, or an object we stored
	detail["plan"] = plan
	v.Detail = encode(detail)
	return v
}

// resourceView is what exists, or is to exist.
type resourceView struct {
	VirtualResourceID string    `json:"virtualResourceId"`
	ResourceID        string    `json:"resourceId,omitempty"` // the client's own name
	VMID              string    `json:"vmId,omitempty"`
	MessageID         string    `json:"messageId"` // of the request that made it
	UserID            string    `json:"userId"`
	Type              string    `json:"type"`
	Status            string    `json:"status"`
	Live              bool      `json:"live"`
	Busy              bool      `json:"busy"` // an unfinished request works on it
	Specification     any       `json:"specification"`
	CreatedAt         time.Time `json:"createdAt"`
	UpdatedAt         time.Time `json:"updatedAt"`

	Driver       string               `json:"driver,omitempty"`
	Host         string               `json:"host,omitempty"`
	Network      string               `json:"network,omitempty"`
	Address      string               `json:"address,omitempty"`
	Gateway      string               `json:"gateway,omitempty"`
	Endpoints    map[string]string    `json:"endpoints,omitempty"`
	HealthChecks []domain.HealthCheck `json:"healthChecks,omitempty"`
	Baselines    map[string]float64   `json:"baselines,omitempty"`
	Timings      *timingsView         `json:"timings,omitempty"`
	Labels       domain.Labels        `json:"labels,omitempty"`
	Cost         price                `json:"cost"`
}

// timingsView is in milliseconds.
type timingsView struct {
	ProvisioningMs float64 `json:"provisioningMs"`
	BootMs         float64 `json:"bootMs"`
	StartupMs      float64 `json:"startupMs"`
}

func viewResource(r domain.Resource) resourceView {
	v := resourceView{
		VirtualResourceID: r.VirtualID, ResourceID: r.ClientName, VMID: r.DisplayID, MessageID: r.CreatedBy, UserID: r.Owner,
		Type: string(r.Kind), Status: string(r.State), Live: r.Live, Busy: r.Busy != "", Specification: specView(r.Spec),
		CreatedAt: utc(r.CreatedAt), UpdatedAt: utc(r.UpdatedAt),
		Driver: r.Facts.Driver, Host: r.Placement.Host, Network: r.Placement.Segment, Address: r.Facts.Address,
		Endpoints: r.Facts.Endpoints, HealthChecks: r.Facts.Checks, Baselines: r.Facts.Baselines, Labels: r.Labels, Cost: moneyView(r.Cost),
	}
	if r.Facts.Host != "" {
		v.Host = r.Facts.Host
	}
	if v.Address == "" && r.Placement.Address.IsValid() {
		v.Address = r.Placement.Address.String()
	}
	if r.Placement.Gateway.IsValid() {
		v.Gateway = r.Placement.Gateway.String()
	}
	if t := r.Facts.Timings; t != (domain.Timings{}) {
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		v.Timings = &timingsView{ms(t.Provisioning), ms(t.Boot), ms(t.Startup)}
	}
	return v
}

// machineView, volumeView and networkView are specifications in the words that
// clients post them in; posting one again asks for the same. Of what gives
// access only the traces are shown: keys by fingerprint, user data not at all.
type machineView struct {
	CPU             int      `json:"cpu"`
	Memory          string   `json:"memory"` // "8GiB"
	Disk            string   `json:"disk"`   // "100GiB SSD"
	Network         string   `json:"network"`
	Image           string   `json:"image"`
	SecurityGroups  []string `json:"securityGroups,omitempty"`
	KeyFingerprints []string `json:"sshKeyFingerprints,omitempty"`
}

type volumeView struct {
	Size string `json:"size"`
	Type string `json:"type"`
	IOPS int    `json:"iops,omitempty"`
}

type networkView struct {
	Subnet  string `json:"subnet"`
	VLAN    int    `json:"vlan"`
	Gateway string `json:"gateway"`
}

func specView(s domain.Specification) any {
	switch {
	case s.Machine != nil:
		m := s.Machine
		v := machineView{CPU: m.Cores, Memory: m.Memory.String(), Disk: m.Disk.String() + " " + string(m.DiskType), Image: m.Image, SecurityGroups: m.SecurityGroups}
		if v.Network = m.Network.Mode; m.Network.Mode == domain.ModeVLAN {
			v.Network = fmt.Sprintf("vlan-%d", m.Network.VLAN)
		}
		for _, key := range m.SSHKeys {
			v.KeyFingerprints = append(v.KeyFingerprints, fingerprint(key))
		}
		return v
	case s.Volume != nil:
		return volumeView{s.Volume.Size.String(), string(s.Volume.Type), s.Volume.IOPS}
	case s.Network != nil:
		return networkView{s.Network.Subnet.String(), s.Network.VLAN, s.Network.Gateway.String()}
	}
	return nil
}

// fingerprint names a public key as ssh-keygen -l does.
func fingerprint(line string) string {
	parts := strings.Fields(line)
	if len(parts) < 2 {
		return ""
	}
	key, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		key, _ = base64.RawStdEncoding.DecodeString(parts[1])
	}
	sum := sha256.Sum256(key)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func trackingURL(id string) string { return "/api/v1/requests/" + id }

// utc shows every time in one zone; zero stays zero, and is left out.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
