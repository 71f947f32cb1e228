package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is the longest file that is read: a ConfigMap holds no more (1 MiB).
const maxFile = 1 << 20

// PolicyFile is a file of policies, as it was read. What is in it is the business
// of infrastructure/cel, which compiles it when it is first needed.
type PolicyFile struct {
	Path string
	Data []byte // nil: there is none
}

// Decode reads the file that value names.
func (f *PolicyFile) Decode(value string) error {
	data, err := readFile(value)
	if err != nil {
		return err
	}
	*f = PolicyFile{Path: value, Data: data}
	return nil
}

// String is the path.
func (f PolicyFile) String() string { return f.Path }

var errEmpty = errors.New("a file that is not empty")

// readFile reads a file that is mounted or lies on this machine. The error says
// what is wanted instead.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("a file that can be read: %w", because(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("a file that can be read: %w", because(err))
	case len(data) > maxFile:
		return nil, errors.New("a file of 1 MiB at most")
	case strings.TrimSpace(string(data)) == "":
		return nil, errEmpty
	}
	return data, nil
}

// because is the reason without the path, which the mistake names already.
func because(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// fault is one mistake in a file.
type fault struct {
	line  int    // 0: the file as a whole
	field string // images."Debian 12".libvirt.pool; empty: not known
	value string // as written; empty for what is no single value
	want  string
}

// place is where in the file: line 3, tenants.acme.cores.
func (f fault) place() string {
	if f.line == 0 {
		return ""
	}
	place := fmt.Sprintf("line %d", f.line)
	if f.field != "" {
		place += ", " + f.field
	}
	return place
}

// faults are all that is wrong with a file, as one error.
type faults []fault

func (all faults) Error() string {
	var lines []string
	for _, f := range all {
		lines = append(lines, f.place()+": want "+f.want)
	}
	return strings.Join(lines, "; ")
}
