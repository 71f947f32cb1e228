package manifesttest

import (
	"context"
	"strings"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// knativeKinds are held against what Knative's admission webhooks ask of them.
// The schemas alone take a Trigger with a broken CESQL expression.
var knativeKinds = map[string]func(object) []string{
	"eventing.knative.dev/v1.Broker":         webhook[eventingv1.Broker],
	"eventing.knative.dev/v1.Trigger":        webhook[eventingv1.Trigger],
	"sources.knative.dev/v1.ApiServerSource": webhook[sourcesv1.ApiServerSource],
	"sources.knative.dev/v1.PingSource":      webhook[sourcesv1.PingSource],
	"sources.knative.dev/v1.SinkBinding":     webhook[sourcesv1.SinkBinding],
	"serving.knative.dev/v1.Service":         checkService,
}

// checkService adds what Serving leaves to the API server, which is asked only
// when a pod is made: a revision would be taken and never be ready.
func checkService(o object) []string {
	m := mistakes(webhook[servingv1.Service](o))
	var service servingv1.Service
	if len(o.into(&service)) > 0 {
		return m
	}
	for _, container := range service.Spec.Template.Spec.Containers {
		for name, limit := range container.Resources.Limits {
			request := container.Resources.Requests[name]
			m.want(request.Cmp(limit) <= 0, "spec.template.spec.containers.resources: requests %s of %s, want %s, the limit, or less", &request, name, &limit)
		}
	}
	return m
}

// webhook decodes an object as a T and does what Knative's webhooks do on creation.
func webhook[T any, P interface {
	*T
	apis.Defaultable
	apis.Validatable
}](o object) []string {
	v := P(new(T))
	if mistakes := o.into(v); len(mistakes) > 0 {
		return mistakes
	}
	ctx := apis.WithinCreate(defaults())
	v.SetDefaults(ctx)
	return append(fieldErrors(v.Validate(ctx)), deliveryRules(o)...)
}

// defaults are the feature flags of a Knative whose config-features sets none.
func defaults() context.Context {
	ctx := context.Background()
	return feature.ToContext(ctx, feature.FromContextOrDefaults(ctx))
}

// fieldErrors are the errors among the messages of a validation; it warns too.
func fieldErrors(err *apis.FieldError) []string {
	var list []string
	for _, e := range err.Filter(apis.ErrorLevel).WrappedErrors() {
		list = append(list, strings.Join(e.Paths, ", ")+": "+strings.TrimSpace(e.Message+" "+e.Details))
	}
	return list
}
