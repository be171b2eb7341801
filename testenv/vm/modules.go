// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Module is a kernel module, unpacked.
type Module struct {
	Name string // with underscores
	Data []byte
}

// moduleTree is the modules of one kernel by name.
type moduleTree struct {
	tools   Toolbox
	paths   map[string]string
	builtin map[string]bool
	order   []Module
	done    map[string]bool
}

// Modules returns the modules of those names and all that they depend on, in an order in which they can be loaded.
// Names that the kernel has neither as a module nor built in are left out if optional, and an error otherwise.
func (k Kernel) Modules(tools Toolbox, required, optional []string) ([]Module, error) {
	t := &moduleTree{tools: tools, paths: map[string]string{}, builtin: map[string]bool{}, done: map[string]bool{}}
	root := filepath.Join(k.Dir, "modules")
	if err := t.index(root); err != nil {
		return nil, fmt.Errorf("list modules of %s: %w", k.Release, err)
	}
	for _, name := range required {
		if err := t.add(name); err != nil {
			return nil, fmt.Errorf("modules of %s: %w", k.Release, err)
		}
	}
	for _, name := range optional {
		if _, there := t.paths[name]; !there {
			continue
		}
		if err := t.add(name); err != nil {
			return nil, fmt.Errorf("modules of %s: %w", k.Release, err)
		}
	}
	return t.order, nil
}

func (t *moduleTree) index(root string) error {
	raw, err := os.ReadFile(filepath.Join(root, "modules.builtin"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		t.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return filepath.WalkDir(filepath.Join(root, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			t.paths[moduleName(path)] = path
		}
		return err
	})
}

// moduleName is the name of the module in a file: the kernel has underscores where file names may have hyphens.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func (t *moduleTree) add(name string) error {
	if t.done[name] || t.builtin[name] {
		return nil
	}
	path, there := t.paths[name]
	if !there {
		return fmt.Errorf("no module %s", name)
	}
	t.done[name] = true // before its dependencies: a circle ends here
	data, err := t.read(path)
	if err != nil {
		return err
	}
	depends, err := dependencies(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, d := range depends {
		if err := t.add(d); err != nil {
			return fmt.Errorf("%s needs: %w", name, err)
		}
	}
	t.order = append(t.order, Module{name, data})
	return nil
}

func (t *moduleTree) read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(path) {
	case ".xz":
		return t.tools.Filter(data, "xz", "-dc")
	case ".zst":
		return t.tools.Filter(data, "zstd", "-dc")
	}
	return data, nil
}

// dependencies reads them out of the module itself; modules.dep is made only when a package is installed.
func dependencies(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
