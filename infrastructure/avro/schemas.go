package avro

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	twmb "github.com/twmb/avro"

	"kbnt.dev/virtualization/eventing"
)

// catalogue knows every schema that was ever written with.
type catalogue struct {
	newest  map[string]*twmb.Schema // by name: what we write, and read as
	writers map[[8]byte]writer      // by fingerprint: what may arrive
}

// writer is a schema that data was written with, resolved against the newest of
// its name.
type writer struct {
	name, version string
	reader        *twmb.Schema
}

// versions are those that this code writes. A file of a newer version is not
// used before the code is.
func versions() map[string]string {
	return map[string]string{
		eventing.SchemaMessage: eventing.SchemaMessageVersion,
		eventing.SchemaResult:  eventing.SchemaResultVersion,
	}
}

func loadEmbedded() (*catalogue, error) { return load(eventing.Schemas, versions()) }

// load reads all files schemas/<name>-<version>.avsc.
func load(files fs.FS, versions map[string]string) (*catalogue, error) {
	paths, err := fs.Glob(files, "schemas/*.avsc")
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	type file struct {
		name, version string
		schema        *twmb.Schema
	}
	var all []file
	c := &catalogue{newest: map[string]*twmb.Schema{}, writers: map[[8]byte]writer{}}
	for _, p := range paths {
		content, err := fs.ReadFile(files, p)
		if err != nil {
			return nil, fmt.Errorf("read schema %s: %w", p, err)
		}
		schema, err := twmb.Parse(string(content))
		if err != nil {
			return nil, fmt.Errorf("parse schema %s: %w", p, err)
		}
		name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(p), ".avsc"), "-")
		all = append(all, file{name, version, schema})
		if versions[name] == version {
			c.newest[name] = schema
		}
	}
	for name, version := range versions {
		if c.newest[name] == nil {
			return nil, fmt.Errorf("no schema file for %s %s", name, version)
		}
	}
	// Two versions that differ only in words have one fingerprint: the newer counts.
	slices.SortFunc(all, func(a, b file) int { return compareVersions(a.version, b.version) })
	for _, f := range all {
		newest, ok := c.newest[f.name]
		if !ok {
			continue
		}
		reader, err := twmb.Resolve(f.schema, newest)
		if err != nil {
			return nil, fmt.Errorf("read %s %s as %s: %w", f.name, f.version, versions[f.name], err)
		}
		c.writers[fingerprint(f.schema)] = writer{f.name, f.version, reader}
	}
	return c, nil
}

// fingerprint is CRC-64-AVRO as it stands in single-object encoding.
func fingerprint(s *twmb.Schema) [8]byte {
	h := twmb.NewRabin()
	h.Write(s.Canonical())
	var fp [8]byte
	sum := h.Sum64()
	for i := range fp {
		fp[i] = byte(sum >> (8 * i))
	}
	return fp
}

// compareVersions orders "2.10.0" after "2.9.1".
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		i, _ := strconv.Atoi(x)
		j, _ := strconv.Atoi(y)
		return cmp.Or(cmp.Compare(i, j), cmp.Compare(x, y))
	})
}
