package applicationtest

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Feature is a part of the contract that not every hypervisor can show.
type Feature string

// Features. Each is skipped where the harness gives a reason in Cannot.
const (
	Capacity      Feature = "refuses what has no room"
	Addresses     Feature = "refuses an address twice"
	VLANs         Feature = "refuses a VLAN twice"
	HardQuota     Feature = "has a quota of its own"
	ForeignThings Feature = "can hold things of others"
	Line          Feature = "is asked over a line that can be cut"
	Hanging       Feature = "can fail to answer"
	Networks      Feature = "makes networks"
	Power         Feature = "powers machines off and on"
	Residue       Feature = "can show everything it holds"
)

// Harness opens worlds of one driver for [TestHypervisor].
type Harness struct {
	// Open returns a world without things of ours. It lives until the test ends.
	Open func(t *testing.T) World

	// Cannot says of each feature that cannot be shown why not. The skip prints it.
	Cannot map[Feature]string

	// Parallel says that worlds do not disturb each other.
	Parallel bool
}

// World is one hypervisor with nothing of ours on it, and what a test can do to
// it. Functions that only serve a feature in Cannot may be nil.
type World struct {
	Hypervisor application.Hypervisor

	// Machine is a small machine that the world can make. Its disk is made as the
	// root volume.
	Machine domain.MachineSpec

	// Segment is a network that exists, for machines, with room for 32 addresses.
	Segment Segment

	// Networks are two that can be made, with different VLANs and subnets.
	Networks [2]domain.NetworkSpec

	// Host is what Desired.Host is set to; empty when the driver places by itself.
	Host string

	// Patience is how long anything may take to become ready, or to go.
	Patience time.Duration

	// Pass lets a time pass: it waits, or moves the clock of the world.
	Pass func(t *testing.T, d time.Duration)

	// Foreign makes a thing that is not ours under the name of the key. The
	// function it returns fails the test unless that is as it was.
	Foreign func(t *testing.T, key domain.Key) (untouched func(*testing.T))

	// Cut returns another client of the same world, which gets the first n-1
	// answers. The n-th call takes effect and its answer is lost, and so is
	// everything after it: the line is down. happened tells whether it came to that.
	Cut func(t *testing.T, n int) (client application.Hypervisor, happened func() bool)

	// Hang returns another client of the same world that never gets an answer.
	Hang func(t *testing.T) application.Hypervisor

	// Crowded returns a machine for which no host has room.
	Crowded func() domain.MachineSpec

	// UseUp sees to it that the hypervisor's own quota does not allow what is
	// wanted, until the test ends: it uses the quota up, or changes what is wanted.
	UseUp func(t *testing.T, want domain.Desired) domain.Desired

	// Residue names all that the world holds for us, whether List shows it or not.
	Residue func(t *testing.T) []string
}

// Segment is a network of the operator.
type Segment struct {
	Name    string // "bridged", "vlan-100"
	Network domain.NetworkSpec
}

// TestHypervisor holds a driver against the contract of [application.Hypervisor].
func TestHypervisor(t *testing.T, harness Harness) {
	cases := []struct {
		name  string
		needs []Feature
		test  func(*fixture)
	}{
		{"it says what it is", nil, testCapabilities},
		{"a machine becomes ready", nil, testMachine},
		{"a volume becomes ready", nil, testVolume},
		{"a network becomes ready", []Feature{Networks}, testNetwork},
		{"a machine on a network of the tenant becomes ready", []Feature{Networks}, testTenantNetwork},
		{"a machine is made switched off", nil, testMadeOff},
		{"a machine is switched off and on", []Feature{Power}, testPower},

		{"ensuring twice is once", nil, testEnsureTwice},
		{"twelve at once are one", nil, testTwelveAtOnce},
		{"labels are not part of what a thing is", nil, testLabels},
		{"another specification is a conflict", nil, testOtherSpec},
		{"a foreign thing is left alone", []Feature{ForeignThings}, testForeign},
		{"an address is given once", []Feature{Addresses}, testAddressTaken},
		{"a VLAN is given once", []Feature{Networks, VLANs}, testVLANTaken},

		{"what does not exist is absent", nil, testAbsent},
		{"deleting twice is once", nil, testDeleteTwice},
		{"a half-made thing is deleted", nil, testDeleteHalfMade},
		{"a machine leaves its volume", nil, testVolumeStays},
		{"a thing is made again after it has gone", nil, testRecreate},

		{"what is invalid is not made", nil, testInvalid},
		{"a machine without its volume is not made", nil, testNoVolume},
		{"a machine without its network is not made", []Feature{Networks}, testNoNetwork},
		{"what has no room is not made", []Feature{Capacity}, testCapacity},
		{"what the quota does not allow is not made", []Feature{HardQuota}, testHardQuota},

		{"an ended context ends every call", nil, testEndedContext},
		{"a hypervisor that hangs is left at the deadline", []Feature{Hanging}, testHanging},
		{"after a cut at any answer, ensuring makes exactly one", []Feature{Line}, testCutThenEnsure},
		{"after a cut at any answer, deleting leaves nothing", []Feature{Line}, testCutThenDelete},
		{"a deletion cut at any answer can be repeated", []Feature{Line}, testCutDelete},

		{"the list is complete", nil, testList},
		{"the list stops when told", nil, testListStops},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if harness.Parallel {
				t.Parallel()
			}
			for _, feature := range c.needs {
				if reason, cannot := harness.Cannot[feature]; cannot {
					t.Skipf("this hypervisor does not show that it %s: %s", feature, reason)
				}
			}
			c.test(&fixture{T: t, World: harness.Open(t), cannot: harness.Cannot})
		})
	}
}
