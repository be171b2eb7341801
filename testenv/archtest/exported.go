// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/types"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Public are the packages whose exported names others may rely on.
var Public = []string{"bpf", "frame", "wsk", "wsk/datapath", "wsk/netconn", "wsk/route", "wsk/wsknet", "xdp", "xdp/nic"}

// Exported are the names that a client of p can write, in order, with the package in front as he writes it: "wsk.IRP",
// "wsk.IRP.IoStatus". A member that comes through an embedded field or an alias is one of the type that has it there:
// to move it behind one is no loss.
func Exported(p *Package) []string {
	names := make(map[string]bool)
	pkg := path.Base(p.Path) + "."
	for _, name := range p.Types.Scope().Names() {
		object := p.Types.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		names[pkg+name] = true
		if t, ok := object.(*types.TypeName); ok {
			for _, member := range membersOf(t.Type()) {
				names[pkg+name+"."+member] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// membersOf are the exported methods and fields of a type.
func membersOf(t types.Type) []string {
	var members []string
	set := types.NewMethodSet(t)
	if !types.IsInterface(t) {
		set = types.NewMethodSet(types.NewPointer(t))
	}
	for m := range set.Methods() {
		if m.Obj().Exported() {
			members = append(members, m.Obj().Name())
		}
	}
	return append(members, fieldsOf(t, nil)...)
}

// fieldsOf are the exported fields of a struct and of what it embeds; within are the types that t is embedded in.
func fieldsOf(t types.Type, within []types.Type) []string {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || slices.ContainsFunc(within, func(w types.Type) bool { return types.Identical(w, t) }) {
		return nil
	}
	var fields []string
	for f := range s.Fields() {
		if f.Exported() {
			fields = append(fields, f.Name())
		}
		if f.Embedded() {
			fields = append(fields, fieldsOf(f.Type(), append(within, t))...)
		}
	}
	return fields
}

// Unsaid are those of the names before that are no longer among the names now and that the changelog does not mention
// under Changed, Deprecated or Removed. To mention a type is to mention its members.
func Unsaid(before, now []string, changelog string) []string {
	said := make(map[string]bool)
	for _, section := range strings.Split(changelog, "\n#") {
		if tells.MatchString(section) {
			for _, name := range qualified.FindAllString(section, -1) {
				said[name] = true
			}
		}
	}
	var unsaid []string
	for _, name := range before {
		_, there := slices.BinarySearch(now, name)
		if !there && !said[name] && !said[typeIn.FindString(name)] {
			unsaid = append(unsaid, name)
		}
	}
	return unsaid
}

var (
	tells     = regexp.MustCompile(`^#+ (?:Changed|Deprecated|Removed)\b`)
	qualified = regexp.MustCompile(`\b[a-z0-9]+\.[A-Z][A-Za-z0-9_]*(?:\.[A-Z][A-Za-z0-9_]*)?`)
	typeIn    = regexp.MustCompile(`^[a-z0-9]+\.[A-Za-z0-9_]+`)
)
