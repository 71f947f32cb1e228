package manifesttest

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/serving/pkg/apis/autoscaling"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// anImage stands for the one that func deploy --image is given.
const anImage = "registry.example/kbnt@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// service is the Knative Service that func deploy makes of a func.yaml, after
// knative/func c18d6045 (August 2026): pkg/knative/deployer.go generateNewService,
// pkg/k8s/deployer.go and pkg/deployer/common.go. func itself is no module to
// import here: it brings Docker, Tekton and the buildpacks along.
func (f function) service() (object, error) {
	container := corev1.Container{
		Image:           anImage,
		SecurityContext: restricted(),
		LivenessProbe:   probe(f.Deploy.HealthEndpoints.Liveness),
		ReadinessProbe:  probe(f.Deploy.HealthEndpoints.Readiness),
	}
	var err error
	if container.Env, err = f.environment(); err != nil {
		return object{}, err
	}
	volumes, mounts, err := f.volumes()
	if err != nil {
		return object{}, err
	}
	container.VolumeMounts = mounts
	if container.Resources, err = f.Deploy.Options.Resources.requirements(); err != nil {
		return object{}, err
	}
	labels := map[string]string{
		"boson.dev/function":           "true",
		"function.knative.dev/name":    f.Name,
		"function.knative.dev/runtime": f.Runtime,
	}
	for _, l := range f.Deploy.Labels {
		labels[l.Key] = l.Value
	}
	annotations := map[string]string{"function.knative.dev/deployer": f.Deployer}
	maps.Copy(annotations, f.Deploy.Annotations)
	// What the user annotates goes on the Service and on its revisions; the
	// scale on the revisions alone, where Serving wants it.
	revision := maps.Clone(annotations)
	maps.Copy(revision, f.Deploy.Options.Scale.annotations())

	s := servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: f.Name, Namespace: f.Namespace, Labels: labels, Annotations: annotations},
	}
	s.Spec.Template.Labels, s.Spec.Template.Annotations = labels, revision
	s.Spec.Template.Spec.ContainerConcurrency = f.Deploy.Options.Resources.Limits.Concurrency
	s.Spec.Template.Spec.PodSpec = corev1.PodSpec{
		Containers:         []corev1.Container{container},
		Volumes:            volumes,
		ServiceAccountName: f.Deploy.ServiceAccountName,
	}
	if f.Deploy.ImagePullSecret != "" {
		s.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: f.Deploy.ImagePullSecret}}
	}
	o := object{file: f.file}
	o.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(&s)
	if err != nil {
		return object{}, fmt.Errorf("%s: %w", f.file, err)
	}
	delete(o.Object, "status")
	return o, nil
}

// restricted is the security context that func gives every container.
func restricted() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		RunAsNonRoot:             &yes,
		AllowPrivilegeEscalation: &no,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func probe(path string) *corev1.Probe {
	get := &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8080)}
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}}
}

// environment are the variables of the container: BUILT first, which makes a new
// revision of every deployment, and ADDRESS last.
func (f function) environment() ([]corev1.EnvVar, error) {
	list := []corev1.EnvVar{{Name: "BUILT", Value: "20260101T000000"}}
	for _, e := range f.Run.Envs {
		v := corev1.EnvVar{Name: e.Name}
		kind, name, key, isReference, err := reference(e.Value)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: run.envs: %s: %w", f.file, e.Name, err)
		case !isReference:
			v.Value = e.Value
		case kind == "Secret":
			v.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
		default:
			v.ValueFrom = &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
		}
		list = append(list, v)
	}
	return append(list, corev1.EnvVar{Name: "ADDRESS", Value: "0.0.0.0"}), nil
}

// reference reads {{ secret:name:key }} and {{ configMap:name:key }}. func also
// knows {{ env:NAME }} and whole objects; neither is in use, and both are refused.
func reference(value string) (kind, name, key string, isReference bool, err error) {
	if !strings.HasPrefix(value, "{{") {
		return "", "", "", false, nil
	}
	parts := strings.Split(strings.Trim(value, "{} "), ":")
	kinds := map[string]string{"secret": "Secret", "configMap": "ConfigMap"}
	if len(parts) != 3 || kinds[parts[0]] == "" || parts[1] == "" || parts[2] == "" {
		return "", "", "", true, fmt.Errorf("%q: want {{ secret:name:key }} or {{ configMap:name:key }}", value)
	}
	return kinds[parts[0]], parts[1], parts[2], true, nil
}

func (f function) volumes() (volumes []corev1.Volume, mounts []corev1.VolumeMount, err error) {
	for i, v := range f.Run.Volumes {
		var made corev1.Volume
		switch {
		case v.Secret != "":
			made.Name = "secret-" + v.Secret
			made.Secret = &corev1.SecretVolumeSource{SecretName: v.Secret}
		case v.ConfigMap != "":
			made.Name = "config-map-" + v.ConfigMap
			made.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMap}}
		case v.EmptyDir != nil:
			size, err := resource.ParseQuantity(v.EmptyDir.SizeLimit)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: run.volumes[%d]: sizeLimit %q: %w", f.file, i, v.EmptyDir.SizeLimit, err)
			}
			made.Name = fmt.Sprintf("empty-dir-%d", i) // a random one, in func
			made.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(v.EmptyDir.Medium), SizeLimit: &size}
		default:
			return nil, nil, fmt.Errorf("%s: run.volumes[%d]: want a secret, a configMap or an emptyDir", f.file, i)
		}
		volumes = append(volumes, made)
		mounts = append(mounts, corev1.VolumeMount{Name: made.Name, MountPath: v.Path})
	}
	return volumes, mounts, nil
}

// annotations are how func writes the scale.
func (s scale) annotations() map[string]string {
	list := map[string]string{}
	if s.Min != nil {
		list[autoscaling.MinScaleAnnotationKey] = fmt.Sprint(*s.Min)
	}
	if s.Max != nil {
		list[autoscaling.MaxScaleAnnotationKey] = fmt.Sprint(*s.Max)
	}
	if s.Metric != "" {
		list[autoscaling.MetricAnnotationKey] = s.Metric
	}
	if s.Target != nil {
		list[autoscaling.TargetAnnotationKey] = fmt.Sprintf("%f", *s.Target)
	}
	if s.Utilization != nil {
		list[autoscaling.TargetUtilizationPercentageKey] = fmt.Sprintf("%f", *s.Utilization)
	}
	return list
}

func (r resources) requirements() (corev1.ResourceRequirements, error) {
	requests, err := quantities(r.Requests.CPU, r.Requests.Memory)
	if err != nil {
		return corev1.ResourceRequirements{}, fmt.Errorf("requests: %w", err)
	}
	limits, err := quantities(r.Limits.CPU, r.Limits.Memory)
	if err != nil {
		return corev1.ResourceRequirements{}, fmt.Errorf("limits: %w", err)
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}, nil
}

func quantities(cpu, memory string) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if text == "" {
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", name, text, err)
		}
		list[name] = q
	}
	return list, nil
}
