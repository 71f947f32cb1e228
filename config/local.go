package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Local is what cmd/kbnt is told: the whole platform in one process on one
// machine. It listens on loopback only, and everybody who reaches it is DevUser.
type Local struct {
	Addr          Loopback `default:"127.0.0.1:8080" desc:"where intake listens: the API; loopback only, as all of these; port 0 is any"`
	ProvisionAddr Loopback `default:"127.0.0.1:8081" desc:"where provision listens"`
	NotifyAddr    Loopback `default:"127.0.0.1:8082" desc:"where notify listens"`
	SinksAddr     Loopback `default:"127.0.0.1:8090" desc:"where the stand-ins for KafkaSink and Broker listen"`
	KafkaAddr     Loopback `default:"127.0.0.1:9092" desc:"where the embedded Kafka listens"`
	KafkaBrokers  Brokers  `envconfig:"KAFKA_BROKERS" desc:"host:port of a real Kafka, separated by commas; empty: the embedded one"`
	Data          Path     `default:".kbnt" desc:"folder of the store and of the embedded Kafka, made when missing; what is in it survives a restart"`

	DevUser   Name `default:"developer" desc:"who everybody is: there is no authentication on a laptop"`
	DevTenant Name `default:"laptop" desc:"the tenant of that user"`

	Region   Name    `default:"local" desc:"region of all resources, a label of metrics"`
	Segments VLANs   `default:"100-199" desc:"VLANs offered to every tenant: first-last, or none"`
	Speed    float64 `default:"10" min:"0" max:"1000000" desc:"the simulated hypervisor is this many times faster than life; 0: no latency at all"`
	Quota    Quota

	Deadline     time.Duration `default:"10m" min:"1s" max:"10m" desc:"a request that is not done by then fails and is undone; the retries of the sources are sized for no more"`
	MaxAttempts  int           `default:"5" min:"1" max:"30" desc:"deliveries of one event that meet trouble before its request fails; a source retries 30 times"`
	SendFor      time.Duration `default:"2s" min:"1ms" max:"20s" desc:"longest wait for the sink before a client gets its 202; the event is then sent later"`
	DeliveryTime time.Duration `default:"20s" min:"1s" max:"25s" desc:"longest work on one delivery, below the 30 s of func's server"`
	Patience     time.Duration `default:"15s" min:"1ms" max:"25s" desc:"longest wait within a delivery for a resource to be ready, below KBNT_DELIVERY_TIME"`
	Poll         time.Duration `default:"100ms" min:"1ms" max:"10s" desc:"between two looks at what is waited for"`
	Sweep        time.Duration `default:"2s" min:"10ms" max:"10m" desc:"between two sweeps, which end what no event woke"`

	Log Log
}

// Quota is the most a tenant may have. 0 is the domain's default, so a quota of
// nothing cannot be set here.
type Quota struct {
	Machines int     `default:"0" min:"0" max:"1000000" desc:"machines of a tenant; 0: the default quota, as for all of these"`
	Cores    int     `default:"0" min:"0" max:"1000000" desc:"virtual CPUs of a tenant"`
	Memory   GiB     `default:"0" min:"0" max:"1000000" desc:"memory of a tenant, in GiB"`
	Storage  GiB     `default:"0" min:"0" max:"1000000" desc:"volumes and disks of a tenant, in GiB"`
	Networks int     `default:"0" min:"0" max:"4094" desc:"networks of a tenant"`
	InFlight int     `default:"0" min:"0" max:"1000000" desc:"unfinished requests of a tenant"`
	Budget   float64 `default:"0" min:"0" max:"1000000" desc:"what a tenant may spend, in USD per hour"`
}

// GiB counts gibibytes, 1024 MiB each.
type GiB int

// Log is what is logged and how.
type Log struct {
	Level  slog.Level `default:"INFO" desc:"DEBUG, INFO, WARN or ERROR"`
	Format Format     `default:"text" desc:"text for people or json for machines"`
}

// ReadLocal reads the environment. The error joins a [Mistake] for every
// variable that is wrong, for every two that contradict each other and for every
// KBNT_ variable that does not exist: a laptop has no other user of that prefix.
func ReadLocal() (Local, error) {
	var l Local
	if err := errors.Join(read(&l), join(unknown(&l, os.Environ()), nil)); err != nil {
		return Local{}, err
	}
	return l, nil
}

// LogValue shows all settings by the names of their variables.
func (l Local) LogValue() slog.Value { return settings(&l) }

func (l *Local) check() []*Mistake {
	var wrong []*Mistake
	listeners := []struct {
		variable string
		at       Loopback
	}{
		{"KBNT_ADDR", l.Addr}, {"KBNT_PROVISION_ADDR", l.ProvisionAddr}, {"KBNT_NOTIFY_ADDR", l.NotifyAddr},
		{"KBNT_SINKS_ADDR", l.SinksAddr}, {"KBNT_KAFKA_ADDR", l.KafkaAddr},
	}
	if len(l.KafkaBrokers) > 0 { // no embedded Kafka, so nobody listens at the last
		listeners = listeners[:len(listeners)-1]
	}
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if a.at.taken(b.at) {
				wrong = append(wrong, &Mistake{Variable: a.variable, Value: a.at.String(), with: b.variable, Want: "another address than that of " + b.variable})
			}
		}
	}
	if l.Patience >= l.DeliveryTime {
		wrong = append(wrong, &Mistake{Variable: "KBNT_PATIENCE", Value: l.Patience.String(), with: "KBNT_DELIVERY_TIME",
			Want: fmt.Sprintf("less than KBNT_DELIVERY_TIME, which is %s", l.DeliveryTime)})
	}
	return wrong
}
