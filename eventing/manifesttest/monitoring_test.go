package manifesttest

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
)

// monitoringKinds are those of the Prometheus operator. Expressions are tried by
// promtool beside the rules, not here.
var monitoringKinds = map[string]func(object) []string{
	"monitoring.coreos.com/v1.PodMonitor":     checkPodMonitor,
	"monitoring.coreos.com/v1.PrometheusRule": checkPrometheusRule,
}

func checkPodMonitor(o object) []string {
	var monitor monitoringv1.PodMonitor
	m := mistakes(o.into(&monitor))
	m.selector("spec.selector", &monitor.Spec.Selector)
	m.want(len(monitor.Spec.PodMetricsEndpoints) > 0, "spec.podMetricsEndpoints: want one or more")
	for _, endpoint := range monitor.Spec.PodMetricsEndpoints {
		m.duration("spec.podMetricsEndpoints.interval", string(endpoint.Interval))
		m.duration("spec.podMetricsEndpoints.scrapeTimeout", string(endpoint.ScrapeTimeout))
		for _, relabel := range endpoint.RelabelConfigs {
			m.oneOf("spec.podMetricsEndpoints.relabelings.action", relabel.Action, "", "replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
		}
	}
	return m
}

func checkPrometheusRule(o object) []string {
	var rule monitoringv1.PrometheusRule
	m := mistakes(o.into(&rule))
	m.want(len(rule.Spec.Groups) > 0, "spec.groups: want one or more")
	groups := map[string]bool{}
	for _, group := range rule.Spec.Groups {
		m.want(group.Name != "" && !groups[group.Name], "spec.groups: got the name %q, want each once", group.Name)
		groups[group.Name] = true
		if group.Interval != nil {
			m.duration("spec.groups.interval", string(*group.Interval))
		}
		for i, r := range group.Rules {
			where := "spec.groups[" + group.Name + "].rules"
			m.want((r.Alert != "") != (r.Record != ""), "%s[%d]: want alert or record", where, i)
			m.want(r.Expr.String() != "", "%s[%d].expr: missing", where, i)
			if r.For != nil {
				m.duration(where+".for", string(*r.For))
			}
		}
	}
	return m
}

func (m *mistakes) duration(where, text string) {
	_, err := model.ParseDuration(text)
	m.want(text == "" || err == nil, "%s: got %q, want a duration such as 30s", where, text)
}
