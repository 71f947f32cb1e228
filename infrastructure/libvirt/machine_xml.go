package libvirt

import (
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// rootDisk and seedDisk are the names of the disks in the definition. Both are virtio, which every cloud
// image has a driver for; some have none for a CD-ROM.
const (
	rootDisk = "vda"
	seedDisk = "vdb"
)

// machineXML is the definition of a machine: q35 with virtio, a serial console, no
// graphics. Whatever happens to the guest, it stays defined; when it crashes it is
// off, and seen as failed.
func (h *Hypervisor) machineXML(host Host, want domain.Desired, r record, root vol, plugged segment, filters []string) (*libvirtxml.Domain, error) {
	spec, entry := want.Spec.Machine, h.options.Images[want.Spec.Machine.Image]
	metadata, err := r.marshal()
	if err != nil {
		return nil, err
	}
	d := &libvirtxml.Domain{
		Type: host.Type, Name: r.Name, UUID: want.Key.UUID(), Title: want.VirtualID,
		Metadata:   &libvirtxml.DomainMetadata{XML: metadata},
		Memory:     &libvirtxml.DomainMemory{Value: uint(spec.Memory), Unit: "MiB"},
		VCPU:       &libvirtxml.DomainVCPU{Value: uint(spec.Cores)},
		OnPoweroff: "destroy", OnReboot: "restart", OnCrash: "destroy",
		Clock:    &libvirtxml.DomainClock{Offset: "utc"},
		Features: &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}},
		OS: &libvirtxml.DomainOS{
			Type:   &libvirtxml.DomainOSType{Type: "hvm", Arch: host.Arch, Machine: host.Machine},
			Kernel: entry.Kernel, Initrd: entry.Initrd, Cmdline: entry.Cmdline,
		},
	}
	if entry.Kernel == "" {
		d.OS.BootDevices = []libvirtxml.DomainBootDevice{{Dev: "hd"}}
	}
	if entry.EFI {
		d.OS.Firmware = "efi"
	}
	if host.Type == "kvm" {
		d.CPU = &libvirtxml.DomainCPU{Mode: "host-passthrough"}
	}
	port := uint(0)
	d.Devices = &libvirtxml.DomainDeviceList{
		Disks:      []libvirtxml.DomainDisk{rootXML(root, host.Pools[spec.DiskType])},
		Interfaces: []libvirtxml.DomainInterface{cardXML(want.Key, plugged, len(filters) > 0)},
		Serials:    []libvirtxml.DomainSerial{{Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}}, Target: &libvirtxml.DomainSerialTarget{Port: &port}}},
		RNGs:       []libvirtxml.DomainRNG{{Model: "virtio", Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}}}},
	}
	if !entry.NoCloudInit {
		d.Devices.Disks = append(d.Devices.Disks, diskXML(r.Pool, seedName(want.Key), "raw", seedDisk, true))
	}
	if entry.Agent {
		d.Devices.Channels = []libvirtxml.DomainChannel{{
			Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{Mode: "bind"}},
			Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: "org.qemu.guest_agent.0"}},
		}}
	}
	return d, nil
}

// rootXML holds a root volume to its own IOPS, or to those of its class.
func rootXML(root vol, class Pool) libvirtxml.DomainDisk {
	disk := diskXML(root.Pool, root.Name, "qcow2", rootDisk, false)
	iops := root.iops
	if iops == 0 {
		iops = class.VolumeIOPS
	}
	if iops > 0 {
		disk.IOTune = &libvirtxml.DomainDiskIOTune{TotalIopsSec: uint64(iops)}
	}
	return disk
}

func diskXML(pool, volume, format, target string, readOnly bool) libvirtxml.DomainDisk {
	disk := libvirtxml.DomainDisk{
		Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: format},
		Source: &libvirtxml.DomainDiskSource{Volume: &libvirtxml.DomainDiskSourceVolume{Pool: pool, Volume: volume}},
		Target: &libvirtxml.DomainDiskTarget{Dev: target, Bus: "virtio"},
	}
	if readOnly {
		disk.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
	}
	return disk
}

func cardXML(key domain.Key, plugged segment, filtered bool) libvirtxml.DomainInterface {
	source := &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: plugged.bridge}}
	if plugged.bridge == "" {
		source = &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: plugged.network.Name}}
	}
	card := libvirtxml.DomainInterface{
		MAC:    &libvirtxml.DomainInterfaceMAC{Address: key.MAC()},
		Source: source,
		Model:  &libvirtxml.DomainInterfaceModel{Type: "virtio"},
	}
	if filtered {
		card.FilterRef = &libvirtxml.DomainInterfaceFilterRef{Filter: key.Name()}
	}
	return card
}
