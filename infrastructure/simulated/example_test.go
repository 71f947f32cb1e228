package simulated_test

import (
	"context"
	"fmt"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/memory"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// A volume that takes a moment, and whose first call fails because its label says
// so.
func Example() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	h, err := simulated.New(simulated.Options{
		Documents: new(memory.Documents),
		Now:       func() time.Time { return now },
		Speed:     1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	volume := domain.Desired{
		Key:    domain.Key{Resource: domain.ResourceUID("a message"), Kind: domain.ThingVolume},
		Labels: domain.Labels{simulated.FaultLabel: "transient=1"},
		Spec:   domain.Specification{Volume: &domain.VolumeSpec{Size: 500 * domain.GiB, Type: domain.SSD, IOPS: 3000}},
	}

	_, err = h.Ensure(ctx, volume)
	fmt.Println(domain.KindOf(err))

	o, err := h.Ensure(ctx, volume)
	fmt.Println(o.Phase, o.Host, o.RetryAfter, err)

	now = now.Add(o.RetryAfter)
	o, err = h.Observe(ctx, volume.Key)
	fmt.Println(o.Phase, err)
	// Output:
	// unavailable
	// Creating sim-a 100ms <nil>
	// Ready <nil>
}
