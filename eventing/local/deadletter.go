package local

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"

	"kbnt.dev/virtualization/eventing"
)

const (
	maxErrorData    = 1024 // bytes of the body that a dead letter carries
	errorHeaderName = "kne-"
)

// deadLetter is the event with what went wrong: where it could not be
// delivered to, and if there was an answer its status, its body's first bytes
// in base64, and every header Kne-<x> as extension <x>.
//
// A Kne- header whose name is no extension's is an error: the data plane throws
// inside its failure handler then, and the record is never settled.
func deadLetter(e *event.Event, destination string, got *answer) (*event.Event, error) {
	dead := e.Clone()
	dead.SetExtension(eventing.ExtErrorDest, destination)
	if got == nil {
		return &dead, nil
	}
	dead.SetExtension(eventing.ExtErrorCode, strconv.Itoa(got.status))
	if len(got.body) > 0 {
		data := got.body[:min(len(got.body), maxErrorData)]
		dead.SetExtension(eventing.ExtErrorData, base64.StdEncoding.EncodeToString(data))
	}
	for name, values := range got.header {
		extension, found := strings.CutPrefix(strings.ToLower(name), errorHeaderName)
		if !found || len(values) == 0 {
			continue
		}
		if extension == "" || alphanumeric(extension) != extension {
			return nil, fmt.Errorf("header %s: %q is no extension's name: use a-z and 0-9 only", name, extension)
		}
		dead.SetExtension(extension, values[len(values)-1])
	}
	return &dead, nil
}
