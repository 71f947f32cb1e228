package local

import (
	"fmt"
	"net/url"
	"strings"
)

// target is what a destination points to.
type target uint8

const (
	toNothing target = iota
	toService        // a Knative Service, whose address the caller knows
	toSink           // a KafkaSink
	toBroker         // a Broker
	toAddress        // an absolute URI outside the cluster
)

// destination is where events go: a reference, an address, or a reference and
// a path that is resolved against its address.
type destination struct {
	object           // the one that has this destination
	field     string // where it has it
	kind      target
	namespace string
	name      string
	uri       string
}

// kinds that may be addressed by reference.
var addressable = map[string]target{
	"KafkaSink eventing.knative.dev": toSink,
	"Broker eventing.knative.dev":    toBroker,
	"Service serving.knative.dev":    toService,
}

func (p *parser) destination(o object, field string, spec *destinationSpec) destination {
	d := destination{object: o, field: field, namespace: o.namespace}
	if spec == nil || spec.Ref == nil && spec.URI == "" {
		p.problem(o, field, "is required")
		return d
	}
	if spec.CACerts != "" || spec.Audience != "" {
		p.report(o, field, "CACerts and audience are not played")
	}
	d.uri = spec.URI
	if spec.Ref == nil {
		d.address(p, spec.URI)
		return d
	}
	group, _, _ := strings.Cut(spec.Ref.APIVersion, "/")
	d.name = spec.Ref.Name
	if spec.Ref.Namespace != "" {
		d.namespace = spec.Ref.Namespace
	}
	var known bool
	if d.kind, known = addressable[spec.Ref.Kind+" "+group]; !known {
		p.problem(o, field+".ref", "%s of %q cannot be played: want a KafkaSink, a Broker or a Knative Service", spec.Ref.Kind, spec.Ref.APIVersion)
	}
	return d
}

// address reads an absolute URI. The cluster's own addresses of sinks, brokers
// and services are taken for what they mean.
func (d *destination) address(p *parser, uri string) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		p.problem(d.object, d.field+".uri", "%q is no absolute http address", uri)
		return
	}
	labels := strings.Split(u.Hostname(), ".")
	inCluster := len(labels) >= 3 && labels[2] == "svc"
	namespace, name, two := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case inCluster && (labels[0] == "kafka-sink-ingress" || labels[0] == "kafka-broker-ingress"):
		d.kind = toSink
		if labels[0] == "kafka-broker-ingress" {
			d.kind = toBroker
		}
		if !two || name == "" {
			p.problem(d.object, d.field+".uri", "%q: want /<namespace>/<name>", uri)
		}
		d.namespace, d.name, d.uri = namespace, name, ""
	case inCluster:
		d.kind, d.namespace, d.name, d.uri = toService, labels[1], labels[0], u.RequestURI()
	default:
		d.kind = toAddress
	}
}

// addresses says where things are on this machine.
type addresses struct {
	ingress  string            // base URL of sinks and brokers, without a trailing slash
	services map[string]string // Knative Service name -> base URL
}

// of is the URL of a destination. It fails for a service that is not there.
func (a addresses) of(d destination) (string, error) {
	base := ""
	switch d.kind {
	case toNothing:
		return "", nil
	case toAddress:
		return d.uri, nil
	case toSink, toBroker:
		base = a.ingress + "/" + d.namespace + "/" + d.name
	case toService:
		var known bool
		if base, known = a.services[d.name]; !known {
			return "", fmt.Errorf("%s: %s: %s: no address is known of the Knative Service %s", d.file, d.object, d.field, d.name)
		}
	}
	if d.uri == "" {
		return base, nil
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %s: %w", d.file, d.object, d.field, err)
	}
	if u, err = u.Parse(d.uri); err != nil {
		return "", fmt.Errorf("%s: %s: %s: %w", d.file, d.object, d.field, err)
	}
	return u.String(), nil
}
