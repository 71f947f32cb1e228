package kubevirt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestObjects shows what is made of each thing. The API server of the integration test
// takes the very same with strict validation.
func TestObjects(t *testing.T) {
	t.Parallel()
	w, s := bare(t, func(o *kubevirt.Options) {
		o.Images["Debian 12"] = kubevirt.Image{URL: "https://cloud.debian.org/d.qcow2", SHA256: strings.Repeat("ab", 32), User: "debian"}
		o.Storage[domain.NVME] = kubevirt.Storage{Class: "fast", Mode: "ReadWriteMany", Block: true}
	})
	const uid = "6a08081c-0000-5000-8000-000000000000"
	imported, loaded, blank := w.volume(uid), w.volume(uid), w.volume(uid)
	loaded.Key.Item, loaded.Image, loaded.Spec.Volume.Type = 1, "Debian 12", domain.NVME
	blank.Key.Item, blank.Image = 2, ""
	machine := w.machine(uid, func(m *domain.MachineSpec) {
		m.SSHKeys, m.UserData = []string{"ssh-ed25519 AAAA you@host"}, "#!/bin/sh\necho \"hello\"\n"
	})
	for _, want := range []domain.Desired{imported, loaded, blank, w.network(uid), machine} {
		if _, err := w.Ensure(t.Context(), want); err != nil {
			t.Fatalf("%s: %v", want.Key.Name(), err)
		}
	}
	for file, path := range map[string]string{
		"volume-registry.json": dvsPath + "/" + imported.Key.Name(),
		"volume-url.json":      dvsPath + "/" + loaded.Key.Name(),
		"volume-blank.json":    claimsPath + "/" + blank.Key.Name(),
		"network.json":         nadsPath + "/" + w.network(uid).Key.Name(),
		"machine.json":         vmsPath + "/" + machine.Key.Name(),
		"secret.json":          secretsPath + "/" + machine.Key.Name(),
	} {
		o := clone(s.objects[w.controllers.in(path)])
		if data, ok := below(o, "data"); ok {
			for k, v := range data {
				plain, err := base64.StdEncoding.DecodeString(v.(string))
				if err != nil {
					t.Fatal(err)
				}
				data[k] = strings.Split(string(plain), "\n")
			}
		}
		for _, key := range []string{"uid", "resourceVersion", "namespace"} {
			delete(o["metadata"].(fields), key)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(o); err != nil {
			t.Fatal(err)
		}
		got := bytes.ReplaceAll(b.Bytes(), []byte(meta(s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()], "uid")), []byte("<uid>"))
		if *update {
			if err := os.WriteFile("testdata/"+file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
	}
}

// TestInstanceSaysWhoseItIs holds that what KubeVirt makes of a machine, whose changes
// are the hints, names the tenant and the machine as the contract of hints has it.
func TestInstanceSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	w.ready(t, w.volume("a"))
	want := w.machine("a")
	want.Tenant = "a tenant/that is no label"
	w.ready(t, want)
	for kind, path := range map[string]string{"VirtualMachine": vmsPath, "VirtualMachineInstance": vmisPath} {
		o := s.objects[w.controllers.in(path)+"/"+want.Key.Name()]
		for key, value := range map[string]string{eventing.KeyTenant: want.Tenant, eventing.KeyVirtualID: want.VirtualID} {
			if got := text(o, "metadata", "annotations", key); got != value {
				t.Errorf("%s: annotation %s: got %q, want %q", kind, key, got, value)
			}
		}
	}
}

// TestImageLeavesTheCatalogue holds that machines stay what they are when the operator
// stops offering their image.
func TestImageLeavesTheCatalogue(t *testing.T) {
	t.Parallel()
	w, _ := bare(t)
	w.ready(t, w.volume("a"))
	w.ready(t, w.volume("b"))
	machine, later := w.machine("a"), w.machine("b")
	w.ready(t, machine)
	w.options.Images = map[string]kubevirt.Image{"Debian 12": {ContainerDisk: "debian:12"}}
	w.Hypervisor = w.client(t, w.controllers.transport)
	machine.On = false
	if _, err := w.Ensure(t.Context(), machine); err != nil {
		t.Errorf("switch off: %v", err)
	}
	machine.On = true
	for range 3 {
		w.pass(t, time.Second)
	}
	w.ready(t, machine)
	if _, err := w.Ensure(t.Context(), later); verdict(err) != "not-found/no-image" {
		t.Errorf("a new machine: got %v, want not-found/no-image", err)
	}
	if o, err := w.Observe(t.Context(), later.Key); err != nil || o.Phase != domain.ThingAbsent {
		t.Errorf("a new machine: got %s, %v, want nothing made", o.Phase, err)
	}
	if _, err := w.Ensure(t.Context(), w.volume("c")); verdict(err) != "not-found/no-image" {
		t.Errorf("a new volume: got %v, want not-found/no-image", err)
	}
}

// TestHostileWords holds that nothing a client writes becomes part of a path, a label or
// another object.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	w.ready(t, w.volume("a"))
	for what, want := range map[string]domain.Desired{
		"a path for a resource": {Key: domain.Key{Resource: "../../secrets/x", Kind: domain.ThingVolume}, Spec: w.volume("a").Spec},
		"upper case":            {Key: domain.Key{Resource: "A", Kind: domain.ThingVolume}, Spec: w.volume("a").Spec},
		"a kind of its own":     {Key: domain.Key{Resource: "a", Kind: "secret"}, Spec: w.volume("a").Spec},
		"too long":              {Key: domain.Key{Resource: strings.Repeat("a", 64), Kind: domain.ThingVolume}, Spec: w.volume("a").Spec},
	} {
		s.asked = nil
		_, ensured := w.Ensure(t.Context(), want)
		_, observed := w.Observe(t.Context(), want.Key)
		_, deleted := w.Delete(t.Context(), want.Key)
		for verb, err := range map[string]error{"ensure": ensured, "observe": observed, "delete": deleted} {
			if verdict(err) != "invalid/invalid-spec" || len(s.asked) > 0 {
				t.Errorf("%s: %s: got %v after %q, want invalid and nothing asked", what, verb, err, s.asked)
			}
		}
	}

	network := w.machine("a")
	network.Network = "../secrets/x?limit=1"
	if _, err := w.Ensure(t.Context(), network); domain.KindOf(err) != domain.NotFound {
		t.Errorf("a path for a network: got %v, want not found", err)
	}
	tenant := w.volume("b")
	tenant.Tenant, tenant.VirtualID = "a\n\"b\": {{", "<>&"
	tenant.Labels = domain.Labels{"kbnt.dev/resource": "x"}
	if _, err := w.Ensure(t.Context(), tenant); err != nil {
		t.Fatalf("a tenant with any name: %v", err)
	}
	o := s.objects[w.controllers.in(dvsPath)+"/"+tenant.Key.Name()]
	if text(o, "metadata", "annotations", "kbnt.dev/tenant") != tenant.Tenant || text(o, "metadata", "labels", "kbnt.dev/resource") != "b" {
		t.Errorf("a tenant with any name: got %s", show(o))
	}
}
