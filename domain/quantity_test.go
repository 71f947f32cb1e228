package domain_test

import (
	"testing"

	"kbnt.dev/virtualization/domain"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		in     string
		want   domain.MiB
		word   string
		bad    bool
	}{
		"a bare number":    {reason: "a number without a unit means GiB", in: "8", want: 8192},
		"GB":               {reason: "the product's GB is GiB: 8GB is 8192 MB", in: "8GB", want: 8192},
		"GiB":              {reason: "GiB is the same as GB", in: "8GiB", want: 8192},
		"with a word":      {reason: "what follows the unit is handed back", in: "100GB SSD", want: 102400, word: "SSD"},
		"lower case":       {reason: "units have no case", in: "512 mib ram", want: 512, word: "RAM"},
		"a fraction":       {reason: "fractions of a unit are exact", in: "1.5TB", want: 1572864},
		"not a whole MiB":  {reason: "nothing is rounded silently", in: "0.0001GB", bad: true},
		"zero":             {reason: "nothing is no size", in: "0GB", bad: true},
		"negative":         {reason: "a size is above zero", in: "-8GB", bad: true},
		"unknown unit":     {reason: "petabytes are not sold", in: "1PB", bad: true},
		"huge":             {reason: "sums must stay far from overflow", in: "999999999999999TB", bad: true},
		"two words":        {reason: "only one word may follow", in: "8GB DDR5 RAM", bad: true},
		"empty":            {reason: "nothing is no size", in: "", bad: true},
		"exponent":         {reason: "quantities are written out", in: "1e3GB", bad: true},
		"a comma":          {reason: "the decimal sign is the point", in: "1,5GB", bad: true},
		"just below a MiB": {reason: "the smallest size is one MiB", in: "0.5MiB", bad: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, word, err := domain.ParseSize(c.in)
			if (err != nil) != c.bad || got != c.want || word != c.word {
				t.Errorf("%s: ParseSize(%q) = %v, %q, %v, want %v, %q, error %v", c.reason, c.in, got, word, err, c.want, c.word, c.bad)
			}
		})
	}
}

func TestSizeOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]domain.MiB{8: 8192, 0.5: 512, 1.0 / 1024: 1} {
		if got, err := domain.SizeOf(in); got != want || err != nil {
			t.Errorf("SizeOf(%g) = %v, %v, want %v", in, got, err, want)
		}
	}
	nan := 0.0
	for _, in := range []float64{0, -1, 1e300, 0.0001, nan / nan} {
		if got, err := domain.SizeOf(in); err == nil {
			t.Errorf("SizeOf(%g) = %v, want an error", in, got)
		}
	}
}

func TestParseCores(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"4": 4, "4 cores": 4, "1 core": 1, "16 vCPU": 16, "8cores": 8} {
		if got, err := domain.ParseCores(in); got != want || err != nil {
			t.Errorf("ParseCores(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "four", "-4", "4.5", "99999999999", "4 apples"} {
		if got, err := domain.ParseCores(in); err == nil {
			t.Errorf("ParseCores(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseAttachment(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]domain.Attachment{
		"bridged":  {Mode: "bridged"},
		"vlan-100": {Mode: "vlan", Name: "vlan-100", VLAN: 100},
	} {
		if got, err := domain.ParseAttachment(in); got != want || err != nil {
			t.Errorf("ParseAttachment(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "vlan-", "vlan-x", "vlan-0100", "vlan--1", "VLAN-100", "vlan-99999999999"} {
		if got, err := domain.ParseAttachment(in); err == nil {
			t.Errorf("ParseAttachment(%q) = %+v, want an error", in, got)
		}
	}
}
