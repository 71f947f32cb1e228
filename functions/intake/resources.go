package intake

import (
	"net/http"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// resourcesPage is a page of resources, newest first.
type resourcesPage struct {
	Resources  []resourceView `json:"resources"`
	NextCursor string         `json:"nextCursor,omitempty"`
}

func (f *Function) listResources(x *exchange) error {
	q, err := x.query("type", "gone", "limit", "cursor")
	if err != nil {
		return err
	}
	var filter application.ResourceFilter
	if filter.Kind, err = oneOf(q, "type", domain.ResourceKinds()); err != nil {
		return err
	}
	if filter.Gone, err = q.flag("gone"); err != nil {
		return err
	}
	if filter.Limit, filter.Before, err = q.page(); err != nil {
		return err
	}
	found, err := f.Records.Resources(x.ctx, x.caller.Tenant, filter)
	if err != nil {
		return err
	}
	page := resourcesPage{Resources: []resourceView{}, NextCursor: next(found, filter.Limit, func(r domain.Resource) string { return r.UID })}
	for _, r := range found {
		page.Resources = append(page.Resources, viewResource(r))
	}
	return x.write(http.StatusOK, page)
}

func (f *Function) showResource(x *exchange) error {
	if _, err := x.query(); err != nil {
		return err
	}
	id, err := x.id("resource")
	if err != nil {
		return err
	}
	r, err := f.Records.Resource(x.ctx, x.caller.Tenant, id)
	if err != nil {
		return err
	}
	return x.tagged(encode(viewResource(r)))
}

// quotaView compares what the tenant has with what it may have.
type quotaView struct {
	Tenant   string     `json:"tenant"`
	Used     amountView `json:"used"`
	Limits   amountView `json:"limits"`
	Currency string     `json:"currency"`
}

type amountView struct {
	Machines         int     `json:"machines"`
	CPU              int     `json:"cpu"`
	MemoryMiB        int64   `json:"memoryMiB"`
	StorageMiB       int64   `json:"storageMiB"`
	Networks         int     `json:"networks"`
	RequestsInFlight int     `json:"requestsInFlight"`
	HourlyUSD        float64 `json:"hourlyUsd"` // the limit of it is the budget
}

func (f *Function) showQuota(x *exchange) error {
	if _, err := x.query(); err != nil {
		return err
	}
	u, err := f.Records.Usage(x.ctx, x.caller.Tenant)
	if err != nil {
		return err
	}
	q := f.Submit.Offer.QuotaOf(x.caller.Tenant)
	return x.write(http.StatusOK, quotaView{
		Tenant:   x.caller.Tenant,
		Used:     amountView{u.Machines, u.Cores, int64(u.Memory), int64(u.Storage), u.Networks, u.InFlight, u.Hourly.USD()},
		Limits:   amountView{q.Machines, q.Cores, int64(q.Memory), int64(q.Storage), q.Networks, q.InFlight, q.Budget.USD()},
		Currency: domain.Currency,
	})
}
