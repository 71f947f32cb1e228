package config

import (
	"fmt"
	"testing"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	type decoder interface{ Decode(string) error }
	cases := map[string]struct {
		reason string
		into   decoder
		give   string
		want   string // as fmt prints it; empty: refused
	}{
		"loopback":               {"the usual address", new(Loopback), "127.0.0.1:8080", "127.0.0.1:8080"},
		"loopback, version 6":    {"::1 is loopback", new(Loopback), "[::1]:8080", "[::1]:8080"},
		"loopback, mapped":       {"the same address in version 6", new(Loopback), "[::ffff:127.0.0.1]:80", "127.0.0.1:80"},
		"loopback, another":      {"all of 127/8 is", new(Loopback), "127.1.2.3:80", "127.1.2.3:80"},
		"loopback, no host":      {"no host is not every interface here", new(Loopback), ":8080", "127.0.0.1:8080"},
		"loopback, any port":     {"0 lets the system choose", new(Loopback), ":0", "127.0.0.1:0"},
		"loopback, localhost":    {"the name everybody uses", new(Loopback), "localhost:1", "127.0.0.1:1"},
		"every interface":        {"others could reach it", new(Loopback), "0.0.0.0:8080", ""},
		"every interface, v6":    {"others could reach it", new(Loopback), "[::]:8080", ""},
		"another machine's":      {"others could reach it", new(Loopback), "192.168.1.2:8080", ""},
		"a name":                 {"it may mean anything tomorrow", new(Loopback), "example.com:8080", ""},
		"no port":                {"a port is needed", new(Loopback), "127.0.0.1", ""},
		"a port too high":        {"ports have 16 bits", new(Loopback), ":65536", ""},
		"a port by name":         {"the machine's tables are not asked", new(Loopback), ":http", ""},
		"nothing":                {"an address is needed", new(Loopback), "", ""},
		"brokers":                {"Kafka may be anywhere", new(Brokers), "a:1,[2001:db8::1]:9092", "[a:1 [2001:db8::1]:9092]"},
		"no brokers":             {"nothing means the embedded one", new(Brokers), "", "[]"},
		"brokers with a scheme":  {"that is an advertised listener, not an address", new(Brokers), "PLAINTEXT://a:1", ""},
		"brokers with a gap":     {"an empty one is a lost one", new(Brokers), "a:1,,b:2", ""},
		"brokers without a host": {"the client would ask itself", new(Brokers), ":9092", ""},
		"name":                   {"mail addresses name users", new(Name), "a.user@example.com", "a.user@example.com"},
		"name with a slash":      {"it goes into paths", new(Name), "a/b", ""},
		"name on two lines":      {"it goes into logs", new(Name), "a\nb", ""},
		"no name":                {"somebody has to own things", new(Name), "", ""},
		"VLANs":                  {"both ends are included", new(VLANs), "7-7", "7-7"},
		"no VLANs":               {"an operator may offer none", new(VLANs), "none", "none"},
		"VLANs backwards":        {"the first comes first", new(VLANs), "199-100", ""},
		"VLANs out of range":     {"802.1Q has 4094", new(VLANs), "1-4095", ""},
		"one VLAN":               {"a range has two ends", new(VLANs), "100", ""},
		"path":                   {"it need not exist", new(Path), "/var/lib/kbnt", "/var/lib/kbnt"},
		"blank path":             {"would be the current folder", new(Path), " ", ""},
		"format":                 {"one of two", new(Format), "json", "json"},
		"another format":         {"one of two", new(Format), "JSON", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.into.Decode(c.give)
			if refused := err != nil; refused != (c.want == "") {
				t.Fatalf("Decode(%q) = %v, want refused: %t (%s)", c.give, err, c.want == "", c.reason)
			}
			if err != nil {
				return
			}
			if got := show(c.into); got != c.want {
				t.Errorf("Decode(%q) made %s, want %s (%s)", c.give, got, c.want, c.reason)
			}
		})
	}
}

func show(v any) string {
	switch v := v.(type) {
	case *Brokers:
		return fmt.Sprint(*v)
	case *Name:
		return string(*v)
	case *Path:
		return string(*v)
	case *Format:
		return string(*v)
	}
	return fmt.Sprint(v)
}
