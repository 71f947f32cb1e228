package cel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"kbnt.dev/virtualization/domain"
)

// caller is who asks, as a test case writes it.
type caller struct {
	User   string   `yaml:"user"`
	Tenant string   `yaml:"tenant"`
	Roles  []string `yaml:"roles"`
}

// request is what is asked, in the units that policies see. The names in a test
// case are those behind "request." in an expression. What a request of its type
// does not have is 0 or empty.
type request struct {
	Type           string            `yaml:"type"`
	Name           string            `yaml:"name"`
	Resource       string            `yaml:"resource"`
	User           string            `yaml:"user"`
	Priority       string            `yaml:"priority"`
	Labels         map[string]string `yaml:"labels"`
	Cores          int               `yaml:"cores"`
	MemoryGiB      float64           `yaml:"memoryGiB"`
	DiskGiB        float64           `yaml:"diskGiB"`
	DiskType       string            `yaml:"diskType"`
	IOPS           int               `yaml:"iops"`
	Image          string            `yaml:"image"`
	Network        string            `yaml:"network"`
	VLAN           int               `yaml:"vlan"`
	CIDR           string            `yaml:"cidr"`
	Gateway        string            `yaml:"gateway"`
	SSHKeys        []string          `yaml:"sshKeys"`
	UserData       string            `yaml:"userData"`
	SecurityGroups []string          `yaml:"securityGroups"`
}

// requestOf is a draft in the units of policies.
func requestOf(d domain.Draft) request {
	r := request{Type: string(d.Type), Name: d.ResourceID, Resource: d.VirtualResourceID, User: d.User, Priority: string(d.Priority), Labels: d.Labels}
	gib := func(m domain.MiB) float64 { return float64(m) / float64(domain.GiB) }
	if m := d.Spec.Machine; m != nil {
		r.Cores, r.MemoryGiB, r.DiskGiB, r.DiskType, r.Image = m.Cores, gib(m.Memory), gib(m.Disk), string(m.DiskType), m.Image
		r.Network, r.VLAN = cmp.Or(m.Network.Name, m.Network.Mode), m.Network.VLAN
		r.SSHKeys, r.UserData, r.SecurityGroups = m.SSHKeys, m.UserData, m.SecurityGroups
	}
	if v := d.Spec.Volume; v != nil {
		r.DiskGiB, r.DiskType, r.IOPS = gib(v.Size), string(v.Type), v.IOPS
	}
	if n := d.Spec.Network; n != nil {
		r.VLAN = n.VLAN
		if n.Subnet.IsValid() {
			r.CIDR = n.Subnet.String()
		}
		if n.Gateway.IsValid() {
			r.Gateway = n.Gateway.String()
		}
	}
	return r
}

// variables are what expressions can read, by name. A name with a dot is one
// name: CEL finds it, and refuses request.coers when it compiles, which it would
// not in a map.
func variables(c domain.Caller, r request, hourly float64) map[string]any {
	return map[string]any{
		"caller.user":            c.User,
		"caller.tenant":          c.Tenant,
		"caller.roles":           list(c.Roles),
		"request.type":           r.Type,
		"request.kind":           string(domain.RequestType(r.Type).Kind()),
		"request.name":           r.Name,
		"request.resource":       r.Resource,
		"request.user":           r.User,
		"request.priority":       r.Priority,
		"request.labels":         dictionary(r.Labels),
		"request.cores":          int64(r.Cores),
		"request.memoryGiB":      r.MemoryGiB,
		"request.diskGiB":        r.DiskGiB,
		"request.diskType":       r.DiskType,
		"request.iops":           int64(r.IOPS),
		"request.image":          r.Image,
		"request.network":        r.Network,
		"request.vlan":           int64(r.VLAN),
		"request.cidr":           r.CIDR,
		"request.gateway":        r.Gateway,
		"request.sshKeys":        list(r.SSHKeys),
		"request.userData":       r.UserData,
		"request.securityGroups": list(r.SecurityGroups),
		"hourlyCostUSD":          hourly,
	}
}

func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

func dictionary[M ~map[string]string](m M) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// Variables lists what expressions can read, in order.
func Variables() []string {
	var names []string
	for name := range variables(domain.Caller{}, request{}, 0) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// environment declares the variables by the types of their values.
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true), // memoryGiB > 64 reads better than > 64.0
		cel.ParserRecursionLimit(100), cel.ParserExpressionSizeLimit(maxExpression),
	}
	for name, value := range variables(domain.Caller{}, request{}, 0) {
		var t *cel.Type
		switch value.(type) {
		case string:
			t = cel.StringType
		case int64:
			t = cel.IntType
		case float64:
			t = cel.DoubleType
		case []string:
			t = cel.ListType(cel.StringType)
		case map[string]string:
			t = cel.MapType(cel.StringType, cel.StringType)
		default:
			return nil, fmt.Errorf("%s is a %T", name, value) // a defect, which the tests find
		}
		options = append(options, cel.Variable(name, t))
	}
	return cel.NewEnv(options...)
}

// show prints a value for the record; of long texts their length, because they
// may hold what is nobody's business.
func show(name string, v any) string {
	switch v := v.(type) {
	case string:
		if name == "request.userData" {
			return fmt.Sprintf("%d bytes", len(v))
		}
		return fmt.Sprintf("%q", v)
	case []string:
		if name == "request.sshKeys" {
			return fmt.Sprintf("%d keys", len(v))
		}
		return "[" + strings.Join(v, " ") + "]"
	case float64:
		return fmt.Sprintf("%g", v)
	}
	return strings.TrimPrefix(fmt.Sprint(v), "map")
}
