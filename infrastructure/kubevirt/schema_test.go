package kubevirt_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// schema is what the fake server knows of a kind: enough to refuse a field that is
// misspelled or in the wrong place. The whole schemas are a real server's, which the
// integration test asks.
type schema struct {
	fields   map[string]*schema // of an object
	required []string
	item     *schema // of a list
	open     bool    // anything
	integer  bool
}

func open() *schema { return &schema{open: true} }

func obj(fields map[string]*schema, required ...string) *schema {
	return &schema{fields: fields, required: required}
}

func listOf(item *schema) *schema { return &schema{item: item} }

// leaves makes leaves of names.
func leaves(names ...string) map[string]*schema {
	all := map[string]*schema{}
	for _, n := range names {
		all[n] = open()
	}
	return all
}

func with(all map[string]*schema, more map[string]*schema) map[string]*schema {
	maps.Copy(all, more)
	return all
}

func top(spec *schema, required ...string) *schema {
	return obj(map[string]*schema{"apiVersion": open(), "kind": open(), "metadata": metaSchema(), "spec": spec, "status": open()}, required...)
}

func metaSchema() *schema {
	return obj(leaves("name", "namespace", "uid", "labels", "annotations", "ownerReferences", "finalizers", "resourceVersion", "generation",
		"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"))
}

func vmSchema() *schema {
	name := obj(leaves("name"))
	bus := obj(leaves("bus", "readonly"))
	disk := obj(with(leaves("name", "bootOrder", "serial", "cache", "io"), map[string]*schema{"disk": bus, "cdrom": bus}), "name")
	nic := obj(with(leaves("name", "macAddress", "model", "bootOrder", "state"), map[string]*schema{"bridge": obj(nil), "masquerade": obj(nil)}), "name")
	domain := obj(map[string]*schema{
		"cpu":       obj(map[string]*schema{"cores": {integer: true}, "sockets": {integer: true}, "threads": {integer: true}, "model": open()}),
		"memory":    obj(leaves("guest", "maxGuest")),
		"firmware":  obj(leaves("uuid", "serial", "bootloader")),
		"machine":   obj(leaves("type")),
		"resources": obj(leaves("requests", "limits")),
		"devices":   obj(map[string]*schema{"disks": listOf(disk), "interfaces": listOf(nic), "rng": obj(nil)}),
	}, "devices")
	volume := obj(map[string]*schema{"name": open(), "persistentVolumeClaim": obj(leaves("claimName", "hotpluggable"), "claimName"), "dataVolume": obj(leaves("name"), "name"),
		"containerDisk": obj(leaves("image"), "image"), "cloudInitNoCloud": obj(map[string]*schema{"secretRef": name, "networkDataSecretRef": name})}, "name")
	network := obj(map[string]*schema{"name": open(), "multus": obj(leaves("networkName", "default"), "networkName"), "pod": obj(nil)}, "name")
	spec := obj(with(leaves("hostname", "terminationGracePeriodSeconds", "evictionStrategy", "nodeSelector"),
		map[string]*schema{"domain": domain, "networks": listOf(network), "volumes": listOf(volume)}), "domain")
	return top(obj(map[string]*schema{"runStrategy": open(), "template": obj(map[string]*schema{"metadata": open(), "spec": spec})}, "template"), "spec")
}

func claimSpecSchema() *schema {
	return obj(with(leaves("accessModes", "volumeMode", "storageClassName", "volumeName"), map[string]*schema{"resources": obj(leaves("requests", "limits"))}))
}

func claimSchema() *schema { return top(claimSpecSchema()) }

func dataVolumeSchema() *schema {
	source := obj(map[string]*schema{"registry": obj(leaves("url")), "http": obj(leaves("url", "checksum"), "url")})
	return top(obj(map[string]*schema{"source": source, "pvc": claimSpecSchema()}), "spec")
}

func attachmentSchema() *schema { return top(obj(leaves("config"))) }

func secretSchema() *schema {
	return obj(map[string]*schema{"apiVersion": open(), "kind": open(), "metadata": metaSchema(), "data": open(), "type": open()})
}

// unknown names the fields that are in v and not in the schema.
func (s *schema) unknown(at string, v any) (found []string) {
	switch v := v.(type) {
	case fields:
		if s.open || s.fields == nil && s.item == nil && s.integer {
			return nil
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			below := strings.TrimPrefix(at+"."+k, ".")
			if next, known := s.fields[k]; known {
				found = append(found, next.unknown(below, v[k])...)
			} else {
				found = append(found, below)
			}
		}
	case []any:
		for i, x := range v {
			if s.item != nil {
				found = append(found, s.item.unknown(fmt.Sprintf("%s[%d]", at, i), x)...)
			}
		}
	}
	return found
}

// wrong names what is required and missing, and what is no number: field, message, reason.
func (s *schema) wrong(at string, v any) (found [][3]string) {
	switch v := v.(type) {
	case fields:
		for _, r := range s.required {
			if v[r] == nil {
				found = append(found, [3]string{strings.TrimPrefix(at+"."+r, "."), "Required value", "FieldValueRequired"})
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if next := s.fields[k]; next != nil {
				found = append(found, next.wrong(strings.TrimPrefix(at+"."+k, "."), v[k])...)
			}
		}
	case []any:
		for i, x := range v {
			if s.item != nil {
				found = append(found, s.item.wrong(fmt.Sprintf("%s[%d]", at, i), x)...)
			}
		}
	case string:
		if s.integer {
			found = append(found, [3]string{at, fmt.Sprintf("Invalid value: \"string\": %s in body must be of type integer: \"string\"", at), "FieldValueTypeInvalid"})
		}
	}
	return found
}

// decode reads a body strictly.
func (q request) decode(body []byte) (o fields, status int, refused any) {
	bad := func(format string, args ...any) (fields, int, any) {
		code, out := no(400, "BadRequest", fmt.Sprintf(format, args...), nil)
		return nil, code, out
	}
	version := "v1"
	if err := json.Unmarshal(body, &o); err != nil {
		shown := string(body)
		if shown == "" {
			shown = "<empty>"
		}
		return bad("the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error: %v (%s)", q.kind, err, shown)
	}
	if unknown := q.schema.unknown("", o); len(unknown) > 0 && q.query.Get("fieldValidation") == "Strict" {
		for i, u := range unknown {
			unknown[i] = fmt.Sprintf("unknown field %q", u)
		}
		return bad("%s in version %q cannot be handled as a %s: strict decoding error: %s", q.kind, version, q.kind, strings.Join(unknown, ", "))
	}
	if data, ok := below(o, "data"); ok && q.kind == "Secret" {
		for _, v := range data {
			if _, err := base64.StdEncoding.DecodeString(fmt.Sprint(v)); err != nil {
				return bad("Secret in version %q cannot be handled as a Secret: %v", version, err)
			}
		}
	}
	return o, 0, nil
}

var rfc1123 = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// validate is what comes after decoding.
func (q request) validate(o fields, name string) (status int, refused any) {
	var causes [][3]string
	if !rfc1123.MatchString(name) {
		causes = append(causes, [3]string{"metadata.name", fmt.Sprintf("Invalid value: %q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '%s')", name, strings.Trim(rfc1123.String(), "^$")), "FieldValueInvalid"})
	} else if causes = q.schema.wrong("", o); len(causes) > 0 && q.custom {
		causes = append(causes, [3]string{"<nil>", "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation", "FieldValueInvalid"})
	}
	if size := fmt.Sprint(at(o, "spec", "resources", "requests", "storage")); q.kind == "PersistentVolumeClaim" && strings.TrimSuffix(size, "Mi") == "0" {
		causes = append(causes, [3]string{"spec.resources[storage]", fmt.Sprintf("Invalid value: %q: must be greater than zero", "0"), "FieldValueInvalid"})
	}
	if len(causes) == 0 {
		return 0, nil
	}
	var all []any
	var sentences []string
	for _, c := range causes {
		all = append(all, fields{"field": c[0], "message": c[1], "reason": c[2]})
		sentences = append(sentences, c[0]+": "+c[1])
	}
	kind := q.kind
	if q.group != "" {
		kind += "." + q.group
	}
	message := strings.Join(sentences, ", ")
	if len(sentences) > 1 {
		message = "[" + message + "]"
	}
	return no(422, "Invalid", fmt.Sprintf("%s %q is invalid: %s", kind, name, message), q.details(q.kind, name, fields{"causes": all}))
}
