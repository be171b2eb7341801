// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeModule is an ELF file with a section .modinfo and nothing else.
func fakeModule(t *testing.T, depends string) []byte {
	t.Helper()
	const names = "\x00.modinfo\x00.shstrtab\x00"
	info := "license=GPL\x00depends=" + depends + "\x00retpoline=Y\x00"
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	header.Shoff = uint64(64 + len(info) + len(names))
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(info)), Size: uint64(len(names))},
	}
	var b bytes.Buffer
	for _, part := range []any{header, []byte(info), []byte(names), sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// fakeKernel has modules by path and what they depend on.
func fakeKernel(t *testing.T, builtin string, modules map[string]string) Kernel {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, "modules", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("modules.builtin", []byte(builtin))
	for name, depends := range modules {
		write("kernel/"+name, fakeModule(t, depends))
	}
	return Kernel{Name: "fake", Release: "1.2", Dir: dir}
}

func names(modules []Module) (all []string) {
	for _, m := range modules {
		all = append(all, m.Name)
	}
	return all
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	k := fakeKernel(t, "kernel/lib/built-in.ko\n", map[string]string{
		"fs/9p/9p.ko": "9pnet,netfs", "net/9p/9pnet.ko": "", "fs/netfs.ko": "built_in",
		"drivers/net/x-y.ko": "9p", "a.ko": "b", "b.ko": "a",
	})
	got, err := k.Modules(Toolbox{}, []string{"x_y", "9p", "built_in"}, []string{"nonesuch", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"9pnet", "netfs", "9p", "x_y", "b", "a"}, names(got)); d != "" {
		t.Error(d)
	}
}

func TestModulesThatAreMissing(t *testing.T) {
	k := fakeKernel(t, "", map[string]string{"a.ko": "gone", "plain.ko": ""})
	for _, c := range []struct{ required, optional, want string }{
		{"nonesuch", "plain", "no module nonesuch"},
		{"a", "plain", "a needs: no module gone"},
		{"plain", "a", "a needs: no module gone"},
	} {
		_, err := k.Modules(Toolbox{}, []string{c.required}, []string{c.optional})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "1.2") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
