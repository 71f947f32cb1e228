// Package config reads what an operator sets: one struct per program, read from
// the environment once, at start, and refused as a whole when anything in it is
// wrong. Every mistake is reported in one go, each with the variable, the value
// and what is wanted instead.
//
// Our own variables begin with KBNT_ and are named after the fields:
// Local.ProvisionAddr is KBNT_PROVISION_ADDR, Local.Quota.Machines is
// KBNT_QUOTA_MACHINES. A field with an envconfig tag has a name that the
// ecosystem knows, KAFKA_BROKERS; the same name after KBNT_ wins over it, for
// machines on which the bare one means something else. A variable that is set
// to nothing is not set: a manifest that lists all of them may leave some empty.
//
// Some variables name files, which are read with them: what an operator mounts
// from ConfigMaps and Secrets. A mistake in a file has its line and its field.
//
// The tags of a field are its documentation and its rule: default, min and max
// (both included), desc. README.md's tables are made of them by go generate,
// and a test holds them to it.
//
// It is not a place for defaults of the business: where 0 or nothing means "what
// the domain says", the field says so. It imports nothing of this module, and
// nothing else in the module reads the environment.
package config

//go:generate go test . -run TestREADME -update
