package libvirt

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
)

// file is one file of a disk image.
type file struct {
	name string // a-z and "-", at most 30 characters
	data []byte
}

// sector is the unit of ISO 9660, in bytes.
const sector = 2048

// Where things are, in sectors. The first 16 are left to the system.
const (
	primaryAt    = 16
	jolietAt     = 17
	terminatorAt = 18
	pathsAt      = 19 // four of them: for each of the two trees in both byte orders
	rootsAt      = 23 // two
	filesAt      = 25
)

// image is a disk of the format ISO 9660 (ECMA-119) with the Joliet extension,
// which keeps the names as they are: the data source NoCloud reads it. The files
// are in its root. The same files give the same bytes: there is no time in it.
//
// The libraries that write this format keep their files on disk meanwhile, stamp
// them with the present, and know no Joliet; three files need no more than this.
func image(label string, files []file) []byte {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	end := filesAt
	starts := make([]int, len(files))
	for i, f := range files {
		starts[i] = end
		end += (len(f.data) + sector - 1) / sector
	}
	disk := make([]byte, end*sector)
	at := func(n int) []byte { return disk[n*sector:] }

	for tree, encode := range []func(string) []byte{plain, ucs2} {
		descriptor(at(primaryAt+tree), tree, label, end, encode)
		copy(at(pathsAt+2*tree), path(binary.LittleEndian, rootsAt+tree))
		copy(at(pathsAt+2*tree+1), path(binary.BigEndian, rootsAt+tree))
		root := at(rootsAt + tree)
		for _, self := range []string{"\x00", "\x01"} { // the directory, and the one above it
			root = root[copy(root, entry(rootsAt+tree, sector, true, []byte(self))):]
		}
		for i, f := range files {
			name := encode(f.name)
			if tree == 0 {
				name = []byte(strings.ToUpper(strings.ReplaceAll(f.name, "-", "_")) + ".;1")
			}
			root = root[copy(root, entry(starts[i], len(f.data), false, name)):]
		}
	}
	copy(at(terminatorAt), "\xffCD001\x01")
	for i, f := range files {
		copy(at(starts[i]), f.data)
	}
	return disk
}

// descriptor is a volume descriptor (ECMA-119 8.4 and 8.5).
func descriptor(d []byte, tree int, label string, size int, encode func(string) []byte) {
	copy(d, []byte{byte(1 + tree)})
	copy(d[1:], "CD001\x01")
	blank := func(from, to int, text string) {
		field := d[from:to]
		for i := range field {
			field[i] = ' '
		}
		if tree == 1 { // two bytes a character
			for i := 0; i+1 < len(field); i += 2 {
				field[i], field[i+1] = 0, ' '
			}
		}
		copy(field, encode(text))
	}
	blank(8, 40, "")
	blank(40, 72, label)
	both32(d[80:], size)
	if tree == 1 {
		copy(d[88:], "%/E") // UCS-2 level 3
	}
	both16(d[120:], 1)
	both16(d[124:], 1)
	both16(d[128:], sector)
	both32(d[132:], len(path(binary.LittleEndian, 0)))
	binary.LittleEndian.PutUint32(d[140:], uint32(pathsAt+2*tree))
	binary.BigEndian.PutUint32(d[148:], uint32(pathsAt+2*tree+1))
	copy(d[156:], entry(rootsAt+tree, sector, true, []byte{0}))
	for _, f := range [][2]int{{190, 318}, {318, 446}, {446, 574}, {574, 702}, {702, 739}, {739, 776}, {776, 813}} {
		blank(f[0], f[1], "")
	}
	for at := 813; at < 881; at += 17 { // four times that are not known
		copy(d[at:], strings.Repeat("0", 16)+"\x00")
	}
	d[881] = 1
}

// entry is a directory record (ECMA-119 9.1). Its time is the first there is.
func entry(start, size int, directory bool, name []byte) []byte {
	e := make([]byte, (33+len(name)+1)&^1)
	e[0] = byte(len(e))
	both32(e[2:], start)
	both32(e[10:], size)
	copy(e[18:], []byte{70, 1, 1})
	if directory {
		e[25] = 2
	}
	both16(e[28:], 1)
	e[32] = byte(len(name))
	copy(e[33:], name)
	return e
}

// path is a path table of the root alone (ECMA-119 9.4).
func path(order binary.ByteOrder, root int) []byte {
	p := make([]byte, 10)
	p[0] = 1
	order.PutUint32(p[2:], uint32(root))
	order.PutUint16(p[6:], 1)
	return p
}

// both32 and both16 write a number in both byte orders, one after the other.
func both32(b []byte, n int) {
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.BigEndian.PutUint32(b[4:], uint32(n))
}

func both16(b []byte, n int) {
	binary.LittleEndian.PutUint16(b, uint16(n))
	binary.BigEndian.PutUint16(b[2:], uint16(n))
}

func plain(s string) []byte { return []byte(s) }

func ucs2(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return b
}
