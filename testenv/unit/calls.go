// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// allowed are the system calls that the SystemCallFilter= lines let through, by number: the first line says whether the list is of
// what is allowed (nothing else is understood here), and each of the following adds to it, or with ~ takes from it.
func (u *Unit) allowed() ([]uint32, error) {
	groups, err := syscallGroups()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, value := range append([]string{"@default"}, u.values("SystemCallFilter")...) {
		list, without := strings.CutPrefix(value, "~")
		if i == 1 && without {
			return nil, fmt.Errorf("SystemCallFilter=%s is a list of what is forbidden", value)
		}
		for _, word := range strings.Fields(list) {
			if err := spread(groups, word, func(name string) { names[name] = !without }); err != nil {
				return nil, err
			}
		}
	}
	return numbersOf(names)
}

// spread calls f with each system call of a word, which is a name or a group.
func spread(groups map[string][]string, word string, f func(name string)) error {
	if !strings.HasPrefix(word, "@") {
		if strings.Contains(word, ":") {
			return fmt.Errorf("SystemCallFilter: %s has an error of its own", word)
		}
		f(word)
		return nil
	}
	list, ok := groups[word]
	if !ok {
		return fmt.Errorf("systemd-analyze knows no group %s", word)
	}
	for _, one := range list {
		if err := spread(groups, one, f); err != nil {
			return err
		}
	}
	return nil
}

// syscallGroups are what systemd-analyze says of the groups: names, and other groups.
func syscallGroups() (map[string][]string, error) {
	cmd := exec.Command("systemd-analyze", "syscall-filter", "--no-pager")
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("systemd-analyze syscall-filter: %w", err)
	}
	groups := map[string][]string{}
	group := ""
	for line := range strings.Lines(string(out)) {
		word := strings.TrimSpace(line)
		switch {
		case word == "":
			group = ""
		case word[0] == '#':
		case line[0] == '@':
			group = word
		case group != "":
			groups[group] = append(groups[group], word)
		}
	}
	return groups, nil
}

var numberLine = regexp.MustCompile(`(?m)^\s*SYS_([A-Z0-9_]+)\s*=\s*([0-9]+)`)

// numbersOf are the numbers of those names that are true. Those that this architecture does not have are left out, as
// systemd does.
func numbersOf(names map[string]bool) ([]uint32, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		return nil, fmt.Errorf("find golang.org/x/sys: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "unix", "zsysnum_linux_"+runtime.GOARCH+".go")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	numbers := map[uint32]bool{}
	for _, m := range numberLine.FindAllStringSubmatch(string(text), -1) {
		name := strings.ToLower(m[1])
		if name == "fstatat" { // as x/sys calls newfstatat where there has never been another
			name = "newfstatat"
		}
		n, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil {
			return nil, err
		}
		if names[name] {
			numbers[uint32(n)] = true
		}
	}
	return slices.Sorted(maps.Keys(numbers)), nil
}
