//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// TestLibvirt runs the program as a user does, with KBNT_HYPERVISOR=libvirt and two
// files, until a machine that it made serves a page. The program runs in the network
// of the daemon, where the guests are.
func TestLibvirt(t *testing.T) {
	s, err := libvirttest.QEMU()
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	guest, err := libvirttest.NewGuest(t.Context(), s.Dir(), filepath.Join(cache, "kbnt-guest"))
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(s.Dir(), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("guests/base.img", "a disk"+strings.Repeat("\x00", 1<<20)) // what is booted is the kernel
	if err := s.Pool(t.Context(), "guests"); err != nil {
		t.Fatal(err)
	}
	hosts := write("hosts.yaml", fmt.Sprintf("hosts: {kvm-1: {address: %q, type: qemu, pools: {SSD: {name: guests}}}}\nimages: guests\n", s.Address()))
	images := write("images.yaml", fmt.Sprintf("images: {Ubuntu 22.04: {ports: {http: 80}, libvirt: {volume: base.img, kernel: %q, initrd: %q, cmdline: %q}}}\n", guest.Kernel, guest.Initrd, guest.Args))

	said := filepath.Join(s.Dir(), "greeting")
	if err := syscall.Mkfifo(said, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan string)
	go func() {
		logs, err := s.Output(ctx, "env", "KBNT_DATA="+filepath.Join(s.Dir(), "state"), "KAFKA_BROKERS=", "KBNT_HYPERVISOR=libvirt", "KBNT_LIBVIRT_HOSTS="+hosts, "KBNT_IMAGES="+images,
			"sh", "-c", "exec kbnt >"+said)
		ended <- fmt.Sprintf("%s%v", logs, err)
	}()
	t.Cleanup(func() {
		end()
		if logs := <-ended; t.Failed() {
			t.Logf("the program said:\n%s", logs)
		}
	})
	pipe, err := os.OpenFile(said, os.O_RDWR, 0) // to write, too: it waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	greeting, err := readUntil(pipe, "Ctrl-C stops.")
	if err != nil || !strings.Contains(greeting, "The hypervisor is libvirt on kvm-1") {
		t.Fatalf("greeting: got %q, %v, want one that names kvm-1", greeting, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: s.Dial, DisableKeepAlives: true}, Timeout: 40 * time.Second}
	ask := func(method, url, body string, into any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=30")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if page, ok := into.(*bytes.Buffer); ok {
			page.Write(data)
		} else {
			err = errors.Join(err, json.Unmarshal(data, into))
		}
		if err != nil || answer.StatusCode >= http.StatusBadRequest {
			t.Fatalf("%s %s: got %s %s, %v", method, url, answer.Status, data, err)
		}
	}
	intake := intakeLine.FindStringSubmatch(greeting)[1]
	request := func(body string) (done tracked) {
		t.Helper()
		var a accepted
		ask(http.MethodPost, intake+"/api/v1/virtualize", body, &a)
		for range 8 {
			ask(http.MethodGet, intake+"/api/v1/requests/"+a.RequestID, "", &done)
			if done.Status != "PROCESSING" {
				break
			}
		}
		if done.Status != "COMPLETED" {
			t.Fatalf("%s: ended %s, want COMPLETED: %+v", body, done.Status, done)
		}
		return done
	}

	request(`{"type":"CREATE_NETWORK","specifications":{"subnet":"10.94.1.0/24","vlan":304,"gateway":"10.94.1.1"}}`)
	machine := request(`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":"256MiB","disk":"20GB SSD","network":"vlan-304"}}`)
	address, _, _ := strings.Cut(machine.Resource.Address, "/") // it has its prefix length
	var page bytes.Buffer
	ask(http.MethodGet, "http://"+address+"/", "", &page)
	if want := "hostname " + strings.ToLower(machine.Resource.VirtualResourceID); !strings.Contains(page.String(), want) {
		t.Errorf("page of the machine at %s: got %q, want %q in it", machine.Resource.Address, page.String(), want)
	}
	request(fmt.Sprintf(`{"type":"DELETE_VIRTUAL_MACHINE","virtualResourceId":%q}`, machine.Resource.VirtualResourceID))
	if left, err := filepath.Glob(filepath.Join(s.Dir(), "guests", "kbnt-*")); err != nil || len(left) > 0 {
		t.Errorf("left in the pool: %v, %v", left, err)
	}
}
