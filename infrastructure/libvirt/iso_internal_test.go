package libvirt

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf16"

	"kbnt.dev/virtualization/domain"
)

// TestSeed reads the seed of a machine as a guest would: by its label, and its
// files by their names.
func TestSeed(t *testing.T) {
	t.Parallel()
	h := sample()
	want := wanted()
	want.Spec.Machine.SSHKeys = []string{"ssh-ed25519 AAAA me"}
	want.Spec.Machine.UserData = "#cloud-config\n" + strings.Repeat("# a long comment\n", 900) // several sectors
	disk, err := h.seedImage(want, segment{dns: []netip.Addr{netip.MustParseAddr("10.0.0.53")}})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.seedImage(want, segment{dns: []netip.Addr{netip.MustParseAddr("10.0.0.53")}}); err != nil || !bytes.Equal(disk, again) {
		t.Errorf("the same seed again: %v, other bytes; want the same", err)
	}
	for tree, files := range []map[string]string{
		{"META_DATA.;1": `"local-hostname": "vm-0909a693"`, "USER_DATA.;1": "ssh-ed25519 AAAA me", "NETWORK_CONFIG.;1": "192.168.122.7/24"},
		{"meta-data": want.Key.UUID(), "user-data": "multipart/mixed", "network-config": want.Key.MAC()},
	} {
		label, got := readISO(t, disk, tree)
		if label != "cidata" {
			t.Errorf("label of tree %d: got %q, want cidata", tree, label)
		}
		if len(got) != len(files) {
			t.Errorf("tree %d: got %d files, want %d", tree, len(got), len(files))
		}
		for name, part := range files {
			if !strings.Contains(got[name], part) {
				t.Errorf("tree %d, %s: got %.200q, want %q in it", tree, name, got[name], part)
			}
		}
	}
}

func TestSeedRefused(t *testing.T) {
	t.Parallel()
	want := wanted()
	want.Spec.Machine.UserData = "neither a script nor a config"
	if _, err := sample().seedImage(want, segment{}); domain.KindOf(err) != domain.Invalid {
		t.Errorf("seed with %q: got %v, want an error of kind Invalid", want.Spec.Machine.UserData, err)
	}
}

// readISO reads one tree of a disk by the letter of ECMA-119: each number that stands there in
// both byte orders must agree.
func readISO(t *testing.T, disk []byte, tree int) (label string, files map[string]string) {
	t.Helper()
	number := func(b []byte) int {
		little, big := binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		if little != big {
			t.Fatalf("a number in both byte orders: got %d and %d", little, big)
		}
		return int(little)
	}
	text := func(b []byte) string {
		if tree == 0 {
			return strings.TrimRight(string(b), " ")
		}
		var units []uint16
		for ; len(b) > 1; b = b[2:] {
			units = append(units, binary.BigEndian.Uint16(b))
		}
		return strings.TrimRight(string(utf16.Decode(units)), " ")
	}
	d := disk[(16+tree)*sector:]
	if d[0] != byte(1+tree) || string(d[1:7]) != "CD001\x01" {
		t.Fatalf("descriptor %d: got %x", tree, d[:7])
	}
	if end := disk[18*sector:]; string(end[:7]) != "\xffCD001\x01" {
		t.Fatalf("terminator: got %x", end[:7])
	}
	if size := number(d[80:]) * sector; size != len(disk) {
		t.Errorf("size: got %d, want %d", size, len(disk))
	}
	root := d[156:190]
	directory := disk[number(root[2:])*sector:][:number(root[10:])]
	if paths := disk[binary.LittleEndian.Uint32(d[140:])*sector:]; int(binary.LittleEndian.Uint32(paths[2:])) != number(root[2:]) {
		t.Errorf("path table: got the root at %d, want %d", binary.LittleEndian.Uint32(paths[2:]), number(root[2:]))
	}
	files = map[string]string{}
	for len(directory) > 0 && directory[0] > 0 {
		e := directory[:directory[0]]
		directory = directory[directory[0]:]
		if e[25]&2 != 0 {
			continue // itself and the one above
		}
		start := number(e[2:]) * sector
		files[text(e[33:33+int(e[32])])] = string(disk[start : start+number(e[10:])])
	}
	return text(d[40:72]), files
}
