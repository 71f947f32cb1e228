package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
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

	Hypervisor Hypervisor `default:"simulated" desc:"simulated, which makes nothing real, kubevirt or libvirt; with another KBNT_DATA each, which says what there is"`
	Speed      float64    `default:"10" min:"0" max:"1000000" desc:"the simulated hypervisor is this many times faster than life; 0: no latency at all"`
	Drivers
	Policies PolicyFile `desc:"file of security policies; empty: the built-in ones alone (docs/policies.md)"`
	Offer

	MaxAttempts  int           `default:"5" min:"1" max:"30" desc:"deliveries of one event that meet trouble before its request fails; a source retries 30 times"`
	SendFor      time.Duration `default:"2s" min:"1ms" max:"20s" desc:"longest wait for the sink before a client gets its 202; the event is then sent later"`
	DeliveryTime time.Duration `default:"20s" min:"1s" max:"25s" desc:"longest work on one delivery, below the 30 s of func's server"`
	Patience     time.Duration `default:"15s" min:"1ms" max:"25s" desc:"longest wait within a delivery for a resource to be ready, below KBNT_DELIVERY_TIME"`
	Poll         time.Duration `default:"100ms" min:"1ms" max:"10s" desc:"between two looks at what is waited for"`
	Sweep        time.Duration `default:"2s" min:"10ms" max:"10m" desc:"between two sweeps, which end what no event woke"`

	Log Log
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
	return slices.Concat(wrong, impatient(l.Patience, l.DeliveryTime), l.Machines().check(), l.Offer.check())
}

// impatient: waiting for a resource has to end before the delivery does.
func impatient(patience, delivery time.Duration) []*Mistake {
	if patience < delivery {
		return nil
	}
	return []*Mistake{{Variable: "KBNT_PATIENCE", Value: patience.String(), with: "KBNT_DELIVERY_TIME",
		Want: fmt.Sprintf("less than KBNT_DELIVERY_TIME, which is %s", delivery)}}
}
