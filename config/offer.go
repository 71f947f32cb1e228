package config

import "time"

// Offer is what the operator offers to every tenant.
type Offer struct {
	Region   Name  `default:"local" desc:"region of all resources, a label of metrics"`
	Segments VLANs `default:"100-199" desc:"VLANs offered to every tenant: first-last, or none"`
	Quota    Quota
	Quotas   Quotas `desc:"file of quotas: the default and those of single tenants; instead of all KBNT_QUOTA_ variables (docs/quotas.md)"`
	Images   Images `desc:"file of the image catalogue; empty: Ubuntu 22.04 and Debian 12, which only the simulated hypervisor boots (docs/images.md)"`

	Deadline time.Duration `default:"10m" min:"1s" max:"10m" desc:"a request that is not done by then fails and is undone; the retries of the sources are sized for no more"`
}

// Quota is the most a tenant may have. 0 is the domain's default, so a quota of
// nothing cannot be set here.
type Quota struct {
	Machines int     `default:"0" min:"0" max:"1000000" desc:"machines of a tenant; 0: the default quota, as for all of these"`
	Cores    int     `default:"0" min:"0" max:"1000000" desc:"virtual CPUs of a tenant"`
	Memory   GiB     `default:"0" min:"0" max:"1000000" desc:"memory of a tenant, in GiB"`
	Storage  GiB     `default:"0" min:"0" max:"1000000" desc:"volumes and disks of a tenant, in GiB"`
	Networks int     `default:"0" min:"0" max:"4094" desc:"networks of a tenant"`
	InFlight int     `default:"0" min:"0" max:"1000000" desc:"unfinished requests of a tenant"`
	Budget   float64 `default:"0" min:"0" max:"1000000" desc:"what a tenant may spend, in USD per hour"`
}

// GiB counts gibibytes, 1024 MiB each.
type GiB int
