package config

import (
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Process is what all three functions are told. Every function must be able to
// send any topic's events, because each sends what another one left unsent; the
// address of its own topic is KBNT_SINK_URL, and each struct below has those of
// the others.
//
// Variables that begin with KBNT_ and that nobody reads are no mistake here, as
// they are on a laptop: Kubernetes makes some of the names of Services
// (KBNT_PROVISION_SERVICE_HOST). [Ignored] lists the others, for the log.
type Process struct {
	Function    Role        `required:"true" desc:"which function this instance is: intake, provision or notify"`
	Version     Name        `default:"devel" desc:"of the software, as events and the header Server show it; make deploy sets it"`
	DatabaseURL DatabaseURL `envconfig:"DATABASE_URL" required:"true" desc:"PostgreSQL: postgres://user:password@host:5432/database?sslmode=verify-full; from a Secret, shown without its password"`
	Connections int         `default:"4" min:"1" max:"100" desc:"most connections of one instance to PostgreSQL; more are slower, not faster"`

	SchemaRegistryURL      URL    `envconfig:"SCHEMA_REGISTRY_URL" desc:"a schema registry that speaks Confluent's REST API; without one events carry their schema's fingerprint instead of its id"`
	SchemaRegistryUser     Name   `envconfig:"SCHEMA_REGISTRY_USER" desc:"whom the schema registry knows us as, if it asks"`
	SchemaRegistryPassword Secret `envconfig:"SCHEMA_REGISTRY_PASSWORD" desc:"of that user; from a Secret"`

	DeadLetterURL URL           `required:"true" desc:"where dead letters go: the KafkaSink of virtualization-dead-letters"`
	SendFor       time.Duration `default:"2s" min:"1ms" max:"20s" desc:"longest wait for a sink; what was not taken by then is sent later. In intake also the longest a client waits for it"`

	Log ClusterLog
}

// SchemaRegistry is the address of the schema registry with its credentials, nil
// without one.
func (p Process) SchemaRegistry() *url.URL {
	if p.SchemaRegistryURL == "" {
		return nil
	}
	u, err := url.Parse(string(p.SchemaRegistryURL))
	if err != nil {
		return nil // it was parsed when it was read
	}
	if p.SchemaRegistryUser != "" {
		u.User = url.UserPassword(string(p.SchemaRegistryUser), string(p.SchemaRegistryPassword))
	}
	return u
}

// Needs names what a function cannot work without.
func (p Process) Needs() string {
	if p.SchemaRegistryURL == "" {
		return "the store"
	}
	return "the store or the schema registry"
}

// Intake is what the function intake is told.
type Intake struct {
	Process
	SinkURL    URL `required:"true" desc:"where requests go: the KafkaSink of virtualization-requests"`
	ResultsURL URL `required:"true" desc:"the KafkaSink of virtualization-results"`
	EventsURL  URL `required:"true" desc:"the Broker of virtualization-events"`

	OIDC      OIDC
	DevUser   Name `desc:"instead of KBNT_OIDC_ISSUER: who everybody is. Nobody is authenticated then, and whoever reaches intake may do anything"`
	DevTenant Name `default:"default" desc:"the tenant of that user"`

	Policies PolicyFile `desc:"file of security policies; empty: the built-in ones alone (docs/policies.md)"`
	Offer
	Poll time.Duration `default:"500ms" min:"1ms" max:"10s" desc:"between two looks at a request that a client waits for or follows"`
}

// Provision is what the function provision is told.
type Provision struct {
	Process
	RequestsURL URL `required:"true" desc:"the KafkaSink of virtualization-requests"`
	SinkURL     URL `required:"true" desc:"where results go: the KafkaSink of virtualization-results"`
	EventsURL   URL `required:"true" desc:"the Broker of virtualization-events"`

	Hypervisor Hypervisor `required:"true" desc:"kubevirt, libvirt, or simulated, which makes nothing real"`
	Speed      float64    `default:"1" min:"0" max:"1000000" desc:"the simulated hypervisor is this many times faster than life; 0: no latency at all"`
	Region     Name       `default:"local" desc:"a label of metrics; that of intake"`
	Images     Images     `desc:"file of the image catalogue; that of intake (docs/images.md)"`
	Drivers
	ReapOrphans bool `default:"false" desc:"true: the sweep deletes what is on the hypervisor and belongs to no live resource; false: it counts and logs them"`

	MaxAttempts  int           `default:"5" min:"1" max:"30" desc:"deliveries of one event that meet trouble before its request fails; a source retries 30 times"`
	DeliveryTime time.Duration `default:"20s" min:"1s" max:"20s" desc:"longest work on one delivery; what came of it is saved and sent in the 5 s that the source waits beyond"`
	Patience     time.Duration `default:"15s" min:"1ms" max:"25s" desc:"longest wait within a delivery for a resource to be ready, below KBNT_DELIVERY_TIME"`
	Poll         time.Duration `default:"500ms" min:"1ms" max:"10s" desc:"between two looks at what is waited for"`
}

// Notify is what the function notify is told.
type Notify struct {
	Process
	RequestsURL  URL           `required:"true" desc:"the KafkaSink of virtualization-requests"`
	ResultsURL   URL           `required:"true" desc:"the KafkaSink of virtualization-results"`
	SinkURL      URL           `required:"true" desc:"where public events go: the Broker of virtualization-events"`
	DeliveryTime time.Duration `default:"20s" min:"1s" max:"20s" desc:"longest work on one delivery, below the 25 s of the source"`
}

// ReadRole reads which function this instance is to be; the error is a [Mistake].
func ReadRole() (Role, error) {
	var r struct {
		Function Role `required:"true" desc:"as Process.Function"`
	}
	err := read(&r)
	return r.Function, err
}

// ReadIntake reads the environment. The error joins a [Mistake] for every
// variable that is wrong and for every two that contradict each other.
func ReadIntake() (Intake, error) { return readFunction[Intake]() }

// ReadProvision reads the environment as [ReadIntake] does.
func ReadProvision() (Provision, error) { return readFunction[Provision]() }

// ReadNotify reads the environment as [ReadIntake] does.
func ReadNotify() (Notify, error) { return readFunction[Notify]() }

func readFunction[T any]() (T, error) {
	var c, none T
	if err := read(&c); err != nil {
		return none, err
	}
	return c, nil
}

// LogValue shows all settings by the names of their variables.
func (c Intake) LogValue() slog.Value { return settings(&c) }

// LogValue shows all settings by the names of their variables.
func (c Provision) LogValue() slog.Value { return settings(&c) }

// LogValue shows all settings by the names of their variables.
func (c Notify) LogValue() slog.Value { return settings(&c) }

func (c *Intake) check() []*Mistake { return append(c.whoAsks(), c.Offer.check()...) }

func (c *Provision) check() []*Mistake {
	return append(impatient(c.Patience, c.DeliveryTime), c.Machines().check()...)
}

// Ignored are the variables with our prefix that no field of spec, a pointer to a
// struct of this package, reads: mistyped ones, most likely. Those that
// Kubernetes makes of the names of Services are left out.
func Ignored(spec any) (names []string) {
	for _, m := range unknown(spec, os.Environ()) {
		if !serviceLink(m.Variable) {
			names = append(names, m.Variable)
		}
	}
	slices.Sort(names)
	return names
}

// serviceLink reports whether a name is one of those that Kubernetes gives to
// every container for every Service of its namespace: KBNT_PROVISION_PORT,
// KBNT_PROVISION_SERVICE_PORT_HTTP, KBNT_PROVISION_PORT_80_TCP_ADDR.
func serviceLink(name string) bool {
	return strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") ||
		strings.Contains(name, "_PORT_") && (strings.Contains(name, "_TCP") || strings.Contains(name, "_UDP"))
}
