package memory_test

import (
	"testing"

	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/infrastructure/memory"
)

func open(*testing.T) applicationtest.Stores {
	clock := applicationtest.Noon()
	s := memory.NewStore(memory.StoreOptions{Now: clock.Now})
	return applicationtest.Stores{Store: s, Records: s, Agenda: s, Graveyard: s, Statistics: s, Clock: clock}
}

func TestStore(t *testing.T) {
	t.Parallel()
	applicationtest.TestStore(t, open)
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	applicationtest.TestProtocol(t, open)
}
