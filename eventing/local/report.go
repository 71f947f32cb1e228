package local

import "fmt"

// Report is something the reader of the manifests should know that is no
// mistake: what was skipped because it has no meaning on one machine, what is
// played differently, what is dangerous.
type Report struct {
	File   string // the manifest, as named in the file system given to Parse
	Object string // kind, namespace and name: "KafkaSource kbnt/requests"
	Field  string // "spec.delivery.deadLetterSink", or empty
	Text   string // one sentence
}

// String is "file: object: field: text", without what is empty.
func (r Report) String() string {
	s := r.File
	for _, part := range []string{r.Object, r.Field, r.Text} {
		if part != "" {
			s = fmt.Sprintf("%s: %s", s, part)
		}
	}
	return s
}
