// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// Program is a static binary that a guest gets.
type Program struct {
	// Name is what commands call it by.
	Name string
	// Path is where it is on the host.
	Path string
	// Dir is where it is to run, relative to the root of the checkout: the directory of a package, for a test binary,
	// which finds its testdata there. Empty for the directory of the command.
	Dir string
}

// required are modules that every guest needs, optional those that some test needs, where a kernel has them: a guest
// loads nothing on demand.
var (
	required = []string{"virtio_pci", "9pnet_virtio", "9p", "veth"}
	optional = []string{
		"xsk_diag", "udp_diag", "inet_diag", "bridge", "macvlan", "macvtap", "8021q", "ifb", "dummy", "vrf", "tun", "ipvlan",
		"bonding", "vxlan", "geneve", "ip_gre", "macsec", "xfrm_user", "esp4", "esp6",
		"crc32c_generic", // libcrc32c, which nf_tables needs, does not load without it
		"nf_tables", "nft_ct", "nft_chain_nat", "nft_nat", "nft_reject_inet", "nf_conntrack_netlink", "team", "team_mode_activebackup",
		"team_mode_roundrobin", "sch_ingress", "sch_netem", "sch_tbf", "cls_u32", "cls_bpf", "act_mirred", "act_gact", "act_pedit",
	}
)

func (m *Machine) writeInitramfs(w io.Writer, s Setup, j *job.Job) error {
	a := NewArchive(w)
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "run", "etc", "root", "bin", "var/tmp"} {
		a.Dir(dir)
	}
	a.Symlink("sbin", "bin")
	a.Symlink("usr", ".")
	a.Symlink("etc/mtab", "/proc/mounts")
	a.File("etc/passwd", 0o644, []byte("root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n"))
	a.File("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	a.File("etc/hosts", 0o644, []byte("127.0.0.1 localhost guest\n::1 localhost\n"))
	needed := slices.Concat(required, s.Modules)
	if j.Cable {
		needed = append(needed, cableModule)
		a.Symlink("bin/cable", "/init")
	}
	modules, err := m.Kernel.Modules(m.Tools, needed, optional)
	if err != nil {
		return err
	}
	j.Modules = nil
	for _, mod := range modules {
		a.File(job.ModuleDir+"/"+mod.Name+".ko", 0o644, mod.Data)
		j.Modules = append(j.Modules, mod.Name+".ko")
	}
	if err := m.addPrograms(a); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	a.File(job.File, 0o644, raw)
	return a.Close()
}

func (m *Machine) addPrograms(a *Archive) error {
	busybox, err := m.Tools.Busybox()
	if err != nil {
		return err
	}
	if err := addFile(a, "bin/busybox", busybox); err != nil {
		return err
	}
	list, err := m.Tools.Filter(nil, "busybox", "--list")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		if name != "busybox" {
			a.Symlink("bin/"+name, "busybox")
		}
	}
	if err := addFile(a, "init", m.Agent); err != nil {
		return err
	}
	for _, p := range m.Programs {
		if p.Dir == "" {
			if err := addFile(a, "bin/"+p.Name, p.Path); err != nil {
				return err
			}
			continue
		}
		if err := addFile(a, "programs/"+p.Name, p.Path); err != nil {
			return err
		}
		a.File("bin/"+p.Name, 0o755,
			fmt.Appendf(nil, "#!/bin/sh\ncd %s/%s && exec /programs/%s \"$@\"\n", job.Source, p.Dir, p.Name))
	}
	return nil
}

func addFile(a *Archive, name, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("put %s into the initramfs: %w", name, err)
	}
	a.File(name, 0o755, data)
	return nil
}
