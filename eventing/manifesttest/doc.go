// Package manifesttest holds every Kubernetes document of the repository against
// what a cluster would say of it: it renders each kustomization as kubectl apply -k
// does, makes of each func.yaml the Knative Service that func deploy would make,
// and asks the schemas and the Go types of those who own the kinds.
//
// It is a module of its own, and nothing but tests: Kubernetes and Knative stay
// out of the go.mod of the service. It is not a cluster: nothing here says that a
// controller makes something of an object, only that the API server takes it.
// eventing/manifests_test.go, which needs none of these modules, holds the
// wiring of events against the contract; what it says is not said again here.
//
// # Configuration
//
// KBNT_CRDS names a folder of CustomResourceDefinitions, in YAML, of kinds whose
// schema no Go module carries: KafkaSink, KafkaSource, KafkaTopic, PodMonitor,
// PrometheusRule, NetworkAttachmentDefinition, KubeVirt's. Without it those are
// held against Go types only, their owner's or, in kafka_test.go and
// network_test.go, ones written by hand after the schema; and a kind without any
// is refused.
//
// # Guarantees
//
// A kind that nothing here knows fails the test, and so does one of which no
// wrong copy (mutations_test.go) was seen to fail. The schemas of Knative are
// those of the versions in go.mod.
//
// # Limits
//
// Kubernetes does not publish the validation of its own kinds as a module. They
// are decoded strictly and held against core_test.go, which knows less than the
// API server. Policies of a cluster (Pod Security, quotas) are not asked.
package manifesttest
