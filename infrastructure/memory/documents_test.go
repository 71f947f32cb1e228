package memory_test

import (
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/infrastructure/memory"
)

func TestDocuments(t *testing.T) {
	applicationtest.TestDocuments(t, func(*testing.T) application.Documents { return new(memory.Documents) })
}
