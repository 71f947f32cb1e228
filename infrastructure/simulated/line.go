package simulated

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// line is what one thing holds of a host, or of the networks.
type line struct {
	Name  string    // domain.Key.Name
	Until time.Time // given back, and free from then on; zero: held

	Cores  int
	Memory domain.MiB
	Disk   domain.MiB
	Type   domain.DiskType
	IOPS   int

	Address string // machines: the document of the address

	Tenant string // networks
	VLAN   int
	Subnet string
}

// A ledger is written as a heading and one line per thing, its fields separated by
// tabs. Every change reads and writes all of it: as JSON, BenchmarkCrowd took three
// times as long.
const (
	heading   = "kbnt ledger 1\n"
	separator = "\t\n" // what no field may contain
	columns   = 11
)

func (x *line) append(b []byte) []byte {
	var until int64
	if !x.Until.IsZero() {
		until = x.Until.UnixNano()
	}
	number := func(n int64) { b = strconv.AppendInt(append(b, '\t'), n, 10) }
	text := func(s string) { b = append(append(b, '\t'), s...) }
	b = append(b, x.Name...)
	number(until)
	number(int64(x.Cores))
	number(int64(x.Memory))
	number(int64(x.Disk))
	text(string(x.Type))
	number(int64(x.IOPS))
	text(x.Address)
	text(x.Tenant)
	number(int64(x.VLAN))
	text(x.Subnet)
	return append(b, '\n')
}

func parseLine(s string) (line, error) {
	var f [columns]string
	for i := range f {
		value, rest, more := strings.Cut(s, "\t")
		if more != (i < columns-1) {
			return line{}, fmt.Errorf("column %d is not column %d", i+1, columns)
		}
		f[i], s = value, rest
	}
	var wrong error
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			wrong = err
		}
		return n
	}
	x := line{
		Name: f[0], Cores: int(number(f[2])), Memory: domain.MiB(number(f[3])),
		Disk: domain.MiB(number(f[4])), Type: domain.DiskType(f[5]), IOPS: int(number(f[6])),
		Address: f[7], Tenant: f[8], VLAN: int(number(f[9])), Subnet: f[10],
	}
	if until := number(f[1]); until != 0 {
		x.Until = time.Unix(0, until).UTC()
	}
	return x, wrong
}

func (l *ledger) encode() []byte {
	b := make([]byte, 0, len(heading)+160*len(l.Lines))
	b = append(b, heading...)
	for i := range l.Lines {
		b = l.Lines[i].append(b)
	}
	return b
}

func parseLedger(s string) (l ledger, err error) {
	s, ok := strings.CutPrefix(s, heading)
	if !ok {
		return ledger{}, errors.New("no heading")
	}
	l.Lines = make([]line, 0, strings.Count(s, "\n")+1) // one more may be added
	for text := range strings.Lines(s) {
		x, err := parseLine(strings.TrimSuffix(text, "\n"))
		if err != nil {
			return ledger{}, fmt.Errorf("line %d: %w", len(l.Lines)+1, err)
		}
		l.Lines = append(l.Lines, x)
	}
	return l, nil
}

// peek finds the line of a name without reading the others.
func peek(s, name string) (x line, found bool, err error) {
	_, text, found := strings.Cut(s, "\n"+name+"\t")
	if !found {
		return line{}, false, nil
	}
	text, _, _ = strings.Cut(text, "\n")
	x, err = parseLine(name + "\t" + text)
	return x, true, err
}
