//go:build integration

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// admitFunc and changeFunc are methods of Store, or the same without company.
type (
	admitFunc  func(context.Context, application.AdmitScope, func(*application.Tenancy) error) error
	changeFunc func(context.Context, application.Scope, func(*application.Work) error) error
)

// aloneAdmit is Admit with a transaction of its own, as many at once as there are
// connections.
func aloneAdmit(s *Store) admitFunc {
	return func(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
		j := newJob[application.AdmitScope, tenancy](scope)
		go commit(s, s.loadTenancies, []*job[application.AdmitScope, tenancy]{j})
		return j.wait(ctx, "Admit", admitting(decide))
	}
}

func aloneChange(s *Store) changeFunc {
	return func(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
		j := newJob[application.Scope, work](scope)
		go s.commitChanges([]*job[application.Scope, work]{j})
		return j.wait(ctx, "Change", changing(scope, change))
	}
}

// benchStore opens a store in a schema of its own.
func benchStore(b *testing.B, server *postgrestest.Server, connections int) *Store {
	s, err := New(Options{URL: server.Schema(b), Connections: connections})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// benchServer starts a server for one test, or takes the one at DATABASE_URL.
func benchServer(b testing.TB) *postgrestest.Server {
	server, err := postgrestest.Use(os.Getenv("DATABASE_URL"))
	if errors.Is(err, postgrestest.ErrMissing) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	return server
}

// sample is an ordinary admission of a machine.
func sample(tenant, id string, now time.Time) *application.Admission {
	message := domain.MessageID(tenant, id)
	spec := domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
		Network: domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-100", VLAN: 100}, Image: domain.DefaultImage}}
	r := &domain.Request{Tenant: tenant, ID: id, MessageID: message, BodyHash: strings.Repeat("h", 64), Type: domain.CreateMachine, User: "ada",
		Priority: domain.Normal, Transport: "JSON", Spec: spec, ResourceUID: domain.ResourceUID(message), From: domain.Absent, To: domain.Running,
		Decision: []domain.Ruling{{Rule: "specification", Passed: true}, {Rule: "quota", Passed: true, Values: "machines 3 of 10"}},
		Goal:     domain.ToTarget, Status: domain.Processing, Phase: domain.PhaseValidated, AcceptedAt: now, TouchedAt: now, DeadlineAt: now.Add(time.Hour), Cost: 45_000}
	return &application.Admission{New: true, Request: r,
		Resource: &domain.Resource{UID: r.ResourceUID, VirtualID: domain.VirtualID(domain.Machine, tenant, id, 16), Tenant: tenant, Owner: "ada", Kind: domain.Machine,
			CreatedBy: message, Spec: spec, State: domain.Provisioning, Live: true, Cost: r.Cost, Busy: message, CreatedAt: now, UpdatedAt: now},
		Steps: []domain.Step{domain.NewStep(domain.RequestReceived, now, 0, nil), domain.NewStep(domain.DomainValidated, now, time.Millisecond, map[string]any{"rules": 5}),
			domain.NewStep("request-stored", now, time.Millisecond, nil)},
		Event: application.Event{ID: domain.RequestedID(message), Type: "requested", Source: "/bench", Topic: "requests", Data: []byte(strings.Repeat("d", 600)),
			Extensions: map[string]string{"partitionkey": message}},
	}
}

func admitSample(ctx context.Context, admit admitFunc, tenant, id string) error {
	scope := application.AdmitScope{Tenant: tenant, RequestID: id, Kind: domain.Machine, Priority: domain.Normal,
		VirtualID: domain.VirtualID(domain.Machine, tenant, id, 8)}
	return admit(ctx, scope, func(t *application.Tenancy) error {
		t.Admitted = sample(tenant, id, t.Now)
		return nil
	})
}

// together makes b.N calls from n goroutines.
func together(b *testing.B, n int, call func(ctx context.Context, i int64) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range n {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := call(b.Context(), i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// fill admits requests "0" and on of "acme", and has the planner look at them, as
// it does by itself within a minute.
func fill(b testing.TB, s *Store, n int) {
	b.Helper()
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := worker; i < n; i += 16 {
				if err := admitSample(b.Context(), s.Admit, "acme", fmt.Sprint(i)); err != nil {
					b.Errorf("fill: %v", err)
				}
			}
		})
	}
	all.Wait()
	if _, err := s.exec(b.Context(), "fill", "ANALYZE"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAdmit compares admissions that share a transaction with the same ones in
// one each, on 4 connections as in production and on one for each caller.
func BenchmarkAdmit(b *testing.B) {
	server := benchServer(b)
	for _, tenants := range []int{1, 1000} {
		for _, callers := range []int{1, 64} {
			for _, how := range ways(callers) {
				b.Run(fmt.Sprintf("tenants=%d/callers=%d/%s", tenants, callers, how.name), func(b *testing.B) {
					s := benchStore(b, server, how.connections)
					admit := s.Admit
					if how.alone {
						admit = aloneAdmit(s)
					}
					fill(b, s, 512)
					together(b, callers, func(ctx context.Context, i int64) error {
						return admitSample(ctx, admit, fmt.Sprint("tenant-", i%int64(tenants)), fmt.Sprint(i))
					})
				})
			}
		}
	}
}

// way is how to run transactions: together as the store does, or in one each.
type way struct {
	name        string
	connections int
	alone       bool
}

func ways(callers int) []way {
	all := []way{{"together", 4, false}, {"one-each", 4, true}}
	if callers > 4 {
		all = append(all, way{"one-each-64-connections", 64, true})
	}
	return all
}

// BenchmarkChange does the same for changes of requests of many resources: a lease
// is taken, which is what most changes of a request are like.
func BenchmarkChange(b *testing.B) {
	server := benchServer(b)
	for _, callers := range []int{1, 64} {
		for _, how := range ways(callers) {
			b.Run(fmt.Sprintf("callers=%d/%s", callers, how.name), func(b *testing.B) {
				s := benchStore(b, server, how.connections)
				do := s.Change
				if how.alone {
					do = aloneChange(s)
				}
				const requests = 512
				fill(b, s, requests)
				together(b, callers, func(ctx context.Context, i int64) error {
					scope := application.Scope{MessageID: domain.MessageID("acme", fmt.Sprint(i%requests)), Arrival: &application.Arrival{Function: "provision", EventID: "e"}}
					return do(ctx, scope, func(w *application.Work) error {
						w.Request.Attempts++
						w.Request.TouchedAt, w.Request.Phase = w.Now, domain.PhaseProvisioning
						w.Resource.Lease = domain.Lease{Holder: "i", Epoch: w.Resource.Lease.Epoch + 1, Until: w.Now.Add(time.Second)}
						w.Note(domain.NewStep(domain.StepName(fmt.Sprint(w.Request.Attempts%9)), w.Now, 0, nil))
						return nil
					})
				})
			})
		}
	}
}
