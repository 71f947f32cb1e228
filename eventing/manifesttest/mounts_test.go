package manifesttest

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// checkFiles says which files that the variables of a function name would not be
// there. The image is empty but for the program, so each has to be in a volume.
func (w world) checkFiles(o object) []string {
	if o.GroupVersionKind() != parseKind("serving.knative.dev/v1.Service") {
		return nil
	}
	var service servingv1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &service); err != nil {
		return []string{err.Error()}
	}
	var m mistakes
	pod := service.Spec.Template.Spec
	for _, container := range pod.Containers {
		for _, variable := range container.Env {
			if !strings.HasPrefix(variable.Value, "/") {
				continue
			}
			where := "variable " + variable.Name
			volume, file, ok := mounted(pod.Volumes, container.VolumeMounts, variable.Value)
			m.want(ok, "%s: the file %s is in no volume", where, variable.Value)
			if ok && file != "" && volume.ConfigMap != nil {
				of := key{"", "ConfigMap", o.GetNamespace(), volume.ConfigMap.Name}
				m.want(has(w[of], file), "%s: the file %s: the %s has no key %q", where, variable.Value, of, file)
			}
		}
	}
	return m
}

// mounted is the volume in which a path is, and the path from there on.
func mounted(volumes []corev1.Volume, mounts []corev1.VolumeMount, path string) (volume corev1.Volume, file string, ok bool) {
	for _, mount := range mounts {
		rest, below := strings.CutPrefix(path, mount.MountPath)
		if !below || rest != "" && rest[0] != '/' {
			continue
		}
		for _, v := range volumes {
			if v.Name == mount.Name {
				return v, strings.TrimPrefix(rest, "/"), true
			}
		}
	}
	return corev1.Volume{}, "", false
}
