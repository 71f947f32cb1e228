package function_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "kbnt.dev/virtualization"

// layer is what the files of a folder, and of those below it, may import. All
// may import themselves and, but for without, the standard library.
type layer struct {
	may     []string // rows of our own that they may import
	others  bool     // they may import other modules
	without []string // standard packages they may not import, nor what is below
	tests   []string // what _test.go files may import besides
	image   bool     // they are part of the image
	why     string   // the rule in words
}

// layers is the dependency rule. A folder without a row fails: whoever adds one
// decides where it belongs.
//
//	domain <- application <- infrastructure/* <- functions/* <- function.go, cmd
//	            eventing ---^          config ---^
var layers = map[string]layer{
	"domain": {
		without: []string{"net", "os", "database", "log", "syscall", "math/rand", "crypto/rand"},
		why:     "the domain is the language and the rules: standard library only, no I/O, no chance",
		image:   true,
	},
	"application": {
		may:     []string{"domain"},
		without: []string{"net", "os", "database", "log", "syscall", "math/rand", "crypto/rand"},
		why:     "the use cases know the domain and the standard library; I/O and chance come in through a port",
		tests:   []string{"application/applicationtest"},
		image:   true,
	},
	"application/applicationtest": {
		may:     []string{"application", "domain"},
		without: []string{"net", "os", "database", "log", "syscall"},
		why:     "a contract knows its port alone: what it needs of an adapter, the adapter's test hands in",
	},
	"infrastructure": {why: "an adapter has a folder of its own, named after its technology"},
	"infrastructure/*": {
		may: []string{"application", "domain", "eventing", "infrastructure/cloudinit"}, others: true, image: true,
		tests: []string{"infrastructure/memory", "application/applicationtest", "infrastructure/postgres/postgrestest", "infrastructure/libvirt/libvirttest"},
		why:   "an adapter knows its technology and the ports: no other adapter (tests may use memory), no config, no function",
	},
	"infrastructure/cloudinit": {
		may: []string{"domain"}, image: true,
		without: []string{"net/http", "database", "log", "syscall", "math/rand", "crypto/rand"},
		tests:   []string{"sigs.k8s.io/yaml"},
		why:     "the first boot of a guest is a format that the drivers of hypervisors share: it knows the domain, and does no I/O",
	},
	"infrastructure/postgres/postgrestest": {
		others: true,
		why:    "a PostgreSQL for tests knows nothing of ours: what is to be tried on it, the test brings along",
	},
	"infrastructure/libvirt/libvirttest": {
		others: true,
		why:    "a libvirtd for tests knows nothing of ours: what is to be tried on it, the test brings along",
	},
	"functions": {why: "a function has a folder of its own"},
	"functions/*": {
		tests: []string{"application/applicationtest"},
		may:   []string{"domain", "application", "infrastructure/*", "eventing", "config"}, others: true, image: true,
		why: "a function wires ports to adapters: what two functions share belongs into an adapter, and the laptop's platform into cmd",
	},
	"config": {
		others: true, image: true,
		why: "config reads the environment and knows nothing of ours",
	},
	"eventing": {
		tests: []string{"sigs.k8s.io/yaml", "github.com/twmb/avro"}, image: true,
		why: "the published contract of the events needs nothing but the standard library (its tests: a reader of YAML and of Avro)",
	},
	"eventing/local": {
		may: []string{"eventing"}, others: true,
		why: "the local platform plays the manifests for anybody's functions: it gets addresses, and knows nothing of ours but the contract",
	},
	".": {
		may:    []string{"domain", "application", "infrastructure/*", "functions/*", "eventing", "config"},
		others: true, image: true,
		why: "the image is the functions; the laptop's platform is cmd's",
	},
	"cmd":         {may: everything, others: true},
	"integration": {may: everything, others: true},
	"bench":       {may: everything, others: true},
	"monitoring": {
		tests: []string{"application", "domain", "infrastructure/prometheus"}, others: true,
		why: "rules and dashboards are no code of ours; their tests hold them against what a scrape shows",
	},
	"docs": {why: "there is no code in docs"},
}

var everything = []string{"domain", "application", "infrastructure/*", "functions/*", "config", "eventing", "eventing/local", ".",
	"infrastructure/postgres/postgrestest", "infrastructure/libvirt/libvirttest"}

// harmless are standard packages that do no I/O although they lie below some that do.
var harmless = []string{"net/netip", "net/url", "log/slog"}

// never lists packages that nothing in the module imports, with those below.
var never = map[string]string{
	"knative.dev/pkg/apis":               "pulls in apimachinery, which doubles the time of a cold start",
	"knative.dev/pkg/controller":         "pulls in client-go, which triples the time of a cold start",
	"knative.dev/pkg/injection":          "pulls in client-go, which triples the time of a cold start",
	"knative.dev/pkg/kmeta":              "pulls in apimachinery, which doubles the time of a cold start",
	"knative.dev/pkg/logging":            "pulls in apimachinery; logs are written by log/slog",
	"knative.dev/pkg/observability":      "pulls in every exporter there is; metrics are those of client_golang",
	"sigs.k8s.io/controller-runtime":     "triples the time of a cold start",
	"github.com/hamba/avro":              "is archived, with open CVEs; Avro is github.com/twmb/avro",
	"github.com/stretchr/testify/assert": "tests say input, got and want in their own words",
}

// laptopOnly lists what files of the image do not import.
var laptopOnly = map[string]string{
	"modernc.org/sqlite":                                  "SQLite is the laptop's store",
	"github.com/IBM/sarama":                               "a function speaks HTTP to sinks and sources, never Kafka",
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama": "a function speaks HTTP to sinks and sources, never Kafka",
	"github.com/twmb/franz-go":                            "a function speaks HTTP to sinks and sources, never Kafka",
	"github.com/rogpeppe/go-internal":                     "scripts of whole flows are cmd's tests",
}

// use is a rule about a name behind a dot.
type use struct {
	of        string   // import path; empty: whatever it is a name of, and in tests too
	in, notIn []string // rows it holds in, and does not; nil in: all
	why       string
}

const (
	onTime  = "time comes in through a port, so that a test can be at any time"
	reading = "only config reads the environment, so that one table documents it"
)

var uses = map[string]use{
	"NewHTTPReceiveHandler": {why: "the SDK's receive handler leaves requests unanswered under concurrency; decode with NewEventFromHTTPRequest"},
	"StartReceiver":         {why: "the SDK's receiver leaves requests unanswered under concurrency; serve net/http and decode with NewEventFromHTTPRequest"},
	"Getenv":                {of: "os", notIn: []string{"config"}, why: reading},
	"LookupEnv":             {of: "os", notIn: []string{"config"}, why: reading},
	"Environ":               {of: "os", notIn: []string{"config"}, why: reading},
	"Now":                   {of: "time", in: []string{"domain", "application"}, why: onTime},
	"Since":                 {of: "time", in: []string{"domain", "application"}, why: onTime},
	"Until":                 {of: "time", in: []string{"domain", "application"}, why: onTime},
}

// Each rule is seen to fail, and to pass where it ought to.
func TestLayerRules(t *testing.T) {
	t.Parallel()
	const ours = module + "/"
	imports := func(paths ...string) string {
		return "package p\nimport (\n\t_ \"" + strings.Join(paths, "\"\n\t_ \"") + "\"\n)\n"
	}
	cases := map[string]struct {
		reason string
		file   string
		source string
		want   string // part of the one violation; empty: none
	}{
		"domain, pure":            {"addresses are values", "domain/a.go", imports("net/netip", "net/url", "fmt"), ""},
		"domain, network":         {"no I/O", "domain/a.go", imports("net/http"), "imports net/http"},
		"domain, files":           {"no I/O", "domain/a.go", imports("os"), "imports os"},
		"domain, log":             {"no I/O", "domain/a.go", imports("log"), "imports log"},
		"domain, database":        {"no I/O", "domain/a.go", imports("database/sql"), "imports database/sql"},
		"domain, chance":          {"ids come through ports", "domain/a.go", imports("crypto/rand"), "imports crypto/rand"},
		"domain, in a test":       {"the rule holds for tests too", "domain/a_test.go", imports("os"), "imports os"},
		"domain, another module":  {"standard library only", "domain/a.go", imports("github.com/google/uuid"), "google/uuid"},
		"domain, upwards":         {"it is the innermost", "domain/a.go", imports(ours + "application"), "imports " + ours + "application"},
		"domain, its own below":   {"a folder below belongs to it", "domain/x/a.go", imports(ours + "domain"), ""},
		"domain, other tags":      {"every file counts, built here or not", "domain/a.go", "//go:build plan9\n\n" + imports("os"), "a.go:5: imports os"},
		"domain, the clock":       {"time comes through a port", "domain/a.go", "package p\nimport \"time\"\nvar t = time.Now()\n", "a.go:3: uses Now"},
		"domain, a clock renamed": {"an alias is no way out", "domain/a.go", "package p\nimport x \"time\"\nvar t = x.Now()\n", "uses Now"},
		"domain, a dot":           {"what is used must be seen", "domain/a.go", "package p\nimport . \"time\"\nvar t = Now()\n", "as a dot"},
		"domain, another Now":     {"a field is no clock", "domain/a.go", "package p\nvar t = w.Now\n", ""},

		"application, inwards":   {"it knows the domain", "application/a.go", imports(ours+"domain", "log/slog", "context"), ""},
		"application, contract":  {"the wire is the codec's", "application/a.go", imports(ours + "eventing"), "imports " + ours + "eventing"},
		"application, adapter":   {"its fakes are its own", "application/a_test.go", imports(ours + "infrastructure/memory"), "infrastructure/memory"},
		"application, network":   {"no I/O", "application/a.go", imports("net"), "imports net"},
		"application, database":  {"no I/O", "application/a.go", imports("database/sql"), "imports database/sql"},
		"application, a module":  {"domain and standard library", "application/a.go", imports("github.com/google/uuid"), "google/uuid"},
		"application, a prefix":  {"a name that begins alike is another module", "application/a.go", imports("kbnt.dev/virtualization-tools/x"), "virtualization-tools"},
		"contracts, in tests":    {"that is what they are for", "infrastructure/x/a_test.go", imports(ours + "application/applicationtest"), ""},
		"contracts, in programs": {"they bring testing along", "infrastructure/x/a.go", imports(ours + "application/applicationtest"), "contracts are for tests"},
		"contracts, themselves":  {"they are part of the application", "application/applicationtest/a.go", imports(ours+"application", ours+"domain", "testing", "crypto/rand"), ""},
		"contracts, an adapter":  {"the adapter's test brings it", "application/applicationtest/a.go", imports(ours + "infrastructure/memory"), "infrastructure/memory"},
		"contracts, network":     {"they know their port alone", "application/applicationtest/a.go", imports("net/http"), "imports net/http"},

		"adapter":                    {"its technology and the ports", "infrastructure/x/a.go", imports(ours+"application", ours+"domain", ours+"eventing", "net/http", "github.com/jackc/pgx/v5"), ""},
		"adapter, another":           {"they never import one another", "infrastructure/x/a.go", imports(ours + "infrastructure/y"), "infrastructure/y"},
		"adapter, its own below":     {"a folder below belongs to it", "infrastructure/x/a.go", imports(ours + "infrastructure/x/y"), ""},
		"adapter, memory":            {"only tests may", "infrastructure/x/a.go", imports(ours + "infrastructure/memory"), "infrastructure/memory"},
		"adapter, memory in tests":   {"a fake that holds the contract", "infrastructure/x/a_test.go", imports(ours + "infrastructure/memory"), ""},
		"adapter, another in tests":  {"the rule holds for tests too", "infrastructure/x/a_test.go", imports(ours + "infrastructure/y"), "infrastructure/y"},
		"adapter, PostgreSQL's":      {"a database for tests is no adapter", "infrastructure/x/a_test.go", imports(ours + "infrastructure/postgres/postgrestest"), ""},
		"adapter, its test's server": {"only tests may start one", "infrastructure/postgres/a.go", imports(ours + "infrastructure/postgres/postgrestest"), "it is for tests"},
		"test server, its adapter":   {"it knows nothing of ours", "infrastructure/postgres/postgrestest/a.go", imports(ours + "infrastructure/postgres"), "knows nothing of ours"},
		"adapter, libvirt's":         {"a daemon for tests is no adapter", "infrastructure/x/a_test.go", imports(ours + "infrastructure/libvirt/libvirttest"), ""},
		"adapter, its test's daemon": {"only tests may start one", "infrastructure/libvirt/a.go", imports(ours + "infrastructure/libvirt/libvirttest"), "it is for tests"},
		"program, a test server":     {"only tests may start one", "cmd/kbnt/a.go", imports(ours + "infrastructure/postgres/postgrestest"), "it is for tests"},
		"program's test":             {"a whole flow on a real database", "cmd/kbnt/a_test.go", imports(ours + "infrastructure/postgres/postgrestest"), ""},
		"adapter, config":            {"adapters take options", "infrastructure/x/a.go", imports(ours + "config"), "imports " + ours + "config"},
		"adapter, function":          {"outwards", "infrastructure/x/a.go", imports(ours + "functions/intake"), "functions/intake"},
		"adapter, environment":       {"only config reads it", "infrastructure/x/a.go", "package p\nimport \"os\"\nvar t = os.Getenv(\"A\")\n", "uses Getenv"},
		"adapter, its test's":        {"a test may ask for a database", "infrastructure/x/a_test.go", "package p\nimport \"os\"\nvar t = os.Getenv(\"A\")\n", ""},
		"adapter, shared format":     {"drivers of hypervisors write it", "infrastructure/x/a.go", imports(ours + "infrastructure/cloudinit"), ""},
		"shared format, an adapter":  {"it knows no hypervisor", "infrastructure/cloudinit/a.go", imports(ours + "infrastructure/kubevirt"), "infrastructure/kubevirt"},
		"shared format, network":     {"it does no I/O", "infrastructure/cloudinit/a.go", imports("net/http"), "imports net/http"},
		"shared format, a module":    {"standard library only", "infrastructure/cloudinit/a.go", imports("sigs.k8s.io/yaml"), "sigs.k8s.io/yaml"},
		"shared format, a test":      {"what it wrote is read again", "infrastructure/cloudinit/a_test.go", imports("sigs.k8s.io/yaml", "os"), ""},
		"function, shared format":    {"only a driver knows guests", "functions/provision/a.go", imports(ours + "infrastructure/cloudinit"), "infrastructure/cloudinit"},
		"adapter, nobody's":          {"each has a folder", "infrastructure/a.go", imports(ours + "domain"), "a folder of its own"},
		"adapter, SQLite":            {"it is the laptop's", "infrastructure/x/a.go", imports("modernc.org/sqlite"), "SQLite is the laptop's"},
		"adapter, SQLite's own":      {"that is where it belongs", "infrastructure/sqlite/a.go", imports("modernc.org/sqlite"), ""},
		"adapter, client-go by door": {"cold start", "infrastructure/x/a.go", imports("knative.dev/pkg/logging/logkey"), "apimachinery"},
		"adapter, archived Avro":     {"open CVEs", "infrastructure/x/a.go", imports("github.com/hamba/avro/v2"), "CVEs"},

		"function":                    {"it wires", "functions/intake/a.go", imports(ours+"infrastructure/postgres", ours+"config", ours+"eventing", ours+"application"), ""},
		"function, another":           {"they never import one another", "functions/intake/a.go", imports(ours + "functions/notify"), "functions/notify"},
		"function, laptop's store":    {"the image does without", "functions/intake/a.go", imports(ours + "infrastructure/sqlite"), "infrastructure/sqlite"},
		"function, local platform":    {"that is cmd's", "functions/intake/a_test.go", imports(ours + "eventing/local"), "eventing/local"},
		"function, Kafka":             {"it speaks HTTP", "functions/intake/a.go", imports("github.com/IBM/sarama"), "never Kafka"},
		"function, Kafka of the SDK":  {"it speaks HTTP", "functions/intake/a.go", imports("github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"), "never Kafka"},
		"function, another Kafka":     {"it speaks HTTP", "functions/intake/a.go", imports("github.com/twmb/franz-go/pkg/kgo"), "never Kafka"},
		"function, Kafka in a test":   {"tests are not in the image", "functions/intake/a_test.go", imports("github.com/twmb/franz-go/pkg/kfake", ours+"infrastructure/sqlite"), ""},
		"function, receive handler":   {"it loses answers", "functions/intake/a.go", "package p\nvar t = client.NewHTTPReceiveHandler\n", "NewHTTPReceiveHandler"},
		"function, receiver":          {"it loses answers", "functions/intake/a_test.go", "package p\nvar t = a().b.StartReceiver(c)\n", "StartReceiver"},
		"function, decoding":          {"this one is good", "functions/intake/a.go", "package p\nvar t = cehttp.NewEventFromHTTPRequest\n", ""},
		"root":                        {"it picks a function", "function.go", imports(ours+"functions/intake", ours+"config"), ""},
		"root, local platform":        {"that is cmd's", "function.go", imports(ours + "eventing/local"), "eventing/local"},
		"root, Kafka":                 {"it speaks HTTP", "function.go", imports("github.com/twmb/franz-go/pkg/kfake"), "never Kafka"},
		"root, cmd":                   {"nobody imports a program", "function.go", imports(ours + "cmd/kbnt"), "cmd/kbnt"},
		"config":                      {"other modules only", "config/a.go", imports("github.com/kelseyhightower/envconfig", "os"), ""},
		"config, domain":              {"nothing of ours", "config/a.go", imports(ours + "domain"), "nothing of ours"},
		"contract of events":          {"standard library", "eventing/a.go", imports("embed"), ""},
		"contract of events, YAML":    {"only tests may", "eventing/a.go", imports("sigs.k8s.io/yaml"), "sigs.k8s.io/yaml"},
		"contract of events, a test":  {"to read the manifests", "eventing/a_test.go", imports("sigs.k8s.io/yaml", "github.com/twmb/avro", "os"), ""},
		"contract of events, domain":  {"the domain is mapped, not known", "eventing/a_test.go", imports(ours + "domain"), "imports " + ours + "domain"},
		"contract of events, local":   {"the contract does not know its player", "eventing/a.go", imports(ours + "eventing/local"), "eventing/local"},
		"local platform":              {"the contract and Kafka", "eventing/local/a.go", imports(ours+"eventing", "github.com/IBM/sarama"), ""},
		"local platform, its own":     {"a folder below belongs to it", "eventing/local/x/a.go", imports(ours + "eventing/local"), ""},
		"local platform, application": {"it gets addresses", "eventing/local/a.go", imports(ours + "application"), "it gets addresses"},
		"local platform, an adapter":  {"it gets addresses", "eventing/local/a_test.go", imports(ours + "infrastructure/memory"), "it gets addresses"},
		"image":                       {"it is tried as a whole", "integration/image/a_test.go", imports(module), ""},
		"image, an adapter":           {"the root is above everything", "infrastructure/postgres/a.go", imports(module), "imports " + module},
		"program":                     {"it wires everything", "cmd/kbnt/a.go", imports(ours+"eventing/local", ours+"functions/intake", ours+"infrastructure/sqlite", "modernc.org/sqlite"), ""},
		"init":                        {"importing does nothing", "cmd/kbnt/a.go", "package p\nfunc init() {}\n", "a.go:2: func init"},
		"a method named init":         {"it has to be called", "cmd/kbnt/a.go", "package p\nfunc (t) init() {}\n", ""},

		"unknown folder":   {"whoever adds one decides where it belongs", "internal/x/a.go", imports("fmt"), "internal: no folder that the rules know"},
		"hidden folder":    {"the go command passes over it", ".ci/a.go", imports(ours + "cmd/kbnt"), ""},
		"testdata":         {"it is not compiled", "domain/testdata/a.go", imports("os"), ""},
		"not a Go file":    {"prose may say anything", "domain/a.txt", imports("os"), ""},
		"no Go file there": {"a folder without code has a row too", "deploy/a.yaml", "a: b", "deploy: no folder"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := check(fstest.MapFS{"go.mod": {}, c.file: {Data: []byte(c.source)}})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("%s with\n%s\ngot %q, want one violation with %q (%s)", c.file, c.source, got, c.want, c.reason)
			}
		})
	}
}

func TestLayersSkipOtherModules(t *testing.T) {
	t.Parallel()
	bad := &fstest.MapFile{Data: []byte("package p\nimport _ \"k8s.io/client-go/kubernetes\"\n")}
	got, files, err := check(fstest.MapFS{"go.mod": {}, "eventing/manifesttest/go.mod": {}, "eventing/manifesttest/a.go": bad})
	if err != nil || files != 0 || got != nil {
		t.Errorf("a module within: %q, %d files, %v, want it passed over", got, files, err)
	}
	if got, _, _ := check(fstest.MapFS{"go.mod": {}, "eventing/manifesttest/a.go": bad}); len(got) != 1 {
		t.Errorf("the same without its go.mod: %q, want a violation", got)
	}
}

func TestLayersRefuseWhatIsNoGo(t *testing.T) {
	t.Parallel()
	if _, _, err := check(fstest.MapFS{"domain/a.go": {Data: []byte("not Go")}}); err == nil {
		t.Error("a file that does not parse: no error, want one: nothing is known of its imports")
	}
}

func TestLayersKnowTheModule(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "\nmodule "+module+"\n") && !strings.HasPrefix(string(data), "module "+module+"\n") {
		t.Errorf("go.mod names another module than %s: every rule about our own packages would pass", module)
	}
}
