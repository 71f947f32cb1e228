package manifesttest

import (
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// coreKinds are Kubernetes' own. They are decoded strictly into its types; what
// else the API server asks of them is not to be had as a module, so the rules
// that a manifest is likely to break are written here, after
// kubernetes/kubernetes pkg/apis/{core,rbac,networking}/validation.
var coreKinds = map[string]func(object) []string{
	"v1.Namespace":      func(o object) []string { return o.into(new(corev1.Namespace)) },
	"v1.ServiceAccount": checkServiceAccount,
	"v1.ConfigMap":      checkConfigMap,
	"v1.Secret":         checkSecret,

	"rbac.authorization.k8s.io/v1.Role":               checkRole,
	"rbac.authorization.k8s.io/v1.ClusterRole":        checkClusterRole,
	"rbac.authorization.k8s.io/v1.RoleBinding":        checkRoleBinding,
	"rbac.authorization.k8s.io/v1.ClusterRoleBinding": checkClusterRoleBinding,

	"networking.k8s.io/v1.NetworkPolicy": checkNetworkPolicy,
}

func checkServiceAccount(o object) []string {
	var account corev1.ServiceAccount
	m := mistakes(o.into(&account))
	m.want(account.Namespace != "", "metadata.namespace: missing")
	return m
}

// maxData is the most that a ConfigMap or a Secret may hold (MaxSecretSize).
const maxData = 1 << 20

func checkConfigMap(o object) []string {
	var config corev1.ConfigMap
	m := mistakes(o.into(&config))
	m.want(config.Namespace != "", "metadata.namespace: missing")
	size := 0
	for name, value := range config.Data {
		_, twice := config.BinaryData[name]
		m.want(!twice, "data[%s]: is in binaryData too", name)
		size += len(value)
	}
	for _, value := range config.BinaryData {
		size += len(value)
	}
	m.keys("data", slices.Concat(sorted(maps.Keys(config.Data)), sorted(maps.Keys(config.BinaryData))))
	m.want(size <= maxData, "data: got %d bytes, want %d or less", size, maxData)
	return m
}

// secretKeys are what a Secret of a type must hold.
var secretKeys = map[corev1.SecretType][]string{
	corev1.SecretTypeOpaque:           nil,
	"":                                nil,
	corev1.SecretTypeTLS:              {corev1.TLSCertKey, corev1.TLSPrivateKeyKey},
	corev1.SecretTypeBasicAuth:        nil,
	corev1.SecretTypeDockerConfigJson: {corev1.DockerConfigJsonKey},
}

func checkSecret(o object) []string {
	var secret corev1.Secret
	m := mistakes(o.into(&secret))
	m.want(secret.Namespace != "", "metadata.namespace: missing")
	names := slices.Concat(sorted(maps.Keys(secret.Data)), sorted(maps.Keys(secret.StringData)))
	m.keys("data", names)
	needed, known := secretKeys[secret.Type]
	m.want(known, "type: got %q, want one of %q", secret.Type, slices.Sorted(maps.Keys(secretKeys)))
	for _, name := range needed {
		m.want(slices.Contains(names, name), "data[%s]: missing in a Secret of the type %s", name, secret.Type)
	}
	return m
}

func (m *mistakes) keys(where string, names []string) {
	for _, name := range names {
		for _, why := range validation.IsConfigMapKey(name) {
			*m = append(*m, where+"["+name+"]: "+why)
		}
	}
}

func checkRole(o object) []string {
	var role rbacv1.Role
	m := mistakes(o.into(&role))
	m.want(role.Namespace != "", "metadata.namespace: missing")
	m.rules(role.Rules)
	for i, rule := range role.Rules {
		m.want(len(rule.NonResourceURLs) == 0, "rules[%d].nonResourceURLs: only a ClusterRole has them", i)
	}
	return m
}

func checkClusterRole(o object) []string {
	var role rbacv1.ClusterRole
	m := mistakes(o.into(&role))
	m.rules(role.Rules)
	return m
}

// verbs of the API server. It takes any; a mistyped one grants nothing.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "escalate", "impersonate"}

func (m *mistakes) rules(rules []rbacv1.PolicyRule) {
	m.want(len(rules) > 0, "rules: want one or more")
	for i, rule := range rules {
		m.want(len(rule.Verbs) > 0, "rules[%d].verbs: missing", i)
		for _, verb := range rule.Verbs {
			m.want(slices.Contains(verbs, verb), "rules[%d].verbs: got %q, want one of %q", i, verb, verbs)
		}
		if len(rule.NonResourceURLs) > 0 {
			m.want(len(rule.APIGroups) == 0 && len(rule.Resources) == 0, "rules[%d]: want resources or nonResourceURLs, not both", i)
			continue
		}
		m.want(len(rule.APIGroups) > 0, "rules[%d].apiGroups: missing", i)
		m.want(len(rule.Resources) > 0, "rules[%d].resources: missing", i)
		for _, name := range rule.Resources {
			m.want(name == strings.ToLower(name) && name != "", "rules[%d].resources: got %q, want a plural in lower case", i, name)
		}
	}
}

func checkRoleBinding(o object) []string {
	var binding rbacv1.RoleBinding
	m := mistakes(o.into(&binding))
	m.want(binding.Namespace != "", "metadata.namespace: missing")
	m.oneOf("roleRef.kind", binding.RoleRef.Kind, "Role", "ClusterRole")
	m.binding(binding.RoleRef, binding.Subjects)
	return m
}

func checkClusterRoleBinding(o object) []string {
	var binding rbacv1.ClusterRoleBinding
	m := mistakes(o.into(&binding))
	m.oneOf("roleRef.kind", binding.RoleRef.Kind, "ClusterRole")
	m.binding(binding.RoleRef, binding.Subjects)
	return m
}

func (m *mistakes) binding(role rbacv1.RoleRef, subjects []rbacv1.Subject) {
	m.oneOf("roleRef.apiGroup", role.APIGroup, rbacv1.GroupName)
	m.want(role.Name != "", "roleRef.name: missing")
	m.want(len(subjects) > 0, "subjects: want one or more")
	for i, subject := range subjects {
		m.want(subject.Name != "", "subjects[%d].name: missing", i)
		switch subject.Kind {
		case rbacv1.ServiceAccountKind:
			m.want(subject.Namespace != "", "subjects[%d].namespace: missing", i)
			m.want(subject.APIGroup == "", "subjects[%d].apiGroup: got %q, want none of a ServiceAccount", i, subject.APIGroup)
		case rbacv1.UserKind, rbacv1.GroupKind:
			m.want(subject.APIGroup == rbacv1.GroupName, "subjects[%d].apiGroup: got %q, want %s", i, subject.APIGroup, rbacv1.GroupName)
		default:
			m.want(false, "subjects[%d].kind: got %q, want ServiceAccount, User or Group", i, subject.Kind)
		}
	}
}

func checkNetworkPolicy(o object) []string {
	var policy networkingv1.NetworkPolicy
	m := mistakes(o.into(&policy))
	m.want(policy.Namespace != "", "metadata.namespace: missing")
	m.selector("spec.podSelector", &policy.Spec.PodSelector)
	// Left out, Egress would depend on whether there are egress rules.
	m.want(len(policy.Spec.PolicyTypes) > 0, "spec.policyTypes: missing")
	for _, kind := range policy.Spec.PolicyTypes {
		m.oneOf("spec.policyTypes", string(kind), "Ingress", "Egress")
	}
	for _, rule := range policy.Spec.Ingress {
		m.peers("spec.ingress.from", rule.From)
		m.ports("spec.ingress.ports", rule.Ports)
	}
	for _, rule := range policy.Spec.Egress {
		m.peers("spec.egress.to", rule.To)
		m.ports("spec.egress.ports", rule.Ports)
	}
	return m
}

func (m *mistakes) peers(where string, peers []networkingv1.NetworkPolicyPeer) {
	for _, peer := range peers {
		m.selector(where+".podSelector", peer.PodSelector)
		m.selector(where+".namespaceSelector", peer.NamespaceSelector)
		selects := peer.PodSelector != nil || peer.NamespaceSelector != nil
		m.want(selects != (peer.IPBlock != nil), "%s: want selectors or an ipBlock", where)
		if peer.IPBlock == nil {
			continue
		}
		for _, cidr := range append([]string{peer.IPBlock.CIDR}, peer.IPBlock.Except...) {
			_, _, err := net.ParseCIDR(cidr)
			m.want(err == nil, "%s.ipBlock: got %q, want a CIDR", where, cidr)
		}
	}
}

func (m *mistakes) ports(where string, ports []networkingv1.NetworkPolicyPort) {
	for _, port := range ports {
		if port.Protocol != nil {
			m.oneOf(where+".protocol", string(*port.Protocol), "TCP", "UDP", "SCTP")
		}
		if port.Port == nil {
			continue
		}
		if name := port.Port.StrVal; name != "" {
			m.want(len(validation.IsValidPortName(name)) == 0, "%s.port: got %q, want a number or the name of a port", where, name)
		} else {
			m.want(len(validation.IsValidPortNum(port.Port.IntValue())) == 0, "%s.port: got %d, want 1 to 65535", where, port.Port.IntValue())
		}
	}
}

func (m *mistakes) selector(where string, s *metav1.LabelSelector) {
	*m = append(*m, texts(metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, field.NewPath(where)))...)
}
