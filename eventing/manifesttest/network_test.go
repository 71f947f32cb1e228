package manifesttest

import (
	"encoding/json"
	"net"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// networkKinds are those of Multus, after the schema of
// k8snetworkplumbingwg/network-attachment-definition-client, which takes any text
// as the configuration, and the CNI specification 1.1, section 1.
var networkKinds = map[string]func(object) []string{
	"k8s.cni.cncf.io/v1.NetworkAttachmentDefinition": checkAttachment,
}

type attachment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Config string `json:"config"`
	} `json:"spec"`
}

func checkAttachment(o object) []string {
	var a attachment
	m := mistakes(o.into(&a))
	var config struct {
		CNIVersion string           `json:"cniVersion"`
		Name       string           `json:"name"`
		Type       string           `json:"type"`
		Plugins    []map[string]any `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(a.Spec.Config), &config); err != nil {
		m.want(false, "spec.config: %v", err)
		return m
	}
	m.want(config.CNIVersion != "", "spec.config: has no cniVersion")
	m.want((config.Type != "") != (len(config.Plugins) > 0), "spec.config: want a type or plugins")
	for _, plugin := range config.Plugins {
		kind, _ := plugin["type"].(string)
		m.want(kind != "", "spec.config: a plugin has no type")
	}
	return m
}

// isHostPort reports whether a text is an address as Kafka's clients take it.
func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	return err == nil && notNumber == nil && n > 0 && host != ""
}
