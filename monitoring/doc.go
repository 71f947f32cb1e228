// Package monitoring holds what Prometheus scrapes, records and alerts on, the
// dashboard, and the tests of both. It has no code of its own.
//
// The rules are in prometheusrule-kbnt.yaml and nowhere else: promtool is given
// the groups of that file with the tests of tests/, and a test holds every metric
// and label that a rule or a panel names against what the functions expose.
//
// docs/operations/alerts.md says of each alert what it means and what to do.
package monitoring
