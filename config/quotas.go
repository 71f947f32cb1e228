package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Quotas are what tenants may have, read from a file:
//
//	default:
//	  machines: 20
//	  budget: 2.5      # USD per hour
//	tenants:
//	  acme:
//	    machines: 100  # everything else as in default
//	    memory: 512    # GiB
type Quotas struct {
	Path    string // of the file; empty: there is none
	Default Limits // of a tenant that is not in Tenants, and of what is left out there
	Tenants map[string]Limits
}

// Limits are a quota as it is written. What is nil is left out; 0 allows nothing.
type Limits struct {
	Machines *int
	Cores    *int
	Memory   *GiB
	Storage  *GiB // volumes and disks
	Networks *int
	InFlight *int     // unfinished requests
	Budget   *float64 // USD per hour
}

// Decode reads the file that value names.
func (q *Quotas) Decode(value string) error {
	read := Quotas{Path: value}
	err := readDocument(value, func(d *document, root *yaml.Node) {
		d.members(root, "", map[string]func(*yaml.Node, string){
			"default": func(n *yaml.Node, field string) { read.Default = d.limits(n, field) },
			"tenants": func(n *yaml.Node, field string) {
				read.Tenants = map[string]Limits{}
				d.each(n, field, func(key, value *yaml.Node, field string) {
					if !isName(key.Value) {
						d.want(key, field, "a tenant: 1 to 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or a digit")
						return
					}
					read.Tenants[key.Value] = d.limits(value, field)
				})
			},
		}, "default, tenants")
	})
	if err == nil {
		*q = read
	}
	return err
}

func (d *document) limits(n *yaml.Node, field string) Limits {
	const many = 1_000_000
	var l Limits
	d.members(n, field, map[string]func(*yaml.Node, string){
		"machines": whole(d, &l.Machines, many),
		"cores":    whole(d, &l.Cores, many),
		"memory":   whole(d, &l.Memory, many),
		"storage":  whole(d, &l.Storage, many),
		"networks": whole(d, &l.Networks, 4094),
		"inFlight": whole(d, &l.InFlight, many),
		"budget":   d.amount(&l.Budget, many),
	}, "machines, cores, memory, storage, networks, inFlight, budget")
	return l
}

// String is the path of the file.
func (q Quotas) String() string { return q.Path }

// check: two defaults would leave open which one holds.
func (o *Offer) check() []*Mistake {
	if o.Quotas.Path == "" {
		return nil
	}
	var wrong []*Mistake
	for f := range fields(prefix+"_QUOTA", reflect.ValueOf(&o.Quota).Elem()) {
		if f.given() != "" {
			wrong = append(wrong, &Mistake{Variable: f.name, Value: f.given(), with: "KBNT_QUOTAS",
				Want: "it unset, because KBNT_QUOTAS is set: the file that it names has the default quota, too"})
		}
	}
	return wrong
}
