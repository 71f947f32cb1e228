package kubevirt_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *server) answer(q request, header http.Header) (int, any) {
	if user := header.Get("Impersonate-User"); user != "" {
		verb := map[string]string{"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[q.verb]
		what := q.resource()
		if q.name != "" {
			what += fmt.Sprintf(" %q", q.name)
		}
		return no(403, "Forbidden", fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q in the namespace %q", what, user, verb, q.plural, q.group, q.namespace), q.details(q.plural, q.name, nil))
	}
	switch q.verb {
	case http.MethodPost:
		return s.post(q)
	case http.MethodGet:
		if q.name == "" {
			return s.list(q)
		}
		if o, ok := s.objects[q.collection+"/"+q.name]; ok {
			return 200, clone(o)
		}
		return q.notFound()
	case http.MethodPatch:
		return s.patch(q, header.Get("Content-Type"))
	case http.MethodDelete:
		return s.delete(q)
	}
	return no(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", nil)
}

func (q request) notFound() (int, fields) {
	return no(404, "NotFound", fmt.Sprintf("%s %q not found", q.resource(), q.name), q.details(q.plural, q.name, nil))
}

func (s *server) post(q request) (int, any) {
	o, status, refused := q.decode(q.body)
	if refused != nil {
		return status, refused
	}
	name := text(o, "metadata", "name")
	if q.namespace != "" && s.objects["/api/v1/namespaces/"+q.namespace] == nil {
		return no(404, "NotFound", fmt.Sprintf("namespaces %q not found", q.namespace), fields{"kind": "namespaces", "name": q.namespace})
	}
	if status, refused := q.validate(o, name); refused != nil {
		return status, refused
	}
	at := q.collection + "/" + name
	if most, limited := s.quotas[q.collection]; limited && s.count(q.collection) >= most {
		count := "count/" + q.resource()
		return no(403, "Forbidden", fmt.Sprintf("%s %q is forbidden: exceeded quota: few, requested: %s=1, used: %s=%d, limited: %s=%d", q.resource(), name, count, count, most, count, most), q.details(q.plural, name, nil))
	}
	if have, taken := s.objects[at]; taken {
		message := fmt.Sprintf("%s %q already exists", q.resource(), name)
		if text(have, "metadata", "deletionTimestamp") != "" {
			message = "object is being deleted: " + message
		}
		return no(409, "AlreadyExists", message, q.details(q.plural, name, nil))
	}
	meta := o["metadata"].(fields)
	s.version++
	meta["uid"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", s.version)
	meta["resourceVersion"] = strconv.Itoa(s.version)
	meta["creationTimestamp"] = s.now().UTC().Format(time.RFC3339)
	if q.namespace != "" {
		meta["namespace"] = q.namespace
	}
	if q.custom {
		meta["generation"] = 1
	}
	if q.protected != "" {
		meta["finalizers"] = []any{q.protected}
	}
	if q.status {
		delete(o, "status")
	}
	defaults(q.kind, o)
	s.objects[at] = o
	if hard, ok := below(o, "spec", "hard"); ok && q.kind == "ResourceQuota" {
		for what, most := range hard {
			plural, group, _ := strings.Cut(strings.TrimPrefix(what, "count/"), ".")
			n, _ := strconv.Atoi(fmt.Sprint(most))
			s.quotas["/apis/"+group+"/v1/namespaces/"+q.namespace+"/"+plural] = n
		}
	}
	return 201, clone(o)
}

func below(o fields, keys ...string) (fields, bool) {
	m, ok := at(o, keys...).(fields)
	return m, ok
}

// defaults fills in what the server does.
func defaults(kind string, o fields) {
	switch kind {
	case "PersistentVolumeClaim":
		spec := o["spec"].(fields)
		if spec["volumeMode"] == nil {
			spec["volumeMode"] = "Filesystem"
		}
		if r, ok := below(o, "spec", "resources", "requests"); ok {
			r["storage"] = canonical(fmt.Sprint(r["storage"]))
		}
		o["status"] = fields{"phase": "Pending"}
	case "Secret":
		o["type"] = "Opaque"
	case "ResourceQuota":
		o["status"] = fields{}
	}
}

// canonical writes whole GiB as such.
func canonical(quantity string) string {
	if n, err := strconv.Atoi(strings.TrimSuffix(quantity, "Mi")); err == nil && n%1024 == 0 && n > 0 {
		return strconv.Itoa(n/1024) + "Gi"
	}
	return quantity
}

func (s *server) count(collection string) (n int) {
	for at := range s.objects {
		if strings.HasPrefix(at, collection+"/") {
			n++
		}
	}
	return n
}

func (s *server) patch(q request, kind string) (int, any) {
	have, ok := s.objects[q.collection+"/"+q.name]
	if !ok {
		return q.notFound()
	}
	var change fields
	if err := json.Unmarshal(q.body, &change); err != nil || kind != merge {
		return no(415, "UnsupportedMediaType", "the body of the request was in an unknown format", nil)
	}
	o := clone(have)
	mergeInto(o, change)
	if q.status || q.sub == "status" { // each part is written by its own path
		if q.sub == "status" {
			only := clone(have)
			only["status"] = o["status"]
			o = only
		} else if have["status"] == nil {
			delete(o, "status")
		} else {
			o["status"] = have["status"]
		}
	}
	if uid := text(o, "metadata", "uid"); uid != text(have, "metadata", "uid") {
		message := fmt.Sprintf("Invalid value: %q: field is immutable", uid)
		cause := fields{"field": "metadata.uid", "message": message, "reason": "FieldValueInvalid"}
		return no(422, "Invalid", fmt.Sprintf("%s.%s %q is invalid: metadata.uid: %s", q.kind, q.group, q.name, message), q.details(q.kind, q.name, fields{"causes": []any{cause, cause}}))
	}
	if unknown := q.schema.unknown("", o); len(unknown) > 0 {
		cause := fields{"field": "patch", "message": "<the whole object>", "reason": "FieldValueInvalid"}
		return no(422, "Invalid", "<the whole object>", fields{"causes": []any{cause}})
	}
	if show(o) != show(have) {
		s.version++
		meta := o["metadata"].(fields)
		meta["resourceVersion"] = strconv.Itoa(s.version)
		if q.custom && show(o["spec"]) != show(have["spec"]) {
			meta["generation"] = number(meta["generation"]) + 1
		}
	}
	finalizers, _ := at(o, "metadata", "finalizers").([]any)
	if text(o, "metadata", "deletionTimestamp") != "" && len(finalizers) == 0 {
		delete(s.objects, q.collection+"/"+q.name)
	} else {
		s.objects[q.collection+"/"+q.name] = o
	}
	return 200, clone(o)
}

func (s *server) delete(q request) (int, any) {
	have, ok := s.objects[q.collection+"/"+q.name]
	if !ok {
		return q.notFound()
	}
	var options fields
	_ = json.Unmarshal(q.body, &options)
	uid := text(have, "metadata", "uid")
	if want := text(options, "preconditions", "uid"); want != "" && want != uid {
		kind := q.kind
		if q.group != "" {
			kind += "." + q.group
		}
		return no(409, "Conflict", fmt.Sprintf("Operation cannot be fulfilled on %s %q: the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", kind, q.name, want, uid), q.details(q.kind, q.name, nil))
	}
	meta := have["metadata"].(fields)
	if finalizers, _ := meta["finalizers"].([]any); len(finalizers) > 0 {
		if meta["deletionTimestamp"] == nil {
			s.version++
			meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = s.now().UTC().Format(time.RFC3339), 0
			meta["resourceVersion"] = strconv.Itoa(s.version)
			if q.custom {
				meta["generation"] = number(meta["generation"]) + 1
			}
		}
		return 200, clone(have)
	}
	delete(s.objects, q.collection+"/"+q.name)
	return 200, fields{"apiVersion": "v1", "kind": "Status", "metadata": fields{}, "status": "Success", "details": q.details(q.plural, q.name, fields{"uid": uid})}
}

func (s *server) list(q request) (int, any) {
	match, bad := selector(q.query.Get("labelSelector"))
	if bad != "" {
		return no(400, "BadRequest", bad, nil)
	}
	after := ""
	if token := q.query.Get("continue"); token != "" {
		var ok bool
		if after, ok = strings.CutPrefix(token, "after:"); !ok {
			return no(400, "BadRequest", "invalid continue token: continue key is not valid: invalid character 'r' looking for beginning of value", nil)
		}
	}
	limit, _ := strconv.Atoi(q.query.Get("limit"))
	items, token := []any{}, ""
	for _, at := range slices.Sorted(maps.Keys(s.objects)) {
		name, ok := strings.CutPrefix(at, q.collection+"/")
		if !ok || strings.Contains(name, "/") || name <= after || !match(s.objects[at]) {
			continue
		}
		if limit > 0 && len(items) == limit {
			token = "after:" + text(items[len(items)-1], "metadata", "name")
			break
		}
		items = append(items, clone(s.objects[at]))
	}
	api := strings.TrimPrefix(strings.TrimPrefix(q.collection[:strings.LastIndex(q.collection, "/")], "/apis/"), "/api/")
	api, _, _ = strings.Cut(api, "/namespaces/")
	return 200, fields{"apiVersion": api, "kind": q.kind + "List", "items": items,
		"metadata": fields{"continue": token, "resourceVersion": strconv.Itoa(s.version)}}
}

// selector understands "a=b" and "a in (b,c)".
func selector(text string) (match func(fields) bool, bad string) {
	if text == "" {
		return func(fields) bool { return true }, ""
	}
	values := func(o fields, key string) string {
		labels, _ := below(o, "metadata", "labels")
		s, _ := labels[key].(string)
		return s
	}
	if m := regexp.MustCompile(`^(\S+) in \((.*)\)$`).FindStringSubmatch(text); m != nil {
		return func(o fields) bool { return slices.Contains(strings.Split(m[2], ","), values(o, m[1])) }, ""
	}
	if key, value, ok := strings.Cut(text, "="); ok {
		return func(o fields) bool { return values(o, key) == value }, ""
	}
	return nil, "unable to parse requirement: found 'other' expected: '('"
}

// mergeInto is a merge patch (RFC 7386).
func mergeInto(o, change fields) {
	for k, v := range change {
		sub, isObject := v.(fields)
		have, had := o[k].(fields)
		switch {
		case v == nil:
			delete(o, k)
		case isObject && had:
			mergeInto(have, sub)
		case isObject:
			o[k] = fields{}
			mergeInto(o[k].(fields), sub)
		default:
			o[k] = v
		}
	}
}

func number(v any) int { n, _ := strconv.Atoi(fmt.Sprint(v)); return n }

func clone(o fields) fields {
	data, _ := json.Marshal(o)
	var out fields
	_ = json.Unmarshal(data, &out)
	return out
}
